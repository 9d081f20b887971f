//! The store is away, the disk is full: events are refused before anything acknowledged is lost, and answers
//! go on.

use super::{NEVER, Storage, borrowed, ids, record, uploaded, view, views};
use crate::harness::{Season, Server, Shop, error_reason, hotshelf, until};
use crate::tools::s3_server::{Kind, S3Server};
use crate::tools::{self, Tool};
use tonic::Code;

#[tokio::test]
async fn store_that_is_away_delays_uploads_and_shows_in_status_and_metrics() {
    let (shop, storage) = (Shop::new(), Storage::new());
    // No object can be created below a file.
    std::fs::write(storage.root(), "no folder").unwrap();
    let server = Server::start(&shop, &borrowed(&storage.settings(10))).await;
    assert_eq!(record(&server, views(0, 10)).await.unwrap().accepted, 10);
    until("a failed upload", async || {
        let scrape = server.scrape().await;
        scrape
            .value("hotshelf_event_upload_failures_total", &[])
            .filter(|count| *count > 0.0)
    })
    .await;
    let status = server.status().await.events.unwrap();
    assert!(status.upload_error.contains("uploading"), "{status:?}");
    assert!(
        status.held_bytes > 0 && status.uploaded_at.is_none(),
        "{status:?}"
    );
    let shown = hotshelf(&["status", "--admin-addr", &server.admin.to_string()]);
    assert!(
        shown.text().contains("last upload none yet; failing:"),
        "{}",
        shown.text()
    );
    // More is taken meanwhile.
    assert_eq!(record(&server, views(10, 10)).await.unwrap().accepted, 10);
    std::fs::remove_file(storage.root()).unwrap();
    until("the uploads", async || {
        (uploaded(&storage.root()) == ids(0, 20)).then_some(())
    })
    .await;
    until("a status without error", async || {
        let status = server.status().await.events.unwrap();
        (status.upload_error.is_empty() && status.uploaded_at.is_some()).then_some(())
    })
    .await;
    server.stop().await;
    assert_eq!(uploaded(&storage.root()), ids(0, 20));
}

#[tokio::test]
async fn events_beyond_the_disk_limit_are_refused_until_the_store_is_back_and_answers_go_on() {
    let (shop, storage) = (Shop::new(), Storage::new());
    shop.publish(Season::Spring).await;
    std::fs::write(storage.root(), "no folder").unwrap();
    let mut settings = storage.settings(10).to_vec();
    settings.push(("events-disk-bytes-max", "65536".to_owned()));
    let server = Server::serving(&shop, 1, &borrowed(&settings)).await;
    let mut taken = 0;
    let status = loop {
        match record(&server, views(taken, 100)).await {
            Ok(answer) => assert_eq!(answer.accepted, 100),
            Err(status) => break status,
        }
        taken += 100;
    };
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(error_reason(&status), "EVENTS_REFUSED");
    assert!(
        status.message().contains("the limit is 65536"),
        "{status:?}"
    );
    assert!(taken > 0);
    server.recommend("u0001").await.unwrap();
    let refusals = server.scrape().await;
    let full = refusals.value(
        "hotshelf_event_batches_refused_total",
        &[("reason", "full")],
    );
    assert_eq!(full, Some(1.0));
    std::fs::remove_file(storage.root()).unwrap();
    // The very batch that was refused is new when it is sent again.
    let answer = until("room", async || {
        record(&server, views(taken, 100)).await.ok()
    })
    .await;
    assert_eq!(answer.accepted, 100);
    server.stop().await;
    assert_eq!(uploaded(&storage.root()), ids(0, taken + 100));
}

#[tokio::test]
async fn server_that_stops_while_the_store_is_away_leaves_its_events_for_the_next_start() {
    let (shop, storage) = (Shop::new(), Storage::new());
    std::fs::write(storage.root(), "no folder").unwrap();
    let mut server = Server::start(&shop, &borrowed(&storage.settings(NEVER))).await;
    record(&server, views(0, 4)).await.unwrap();
    server.signal(rustix::process::Signal::TERM);
    let left = "events stay on disk; the next start on this folder uploads them";
    until("the warning", async || {
        (server.times_logged(left) == 1).then_some(())
    })
    .await;
    assert_eq!(server.ended().await.code(), Some(0));
    std::fs::remove_file(storage.root()).unwrap();
    Server::start(&shop, &borrowed(&storage.settings(NEVER)))
        .await
        .stop()
        .await;
    assert_eq!(uploaded(&storage.root()), ids(0, 4));
}

#[tokio::test]
async fn events_reach_a_bucket() {
    let Some(program) = tools::find(Tool::Versitygw) else {
        return;
    };
    let folder = Shop::bucket_folder();
    let store = S3Server::own(Kind::Versitygw, program, folder.path()).await;
    let shop = Shop::in_bucket(&folder, &store.endpoint());
    let storage = Storage::new();
    let settings = [
        ("events-url", "s3://shelf/people".to_owned()),
        ("events-dir", storage.segments().display().to_string()),
    ];
    let server = Server::start(&shop, &borrowed(&settings)).await;
    record(&server, vec![view("e0"), view("e1")]).await.unwrap();
    server.stop().await;
    let root = folder.path().join("data").join("shelf").join("people");
    assert_eq!(uploaded(&root), ["e0", "e1"]);
}

#[tokio::test]
async fn events_url_that_is_no_store_stops_the_start_and_is_named() {
    let run = hotshelf(&[
        "serve",
        "--registry",
        "memory:///",
        "--events-url",
        "gs://people",
    ]);
    let said = run.refusal(2);
    assert!(
        said.contains("--events-url") && said.contains("is not a store"),
        "{said}"
    );
    let run = hotshelf(&["serve", "--registry", "memory:///", "--event-types", "Like"]);
    assert!(
        run.refusal(2)
            .contains("--event-types: \"Like\" is not a list of event types"),
        "{run:?}"
    );
}
