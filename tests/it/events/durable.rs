//! An acknowledged event survives kill -9, and reaches the store once.

use super::{NEVER, Storage, borrowed, ids, objects, record, uploaded, view, views};
use crate::harness::{Server, Shop, until};
use rustix::process::Signal;
use std::collections::BTreeSet;

#[tokio::test]
async fn end_of_a_drain_uploads_everything() {
    let storage = Storage::new();
    let server = Server::start(&Shop::new(), &borrowed(&storage.settings(NEVER))).await;
    record(&server, views(0, 30)).await.unwrap();
    assert_eq!(uploaded(&storage.root()).len(), 0);
    server.stop().await;
    assert_eq!(uploaded(&storage.root()), ids(0, 30));
    let left = std::fs::read_dir(storage.segments()).unwrap();
    let left = left.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let left: BTreeSet<_> = left.collect();
    assert_eq!(
        left,
        [".lock", ".writer", "000000000001.ids"]
            .map(str::to_owned)
            .into()
    );
}

#[tokio::test]
async fn killed_server_loses_no_acknowledged_event_and_doubles_none() {
    let (shop, storage) = (Shop::new(), Storage::new());
    let settings = storage.settings(20);
    let (mut acknowledged, mut sent) = (BTreeSet::new(), 0);
    // Segments of 20 ms: the kill comes while events are written, sealed, uploaded and removed.
    for round in 0..6 {
        let mut server = Server::start(&shop, &borrowed(&settings)).await;
        let enough = 5 + 15 * round;
        for count in 0.. {
            if count == enough {
                server.signal(Signal::KILL);
            }
            let batch = views(sent, 7);
            match record(&server, batch).await {
                // Sent again below: an event whose answer was lost may be recorded.
                Err(_) if count >= enough => break,
                answer => assert_eq!(answer.unwrap().rejected, 0),
            }
            acknowledged.extend(ids(sent, 7));
            sent += 7;
        }
        server.ended().await;
    }
    let server = Server::start(&shop, &borrowed(&settings)).await;
    record(&server, views(sent, 7)).await.unwrap();
    acknowledged.extend(ids(sent, 7));
    server.stop().await;
    let found = uploaded(&storage.root());
    let once: BTreeSet<String> = found.iter().cloned().collect();
    assert_eq!(found.len(), once.len(), "none twice");
    assert_eq!(once, acknowledged);
}

#[tokio::test]
async fn event_killed_between_its_acknowledgement_and_its_upload_is_uploaded_by_the_next_start() {
    let (shop, storage) = (Shop::new(), Storage::new());
    let settings = storage.settings(NEVER);
    let mut server = Server::start(&shop, &borrowed(&settings)).await;
    record(&server, views(0, 5)).await.unwrap();
    server.signal(Signal::KILL);
    server.ended().await;
    assert_eq!(uploaded(&storage.root()).len(), 0);
    let mut server = Server::start(&shop, &borrowed(&settings)).await;
    let found = server.logged("found events of an earlier run").await;
    assert_eq!(found["events"], 5);
    // Nobody sends anything: the segment of the earlier run is uploaded all the same.
    until("the upload", async || {
        (uploaded(&storage.root()) == ids(0, 5)).then_some(())
    })
    .await;
    // And its ids are known.
    let answer = record(&server, views(3, 4)).await.unwrap();
    assert_eq!((answer.duplicates, answer.accepted), (2, 2));
    server.stop().await;
    assert_eq!(uploaded(&storage.root()), ids(0, 7));
}

#[tokio::test]
async fn event_id_counts_once_within_a_batch_and_across_batches() {
    let storage = Storage::new();
    let server = Server::start(&Shop::new(), &borrowed(&storage.settings(NEVER))).await;
    let twice = vec![view("a"), view("b"), view("a")];
    let answer = record(&server, twice).await.unwrap();
    assert_eq!((answer.accepted, answer.duplicates), (2, 1));
    let again = record(&server, vec![view("b"), view("c")]).await.unwrap();
    assert_eq!((again.accepted, again.duplicates), (1, 1));
    let scrape = server.scrape().await;
    assert_eq!(
        scrape.value("hotshelf_events_duplicate_total", &[]),
        Some(2.0)
    );
    let accepted = scrape.value("hotshelf_events_accepted_total", &[("type", "view")]);
    assert_eq!(accepted, Some(3.0));
    server.stop().await;
    assert_eq!(uploaded(&storage.root()), ["a", "b", "c"]);
}

#[tokio::test]
async fn objects_lie_under_the_day_of_acceptance_by_replica_and_sorted_by_time() {
    let storage = Storage::new();
    let mut settings = storage.settings(NEVER).to_vec();
    settings.push(("replica", "shop-0".to_owned()));
    let server = Server::start(&Shop::new(), &borrowed(&settings)).await;
    let at = |seconds_ago: i64| {
        let now = std::time::SystemTime::now();
        let mut at = prost_types::Timestamp::from(now);
        at.seconds -= seconds_ago;
        Some(at)
    };
    for (id, seconds_ago) in [("late", 10), ("early", 3 * 86_400), ("middle", 3_600)] {
        let mut event = view(id);
        event.occurred_at = at(seconds_ago);
        record(&server, vec![event]).await.unwrap();
    }
    server.stop().await;
    let paths = objects::paths(&storage.root());
    assert_eq!(paths.len(), 1, "{paths:?}");
    let day = paths[0]
        .parent()
        .unwrap()
        .file_name()
        .unwrap()
        .to_string_lossy();
    let today = jiff::Timestamp::now().strftime("date=%Y-%m-%d").to_string();
    let yesterday = jiff::Timestamp::now() - jiff::SignedDuration::from_hours(24);
    let yesterday = yesterday.strftime("date=%Y-%m-%d").to_string();
    assert!([today, yesterday].contains(&day.to_string()), "{day}");
    let name = paths[0].file_name().unwrap().to_string_lossy();
    assert!(name.starts_with("shop-0-000000000001-"), "{name}");
    let rows = objects::read(&paths[0]);
    let order: Vec<_> = rows.iter().map(|row| &*row.event_id).collect();
    assert_eq!(order, ["early", "middle", "late"]);
    assert!(rows.iter().all(|row| row.event_type == "view"));
    assert!(rows.is_sorted_by_key(|row| row.occurred_at));
}
