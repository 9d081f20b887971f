//! Errors by what a caller can do about them. Causes are sources, not text.

use std::io;
use std::path::Path;

/// The cause below an [`Error`]: of the store, the file system or a parser.
pub type Cause = Box<dyn std::error::Error + Send + Sync + 'static>;

/// Longest excerpt of a refused value in a message, in characters (chosen: one line of a terminal).
const EXCERPT_CHARS: usize = 64;

/// Every failure of this package.
///
/// A message names the thing (model, version, part, record); the cause stands in `source()`.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// There is no such object. A retry helps only once it is written.
    #[error("{what} does not exist")]
    NotFound {
        /// What was asked for.
        what: String,
    },
    /// The version was published and has been removed; its number is never used again.
    #[error("{what} was removed by {by}: {why}")]
    Removed {
        /// What was asked for.
        what: String,
        /// Who removed it.
        by: String,
        /// The reason given.
        why: String,
    },
    /// Stored or fetched bytes are not those expected.
    #[error("{what} is corrupt: {why}")]
    Corrupt {
        /// The object or part.
        what: String,
        /// What was expected and what was found.
        why: String,
        /// The damaged copy is deleted and was not the second one: another fetch can help.
        is_refetchable: bool,
        /// The parser's message.
        #[source]
        source: Option<Cause>,
    },
    /// The manifest under a version's number is not the one that a rollout names: it was overwritten.
    #[error(
        "{what} was rewritten: its rollout names the manifest with sha256 {named}, and {found} is stored; \
         put the named one back, or publish the other under a number of its own"
    )]
    Rewritten {
        /// The version.
        what: String,
        /// By the rollout, as sha256.
        named: String,
        /// What the store has, as sha256.
        found: String,
    },
    /// The caller passed a value that is not allowed.
    #[error("{field} {value:?} is refused: {limit}")]
    Invalid {
        /// Which value.
        field: &'static str,
        /// Its beginning.
        value: String,
        /// What is allowed.
        limit: String,
    },
    /// Written by a newer release in a format that this one does not know.
    #[error("{what} has format {found}; this release reads up to {supported}")]
    UnsupportedFormat {
        /// The object.
        what: String,
        /// Its format.
        found: u32,
        /// The newest format known here.
        supported: u32,
    },
    /// Over a limit of size or count; nothing beyond the limit was read or stored.
    #[error("{what} is {found}, the limit is {limit}")]
    TooLarge {
        /// The object and the measure.
        what: String,
        /// Its measure.
        found: u64,
        /// The greatest one allowed.
        limit: u64,
    },
    /// The store failed within the tries and time allowed. A retry can help. A write that failed so may
    /// have been applied even so.
    #[error("the store failed: {what}")]
    Unavailable {
        /// The operation and the object.
        what: String,
        /// The last failure.
        #[source]
        source: Cause,
    },
    /// Other writers took every number that was tried. Retrying can help.
    #[error("{what}: lost {tries} creates in a row to other writers")]
    Contended {
        /// What was to be written.
        what: String,
        /// How many numbers were tried.
        tries: u32,
    },
    /// The store, or these credentials, do not allow writing. Reading continues.
    #[error("the registry is read-only here: {what}")]
    ReadOnly {
        /// The write that was refused.
        what: String,
        /// The store's refusal.
        #[source]
        source: Cause,
    },
    /// The store does not honour conditional writes, so that nothing is written. Reading continues.
    #[error(
        "the store does not honour conditional writes (If-None-Match: *), so nothing is written to it: {why}"
    )]
    NoConditionalWrites {
        /// What the test found.
        why: String,
    },
    /// The private cache folder failed: full, read-only, gone.
    #[error("cache folder: {what}")]
    Cache {
        /// The operation and the path.
        what: String,
        /// The system's failure.
        #[source]
        source: io::Error,
    },
}

impl Error {
    /// Whether the copy of a manifest may stand in for it: not while the store cannot be asked, nor for a
    /// version that was removed on purpose.
    #[must_use]
    pub fn leaves_copy(&self) -> bool {
        !self.is_retryable() && !matches!(self, Self::Removed { .. })
    }

    /// Whether the same call can succeed later without anybody changing the request.
    #[must_use]
    pub fn is_retryable(&self) -> bool {
        match self {
            Self::Unavailable { .. } | Self::Contended { .. } | Self::Cache { .. } => true,
            Self::Corrupt { is_refetchable, .. } => *is_refetchable,
            Self::NotFound { .. }
            | Self::Removed { .. }
            | Self::Rewritten { .. }
            | Self::Invalid { .. }
            | Self::UnsupportedFormat { .. }
            | Self::TooLarge { .. }
            | Self::ReadOnly { .. }
            | Self::NoConditionalWrites { .. } => false,
        }
    }

    /// A stable label for metrics and status: one of a closed set of twelve.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::NotFound { .. } => "not_found",
            Self::Removed { .. } => "removed",
            Self::Corrupt { .. } => "corrupt",
            Self::Rewritten { .. } => "rewritten",
            Self::Invalid { .. } => "invalid",
            Self::UnsupportedFormat { .. } => "unsupported_format",
            Self::TooLarge { .. } => "too_large",
            Self::Unavailable { .. } => "unavailable",
            Self::Contended { .. } => "contended",
            Self::ReadOnly { .. } => "read_only",
            Self::NoConditionalWrites { .. } => "no_create_only",
            Self::Cache { .. } => "cache",
        }
    }

    /// A refused value; only its beginning is kept.
    pub(crate) fn invalid(field: &'static str, value: &str, limit: impl Into<String>) -> Self {
        let mut excerpt: String = value.chars().take(EXCERPT_CHARS).collect();
        if excerpt.len() < value.len() {
            excerpt.push('…');
        }
        Self::Invalid {
            field,
            value: excerpt,
            limit: limit.into(),
        }
    }

    /// A failure at a path of the cache folder.
    pub(crate) fn cache(doing: &str, path: &Path, source: io::Error) -> Self {
        let what = format!("{doing} {}", path.display());
        Self::Cache { what, source }
    }

    /// Stored bytes that break the format.
    pub(crate) fn corrupt(what: impl Into<String>, why: impl Into<String>) -> Self {
        let (what, why) = (what.into(), why.into());
        Self::Corrupt {
            what,
            why,
            is_refetchable: false,
            source: None,
        }
    }

    /// A limit that a stored object breaks is the object's fault and not the caller's.
    pub(crate) fn in_stored(self, what: &str) -> Self {
        match self {
            Self::Invalid {
                field,
                value,
                limit,
            } => Self::corrupt(what, format!("{field} {value:?} breaks its limit: {limit}")),
            other => other,
        }
    }

    /// Whether the object itself is at fault, as opposed to the store: a rollout record with this error
    /// is skipped.
    pub(crate) fn is_object_fault(&self) -> bool {
        match self {
            Self::NotFound { .. }
            | Self::Removed { .. }
            | Self::Corrupt { .. }
            | Self::Rewritten { .. }
            | Self::Invalid { .. }
            | Self::UnsupportedFormat { .. }
            | Self::TooLarge { .. } => true,
            Self::Unavailable { .. }
            | Self::Contended { .. }
            | Self::ReadOnly { .. }
            | Self::NoConditionalWrites { .. }
            | Self::Cache { .. } => false,
        }
    }

    /// The message followed by those of all causes, for places that store text only.
    pub(crate) fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = std::error::Error::source(self);
        while let Some(error) = cause {
            text.push_str(": ");
            text.push_str(&error.to_string());
            cause = error.source();
        }
        text
    }
}
