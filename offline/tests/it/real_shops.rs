//! The two public shops in full, where their folder lies beside the checkout.

use std::io::Write;
use std::path::PathBuf;

use hotshelf_offline::{IngestOptions, IngestReport, Mapping, Progress, Shop, read_shop};

use crate::harness::repository;

/// The shop, or None with the skip printed.
fn shop(file: &str, mapping: &str) -> Option<(Shop, IngestReport)> {
    let folder: PathBuf = repository().join("../shared/data");
    if !folder.join(file).exists() {
        // Written past the test runner's capture, which hides what passing tests print.
        let (mut stderr, missing) = (std::io::stderr(), folder.join(file));
        writeln!(stderr, "SKIPPED: {} is not there", missing.display()).unwrap();
        return None;
    }
    let mapping = Mapping::parse(&folder.join("shop.toml"), mapping).unwrap();
    Some(read_shop(&mapping, IngestOptions::default(), Progress::silent()).unwrap())
}

#[test]
fn online_retail_counts_are_the_published_ones() {
    let mapping = include_str!("shops/online_retail.toml");
    let Some((shop, report)) = shop("online_retail.csv.gz", mapping) else {
        return;
    };
    let report = report.events;
    let dropped: Vec<_> = report
        .dropped
        .iter()
        .map(|d| (d.reason.as_str(), d.rows))
        .collect();
    assert_eq!(
        (report.rows, report.kept, report.bad_rows),
        (541_909, 397_884, 0)
    );
    assert_eq!(
        report.rows,
        report.kept + report.dropped.iter().map(|d| d.rows).sum::<u64>()
    );
    assert_eq!(dropped[0], ("cancelled invoices", 9_288));
    assert_eq!((shop.users_len(), shop.products_len()), (4_338, 3_665));
    assert_eq!((shop.events_len(), shop.pairs_len()), (397_884, 266_792));
}

#[test]
fn complete_journey_counts_are_the_published_ones() {
    let mapping = include_str!("shops/complete_journey.toml");
    let Some((shop, report)) = shop("complete_journey/products.csv.gz", mapping) else {
        return;
    };
    assert_eq!((report.events.rows, report.events.kept), (100_000, 100_000));
    assert_eq!((shop.users_len(), shop.products_len()), (2_405, 23_950));
    assert_eq!(shop.sessions, Some(56_625));
    assert_eq!(report.catalogue.unwrap().kept, 92_331);
}
