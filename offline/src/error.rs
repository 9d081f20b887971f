//! Errors, by what the caller can do about them.
//!
//! An error that a changed file or flag corrects exits with code 2 and names file, row and column;
//! a version that the gate refuses exits with 3, all others with 1. A text is one line, or one line per problem; the binary appends causes.

use std::fmt;
use std::path::PathBuf;

/// One problem in a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: usize,
    /// Dotted path of the key; empty for a problem with the whole file.
    pub key: String,
    /// What is wrong, as the rest of a sentence that starts with the key.
    pub message: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.key.is_empty() {
            return write!(f, "line {}: {}", self.line, self.message);
        }
        write!(f, "line {}: {} {}", self.line, self.key, self.message)
    }
}

/// One bad row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// File of the row, as the mapping names it.
    pub file: String,
    /// Line where the row starts, from 1; the header is line 1.
    pub line: u64,
    /// What is wrong, with the column where one is concerned.
    pub reason: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file, self.line, self.reason)
    }
}

/// Every error of this crate.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mapping file has problems; all are listed.
    #[error("{}: {}{}", file.display(), counted(problems.len() as u64, "problem"), indented(problems))]
    Mapping {
        /// The mapping file.
        file: PathBuf,
        /// Every problem, in the order of the file.
        problems: Vec<Problem>,
    },
    /// A data file lacks columns that the mapping names, or has them twice.
    #[error("{file}, line 1: {}; its columns are: {}", problems.join("; "), columns.join(", "))]
    Columns {
        /// The data file.
        file: String,
        /// One sentence per missing or ambiguous column.
        problems: Vec<String>,
        /// The columns of the header.
        columns: Vec<String>,
    },
    /// More rows are bad than the mapping allows.
    #[error("{}{}", bad_rows_title(*bad, *allowed_share, *complete), indented(first))]
    BadRows {
        /// How many were found.
        bad: u64,
        /// The share that the mapping allows, 0 to 1.
        allowed_share: f64,
        /// Whether all rows were read (with a share of 0 reading stops early).
        complete: bool,
        /// The first few.
        first: Vec<BadRow>,
    },
    /// A data file is malformed from a certain line on.
    #[error("{file}, after line {line}: {why}")]
    Broken {
        /// The data file.
        file: String,
        /// The last line that was read.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A quote in a data file swallows rows.
    #[error("{file}, line {line}: {why}")]
    Quote {
        /// The data file.
        file: String,
        /// Line where the quote opens.
        line: u64,
        /// What is wrong, and what to do.
        why: &'static str,
    },
    /// A shop's own embeddings cannot be used.
    #[error("{file}: {}{}", counted(*bad, "problem"), indented(first))]
    Embeddings {
        /// The matrix or the file of ids.
        file: String,
        /// Number of bad rows, or 1 for a problem with the whole file.
        bad: u64,
        /// The first few, with row and id.
        first: Vec<String>,
    },
    /// The data cannot be trained on or evaluated.
    #[error("{0}")]
    Unusable(String),
    /// An argument is invalid, alone or together with another.
    #[error("{0}")]
    Argument(String),
    /// A folder holds no packed model, or was altered.
    #[error("{}: not a usable packed model: {why}", folder.display())]
    Packed {
        /// The folder.
        folder: PathBuf,
        /// What is missing or differs.
        why: String,
    },
    /// A file does not exist or is not readable.
    #[error("cannot read {}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Writing failed.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file or folder.
        path: PathBuf,
        /// The cause.
        source: std::io::Error,
    },
    /// Fitting failed.
    #[error("fitting failed")]
    Fit(#[from] hotshelf_model::FitError),
    /// The model could not be packed.
    #[error("packing failed")]
    Pack(#[from] hotshelf_model::PackError),
    /// A version was shown to be worse, and is not published.
    #[error(
        "the gate refuses this version: its interval lies wholly below the margin of -{margin}{}\n  \
         to publish it anyway, give a reason for the manifest: --force REASON",
        indented(sentences)
    )]
    Gate {
        /// The verdict, a sentence for each comparison.
        sentences: Vec<String>,
        /// How much worse is tolerated.
        margin: f64,
    },
    /// The runtime that talks to the registry could not be started.
    #[error("cannot start a runtime")]
    Runtime(#[source] std::io::Error),
    /// The registry refused or could not be reached.
    #[error("registry {url}")]
    Registry {
        /// The registry's URL.
        url: String,
        /// The cause.
        source: hotshelf_registry::Error,
    },
}

impl Error {
    /// 2 if a file or a flag must change before a retry can succeed, 3 if the gate refused, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Mapping { .. }
            | Self::Columns { .. }
            | Self::BadRows { .. }
            | Self::Broken { .. }
            | Self::Quote { .. }
            | Self::Embeddings { .. }
            | Self::Unusable(_)
            | Self::Argument(_)
            | Self::Packed { .. }
            | Self::Unreadable { .. } => 2,
            Self::Write { .. }
            | Self::Fit(_)
            | Self::Pack(_)
            | Self::Runtime(_)
            | Self::Registry { .. } => 1,
            Self::Gate { .. } => 3,
        }
    }
}

fn counted(count: u64, noun: &str) -> String {
    format!("{count} {noun}{}", if count == 1 { "" } else { "s" })
}

fn indented<T: fmt::Display>(entries: &[T]) -> String {
    entries.iter().map(|entry| format!("\n  {entry}")).collect()
}

fn bad_rows_title(bad: u64, allowed_share: f64, complete: bool) -> String {
    let rows = if bad == 1 { "row" } else { "rows" };
    let share = allowed_share * 100.0;
    match (complete, allowed_share > 0.0) {
        (true, true) => format!("{bad} bad {rows}, more than the {share} % allowed by bad_rows"),
        (true, false) => format!("{bad} bad {rows}; bad_rows may allow a share of them"),
        (false, _) => format!("reading stopped after {bad} bad {rows}; bad_rows may allow a share"),
    }
}
