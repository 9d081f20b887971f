//! Reads a shop's files into a [`Shop`]: one streaming pass over events, one over the catalogue.
//!
//! Each row is dropped by a rule of the mapping, refused as bad, or kept, and counted as such: rows
//! = kept + dropped + bad. Bad rows within the mapping's allowance are quarantined in a file.

mod attributes;
mod catalogue;
mod embeddings;
mod events;
mod join;
mod newlines;
mod quarantine;
mod quotes;
mod records;
mod report;
mod row;
mod source;
mod table;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

pub use report::{Dropped, EmbeddingsReport, FileReport, IngestReport, JoinReport, SourceReport};

use crate::error::Error;
use crate::mapping::Mapping;
use crate::outputs;
use crate::progress::Progress;
use crate::shop::Shop;
use join::Join;

/// Options of reading a shop.
#[derive(Debug, Clone, Copy, Default)]
pub struct IngestOptions {
    /// Events from this time on are dropped and counted.
    pub until_s: Option<i64>,
    /// Whether the files of `[evaluation] test` are left out.
    pub without_test: bool,
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
    let test = match options.without_test {
        true => &[],
        false => mapping.events.test.as_slice(),
    };
    let events_report = table::read(&mapping.events.source, test, &mut sink, progress)?;
    let read = sink.into_events();
    if read.events.is_empty() || read.test_from == Some(0) {
        let file = mapping.file.display();
        let why = "no event is left after the drop rules; there is nothing to train on";
        return Err(Error::Unusable(format!("{file}: {why}")));
    }
    let files = catalogue.and_then(|catalogue| catalogue.files.as_ref());
    let (listed, catalogue_report) = match files {
        None => (None, None),
        Some(files) => {
            let mut sink = catalogue::CatalogueSink::new(files);
            let report = table::read(&files.source, &[], &mut sink, progress)?;
            (Some(sink.into_products()), Some(report))
        }
    };
    let mut shop = Shop {
        name: mapping.shop.clone(),
        users: read.users,
        products: read.products,
        kinds: read.kinds,
        events: read.events,
        observed: read.observed,
        listed,
        embeddings: HashMap::new(),
        sessions: read.sessions,
        has_times: mapping.events.columns.timestamp.is_some(),
        test_from: read.test_from,
    };
    let refuse = |why: String| Error::Unusable(format!("{}: {why}", mapping.file.display()));
    let at_least = catalogue.map_or(0.0, |catalogue| catalogue.matched_at_least);
    let catalogue_join = shop.listed.as_ref().map(|listed| Join {
        with_events: shop.ids_with_events().collect(),
        other: listed.keys().map(String::as_str).collect(),
        other_name: "the catalogue",
    });
    let catalogue_join = catalogue_join.map(|join| join.check(at_least));
    let catalogue_join = catalogue_join.transpose().map_err(refuse)?;
    let own = catalogue.and_then(|catalogue| catalogue.embeddings.as_ref());
    let embeddings_report = match own {
        None => None,
        Some(files) => {
            let (embeddings, report) = embeddings::read(files, &shop.product_ids(), at_least)?;
            shop.embeddings = embeddings;
            Some(report)
        }
    };
    let report = IngestReport {
        events: events_report,
        catalogue: catalogue_report,
        catalogue_join,
        embeddings: embeddings_report,
    };
    Ok((shop, report))
}
