//! Accounts of what was read: which files, and what became of every row.

use std::path::PathBuf;

use hotshelf_registry::Sha256Digest;
use serde::Serialize;

/// Accounts of everything that was read for a shop.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IngestReport {
    /// Of the events' files.
    pub events: SourceReport,
    /// Of the catalogue's files, if there are any.
    pub catalogue: Option<SourceReport>,
    /// Of the join of events and catalogue files, if there are any.
    pub catalogue_join: Option<JoinReport>,
    /// Of the shop's own embeddings, if there are any.
    pub embeddings: Option<EmbeddingsReport>,
}

/// How many products of the events and of another source match.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct JoinReport {
    /// Products on both sides.
    pub matched: usize,
    /// Products with events that the other source lacks.
    pub events_only: usize,
    /// Products of the other source without events.
    pub other_only: usize,
}

impl IngestReport {
    /// Every file that was read.
    pub fn files(&self) -> impl Iterator<Item = &FileReport> {
        let sources = std::iter::once(&self.events).chain(&self.catalogue);
        let files = sources.flat_map(|source| &source.files);
        let embeddings = self.embeddings.iter();
        files.chain(embeddings.flat_map(|report| [&report.matrix, &report.ids]))
    }
}

/// Accounts for the rows of one source: rows = kept + dropped + bad.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// The files that were read.
    pub files: Vec<FileReport>,
    /// Rows, headers aside.
    pub rows: u64,
    /// Rows dropped by each rule, in the mapping's order.
    pub dropped: Vec<Dropped>,
    /// Rows that could not be parsed.
    pub bad_rows: u64,
    /// The file that bad rows were quarantined in.
    #[serde(rename = "set_aside")]
    pub quarantine: Option<PathBuf>,
    /// Rows that were kept.
    pub kept: u64,
}

/// One file that was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// As the mapping names it.
    pub name: String,
    /// Of the file as stored on disk.
    pub sha256: Sha256Digest,
    /// Rows, the header aside.
    pub rows: u64,
}

/// Rows dropped for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The rule's name.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// Accounts for the shop's own embeddings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct EmbeddingsReport {
    /// The matrix.
    pub matrix: FileReport,
    /// The ids of its rows.
    pub ids: FileReport,
    /// Length of a row.
    pub dimension: usize,
    /// Products with an embedding.
    pub products_with: usize,
    /// Products of the shop without one.
    pub products_without: usize,
    /// Ids unknown to the shop; their rows are ignored.
    pub unknown_ids: usize,
}
