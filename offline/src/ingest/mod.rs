//! From a shop's files to a [`Shop`]: one streaming pass over events, one over the catalogue.
//!
//! Rows are dropped by the mapping's rules (counted by rule), refused when they cannot be
//! understood (set aside within the mapping's allowance, counted), or kept. No row vanishes
//! uncounted: rows = kept + dropped + bad.

mod attributes;
mod catalogue;
mod embeddings;
mod events;
mod newlines;
mod quarantine;
mod records;
mod row;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::path::PathBuf;

pub use embeddings::EmbeddingsReport;
use hotshelf_registry::Sha256Digest;
use serde::Serialize;

use crate::error::Error;
use crate::mapping::Mapping;
use crate::progress::Progress;
use crate::shop::Shop;

/// What became of the rows of one source.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SourceReport {
    /// The files that were read.
    pub files: Vec<FileReport>,
    /// Rows without headers.
    pub rows: u64,
    /// Rows left out by each rule, in the mapping's order.
    pub dropped: Vec<Dropped>,
    /// Rows that could not be understood.
    pub bad_rows: u64,
    /// Where they were set aside.
    pub set_aside: Option<PathBuf>,
    /// Rows that count.
    pub kept: u64,
}

/// One file as it was read.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FileReport {
    /// As the mapping names it.
    pub name: String,
    /// Of the file as it lies on the disk.
    pub sha256: Sha256Digest,
    /// Rows without the header.
    pub rows: u64,
}

/// Rows left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Dropped {
    /// The rule's name.
    pub reason: String,
    /// How many.
    pub rows: u64,
}

/// Reads a shop. Events at or after `until_s` are left out and counted.
///
/// # Errors
/// Files that cannot be read, columns that are missing, more bad rows than allowed, no usable
/// event at all.
pub fn read_shop(
    mapping: &Mapping,
    until_s: Option<i64>,
    progress: Progress,
) -> Result<Shop, Error> {
    let from_events = mapping
        .catalogue
        .as_ref()
        .map(|catalogue| &catalogue.from_events);
    let mut events = events::EventsTaker::new(mapping, until_s, from_events);
    let events_report = table::read(&mapping.events.source, &mut events, progress)?;
    let read = events.into_read();
    if read.events.is_empty() {
        let why = "no event is left after the mapping's rules; nothing can be learnt";
        return Err(Error::Unusable(format!(
            "{}: {why}",
            mapping.file.display()
        )));
    }
    let files = mapping
        .catalogue
        .as_ref()
        .and_then(|catalogue| catalogue.files.as_ref());
    let (listed, catalogue_report) = match files {
        None => (catalogue::Listed::new(), None),
        Some(files) => {
            let mut products = catalogue::CatalogueTaker::new(files);
            let report = table::read(&files.source, &mut products, progress)?;
            (products.into_products(), Some(report))
        }
    };
    let mut catalogue = catalogue::merge(listed, &read.tallies, &read.products);
    let own = mapping
        .catalogue
        .as_ref()
        .and_then(|c| c.embeddings.as_ref());
    let embeddings_report = own
        .map(|files| embeddings::attach(files, &mut catalogue))
        .transpose()?;
    Ok(Shop {
        name: mapping.shop.clone(),
        users: read.users,
        products: read.products,
        kinds: read.kinds,
        events: read.events,
        catalogue,
        sessions: read.sessions,
        events_report,
        catalogue_report,
        embeddings_report,
    })
}
