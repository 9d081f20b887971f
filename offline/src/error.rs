//! What can go wrong, by what the caller can do about it.
//!
//! Everything a person can put right in a file or a flag leaves the process with exit code 2 and
//! names file, row and column; everything else with 1. Texts are one line, or one line a problem;
//! causes are sources, which the binary prints behind them.

use std::fmt;
use std::path::PathBuf;

/// One mistake in a mapping file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// Line of the file, from 1.
    pub line: usize,
    /// Dotted path of the key; empty where the file as a whole is meant.
    pub key: String,
    /// What is wrong with it, as the end of a sentence that the key begins.
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

/// One row that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadRow {
    /// File the row stands in, as the mapping names it.
    pub file: String,
    /// Line on which the row begins, from 1; the header is line 1.
    pub line: u64,
    /// Why, with the column named where one is to blame.
    pub reason: String,
}

impl fmt::Display for BadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}, line {}: {}", self.file, self.line, self.reason)
    }
}

/// Everything that this crate's functions return as an error.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The mapping file has mistakes; all of them are listed.
    #[error("{}: {}{}", file.display(), counted(problems.len() as u64, "problem"), indented(problems))]
    Mapping {
        /// The mapping file.
        file: PathBuf,
        /// Every mistake, in the order of the file.
        problems: Vec<Problem>,
    },
    /// A data file lacks columns that the mapping names, or has them twice.
    #[error("{file}, line 1: {}; its columns are: {}", problems.join("; "), columns.join(", "))]
    Columns {
        /// The data file.
        file: String,
        /// One sentence for each column that is missing or ambiguous.
        problems: Vec<String>,
        /// The header as it stands.
        columns: Vec<String>,
    },
    /// More rows are bad than the mapping allows.
    #[error("{}{}", bad_rows_title(*bad, *allowed_share, *complete), indented(first))]
    BadRows {
        /// How many were found.
        bad: u64,
        /// The share that the mapping allows, 0 to 1.
        allowed_share: f64,
        /// Whether all rows were looked at (with a share of 0 reading stops early).
        complete: bool,
        /// The first few.
        first: Vec<BadRow>,
    },
    /// A data file cannot be read as what it claims to be, from a certain place on.
    #[error("{file}, after line {line}: {why}")]
    Broken {
        /// The data file.
        file: String,
        /// The last line that was read.
        line: u64,
        /// What is wrong.
        why: String,
    },
    /// A shop's own embeddings cannot be used.
    #[error("{file}: {}{}", counted(*bad, "problem"), indented(first))]
    Embeddings {
        /// The matrix or the file of ids.
        file: String,
        /// How many rows, or 1 where the file as a whole is to blame.
        bad: u64,
        /// The first few, with row and id.
        first: Vec<String>,
    },
    /// The data are readable but cannot be trained on or evaluated.
    #[error("{0}")]
    Unusable(String),
    /// An argument has no sense, alone or together with another.
    #[error("{0}")]
    Argument(String),
    /// A folder that should hold a packed model does not, or was altered.
    #[error("{}: not a usable packed model: {why}", folder.display())]
    Packed {
        /// The folder.
        folder: PathBuf,
        /// What is missing or differs.
        why: String,
    },
    /// A file that was named does not exist or may not be read.
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
    /// 2 where a file or a flag must change before another try can succeed, else 1.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Mapping { .. }
            | Self::Columns { .. }
            | Self::BadRows { .. }
            | Self::Broken { .. }
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
