//! Reads a shop's files into a [`Shop`]: one streaming pass over events, one over the catalogue.
//!
//! Each row is dropped by a rule of the mapping, refused as bad, or kept, and counted as such: rows =
//! kept + dropped + bad. Bad rows within the mapping's allowance are quarantined in a file.

mod attributes;
mod catalogue;
mod embeddings;
mod events;
mod newlines;
mod quarantine;
mod records;
mod report;
mod row;
mod source;
mod table;
#[cfg(test)]
mod tests;

pub use report::{Dropped, EmbeddingsReport, FileReport, IngestReport, SourceReport};

use crate::error::Error;
use crate::mapping::Mapping;
use crate::outputs;
use crate::progress::Progress;
use crate::shop::Shop;

/// Options of reading a shop.
#[derive(Debug, Clone, Copy, Default)]
pub struct IngestOptions {
    /// Events from this time on are dropped and counted.
    pub until_s: Option<i64>,
    /// Whether quarantine files may replace files that no earlier run wrote.
    pub force: bool,
}

/// Reads a shop.
///
/// # Errors
/// Outputs that are inputs, files that cannot be read, missing columns, more bad rows than allowed,
/// no usable event.
pub fn read_shop(
    mapping: &Mapping,
    options: IngestOptions,
    progress: Progress,
) -> Result<(Shop, IngestReport), Error> {
    let quarantines = mapping.quarantines();
    outputs::check(&mapping.inputs(), &quarantines)?;
    for output in &quarantines {
        outputs::check_replaceable(output, quarantine::is_quarantine, options.force)?;
    }
    let catalogue = mapping.catalogue.as_ref();
    let from_events = catalogue.map(|catalogue| &catalogue.from_events);
    let mut sink = events::EventSink::new(mapping, options.until_s, from_events);
    let events_report = table::read(&mapping.events.source, &mut sink, progress)?;
    let read = sink.into_events();
    if read.events.is_empty() {
        let file = mapping.file.display();
        let why = "no event is left after the drop rules; there is nothing to train on";
        return Err(Error::Unusable(format!("{file}: {why}")));
    }
    let files = catalogue.and_then(|catalogue| catalogue.files.as_ref());
    let (listed, catalogue_report) = match files {
        None => (catalogue::Listed::new(), None),
        Some(files) => {
            let mut products = catalogue::CatalogueSink::new(files);
            let report = table::read(&files.source, &mut products, progress)?;
            (products.into_products(), Some(report))
        }
    };
    let mut products = catalogue::merge(listed, &read.attributes, &read.products);
    let own = catalogue.and_then(|catalogue| catalogue.embeddings.as_ref());
    let embeddings_report = own
        .map(|files| embeddings::attach(files, &mut products))
        .transpose()?;
    let shop = Shop {
        name: mapping.shop.clone(),
        users: read.users,
        products: read.products,
        kinds: read.kinds,
        events: read.events,
        catalogue: products,
        has_catalogue_files: catalogue_report.is_some(),
        sessions: read.sessions,
    };
    let report = IngestReport {
        events: events_report,
        catalogue: catalogue_report,
        embeddings: embeddings_report,
    };
    Ok((shop, report))
}
