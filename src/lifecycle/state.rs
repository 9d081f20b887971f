//! The state of one version, in the vocabulary of prose, proto and metrics alike.

use crate::error::with_causes;
use hotshelf_registry::{Arm, Sha256Digest};
use std::time::{Duration, SystemTime};

/// Where a version is in its life on this server.
///
/// ```text
/// Discovered ─▶ Loading ─▶ Verifying ─▶ Warming ─▶ Ready ─▶ Live ─▶ Draining ─▶ Retired
///      any ─▶ Failed(reason, next try)
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum VersionState {
    /// Desired, not started.
    Discovered,
    /// Parts are being fetched.
    Loading,
    /// Parts are being checked: checksums, bounds, golden queries.
    Verifying,
    /// Queries run against it before it receives traffic.
    Warming,
    /// In memory and able to serve.
    Ready,
    /// Answers requests.
    Live,
    /// Not live any more; requests that began with it are finishing.
    Draining,
    /// Gone from memory.
    Retired,
    /// Could not be loaded.
    Failed,
}

impl VersionState {
    /// Is a loader at work on it?
    pub fn is_loading(self) -> bool {
        matches!(self, Self::Loading | Self::Verifying | Self::Warming)
    }

    /// Does it answer, or could it at once?
    pub fn is_servable(self) -> bool {
        matches!(self, Self::Ready | Self::Live)
    }

    /// The word used in logs and on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Discovered => "discovered",
            Self::Loading => "loading",
            Self::Verifying => "verifying",
            Self::Warming => "warming",
            Self::Ready => "ready",
            Self::Live => "live",
            Self::Draining => "draining",
            Self::Retired => "retired",
            Self::Failed => "failed",
        }
    }
}

/// One step of a load, and how long it took.
#[derive(Clone, Debug, PartialEq)]
pub struct Phase {
    /// One of `fetch`, `verify`, `unpack`, `probe`, `warm_up`, `rollout`, `activate`.
    pub name: &'static str,
    /// How long it took.
    pub duration: Duration,
}

/// Why a load failed, by what the manager's policy depends on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadErrorKind {
    /// The registry has no such version.
    NotFound,
    /// The registry has another manifest under its number than the rollout names.
    Rewritten,
    /// The memory budget has no room for it.
    MemoryBudget,
    /// It answers golden queries otherwise than its publisher recorded.
    GoldenQueries,
    /// Its card names another scoring revision than this server computes.
    ScoringRevision,
    /// Its model card is not one that this release reads.
    Card,
    /// The cache folder does not hold what the load needs.
    Cache,
    /// The system has no thread or runtime to give.
    Resources,
    /// The decoder panicked.
    Panic,
    /// Another failure of the registry, by its label.
    Registry(&'static str),
    /// The model refused its parts, by its label.
    Model(&'static str),
}

impl LoadErrorKind {
    /// The stable, bounded label of metrics and status.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::NotFound => "not_found",
            Self::Rewritten => "rewritten",
            Self::MemoryBudget => "memory_budget",
            Self::GoldenQueries => "probes",
            Self::ScoringRevision => "scoring_revision",
            Self::Card => "card",
            Self::Cache => "cache",
            Self::Resources => "resources",
            Self::Panic => "panic",
            Self::Registry(label) | Self::Model(label) => label,
        }
    }
}

/// Why a load failed.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadError {
    /// What it depends on.
    pub kind: LoadErrorKind,
    /// For people; names part, row and value.
    pub message: String,
    /// Can a later attempt succeed without anyone changing anything?
    pub is_retryable: bool,
}

impl From<&hotshelf_registry::Error> for LoadError {
    fn from(error: &hotshelf_registry::Error) -> Self {
        let kind = match error {
            hotshelf_registry::Error::NotFound { .. } => LoadErrorKind::NotFound,
            hotshelf_registry::Error::Rewritten { .. } => LoadErrorKind::Rewritten,
            hotshelf_registry::Error::Cache { .. } => LoadErrorKind::Cache,
            other => LoadErrorKind::Registry(other.kind()),
        };
        Self {
            kind,
            is_retryable: error.is_retryable(),
            message: with_causes(error),
        }
    }
}

/// A failed load as status shows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Why.
    pub error: LoadError,
    /// When.
    pub failed_at: SystemTime,
    /// Attempts so far, from 1.
    pub attempts: u32,
    /// On the manager's monotonic clock; `None` where retrying cannot help.
    pub next_try: Option<Duration>,
    /// The same moment for people.
    pub next_try_at: Option<SystemTime>,
}

/// A loaded version, described without the version itself.
#[derive(Clone, Debug, PartialEq)]
pub struct LoadedInfo {
    /// Of its manifest.
    pub manifest_sha256: Option<Sha256Digest>,
    /// Memory that it holds.
    pub resident_bytes: usize,
    /// The one check that failed although everything else holds.
    pub golden_query_failure: Option<String>,
    /// Not empty: it may serve, although this is so.
    pub degraded: String,
    /// Not empty: what was damaged, in the cache or in transit, and was refetched.
    pub refetched: String,
}

/// One version on this server.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionEntry {
    /// Where it is in its life.
    pub state: VersionState,
    /// Steps of the newest attempt.
    pub phases: Vec<Phase>,
    /// The newest failure; kept until a load succeeds.
    pub failure: Option<Failure>,
    /// Of the manifest that was loaded last; a rollout that names another one names another version.
    pub manifest_sha256: Option<Sha256Digest>,
    /// Memory that it holds; 0 unless resident.
    pub resident_bytes: usize,
    /// Not empty: it may serve although this check failed.
    pub degraded: String,
    /// Not empty: what was damaged when it was loaded, in the cache or in transit, and was refetched.
    pub refetched: String,
}

impl VersionEntry {
    /// Is what was loaded what this arm names?
    pub(crate) fn is_named_by(&self, arm: &Arm) -> bool {
        let digests = self.manifest_sha256.zip(arm.manifest_sha256);
        digests.is_none_or(|(loaded, named)| loaded == named)
    }

    /// Adds a step, in place of an earlier one of that name.
    pub(crate) fn add(&mut self, phase: Phase) {
        self.phases.retain(|known| known.name != phase.name);
        self.phases.push(phase);
    }

    /// A version that was just discovered.
    pub fn discovered() -> Self {
        Self {
            state: VersionState::Discovered,
            phases: Vec::new(),
            failure: None,
            manifest_sha256: None,
            resident_bytes: 0,
            degraded: String::new(),
            refetched: String::new(),
        }
    }
}
