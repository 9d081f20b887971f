//! A bad event is rejected by index, field and reason, and harms no other.

use super::{NEVER, Storage, borrowed, record, refused, uploaded, view, views};
use crate::harness::{Season, Server, Shop, error_reason, violations};
use hotshelf::grpc::proto::Event;
use prost_types::Timestamp;
use std::time::SystemTime;
use tonic::Code;

#[tokio::test]
async fn server_without_events_url_refuses_events_and_names_the_setting() {
    let server = Server::start(&Shop::new(), &[]).await;
    let status = refused(record(&server, views(0, 1)).await, Code::FailedPrecondition);
    assert_eq!(error_reason(&status), "EVENTS_OFF");
    assert!(status.message().contains("events_url"), "{status:?}");
    server.stop().await;
}

/// An event with one change.
fn changed(id: &str, change: impl FnOnce(&mut Event)) -> Event {
    let mut event = view(id);
    change(&mut event);
    event
}

fn seconds_from_now(seconds: i64) -> Option<Timestamp> {
    let mut at = Timestamp::from(SystemTime::now());
    at.seconds += seconds;
    Some(at)
}

const DAY_S: i64 = 86_400;

/// Events with one bad field, each beside its name.
fn bad_events() -> Vec<(&'static str, Event)> {
    let long = || "x".repeat(257);
    let at = |seconds| move |e: &mut Event| e.occurred_at = seconds_from_now(seconds);
    vec![
        ("occurred_at", changed("b1", at(6 * 60))),
        ("occurred_at", changed("b2", at(-91 * DAY_S))),
        ("type", changed("b3", |e| e.r#type = "like".to_owned())),
        ("quantity", changed("b4", |e| e.quantity = Some(-1.0))),
        (
            "order_value",
            changed("b5", |e| e.order_value = Some(f64::NAN)),
        ),
        ("event_id", view(long())),
        ("event_id", view("")),
        ("product_id", changed("b6", |e| e.product_id = long())),
        ("user_id", changed("b7", |e| e.user_id.clear())),
        ("answer_id", changed("b8", |e| e.answer_id = long())),
    ]
}

fn good_events() -> [Event; 3] {
    let anonymous = |e: &mut Event| {
        e.user_id.clear();
        e.session_id = "s".to_owned();
    };
    [
        changed("g0", |e| e.r#type = "wish_list".to_owned()),
        changed("g1", |e| e.occurred_at = seconds_from_now(-89 * DAY_S)),
        changed("g2", anonymous),
    ]
}

#[tokio::test]
async fn bad_events_are_rejected_by_index_and_field_and_the_others_recorded() {
    let storage = Storage::new();
    let mut settings = storage.settings(NEVER).to_vec();
    settings.push(("event-types", "wish_list".to_owned()));
    let server = Server::start(&Shop::new(), &borrowed(&settings)).await;
    let bad = bad_events();
    // Good ones between the bad ones, so that an index cannot be right by chance.
    let fields: Vec<_> = bad.iter().map(|(field, _)| *field).collect();
    let mut batch = vec![view("first")];
    batch.extend(bad.into_iter().map(|(_, event)| event));
    batch.extend(good_events());
    let answer = record(&server, batch).await.unwrap();
    assert_eq!(
        (answer.accepted, answer.rejected, answer.duplicates),
        (4, 10, 0)
    );
    let named: Vec<_> = answer
        .rejections
        .iter()
        .map(|one| (one.index, &*one.field))
        .collect();
    let expected: Vec<_> = (1..).zip(fields).collect();
    assert_eq!(named, expected);
    assert!(answer.rejections.iter().all(|one| !one.reason.is_empty()));
    let scrape = server.scrape().await;
    for (field, count) in [("event_id", 2.0), ("occurred_at", 2.0), ("type", 1.0)] {
        let labels = [("field", field)];
        assert_eq!(
            scrape.value("hotshelf_events_rejected_total", &labels),
            Some(count),
            "{field}"
        );
    }
    server.stop().await;
    assert_eq!(uploaded(&storage.root()), ["first", "g0", "g1", "g2"]);
}

#[tokio::test]
async fn thousand_events_of_the_longest_ids_are_taken_and_one_more_is_refused() {
    let storage = Storage::new();
    let server = Server::start(&Shop::new(), &borrowed(&storage.settings(NEVER))).await;
    let longest = |n: usize| {
        let id = format!("{n:0256}");
        Event {
            user_id: id.clone(),
            session_id: id.clone(),
            product_id: id.clone(),
            answer_id: id.clone(),
            ..view(id)
        }
    };
    let answer = record(&server, (0..1_000).map(longest).collect())
        .await
        .unwrap();
    assert_eq!((answer.accepted, answer.rejected), (1_000, 0));
    let status = refused(
        record(&server, views(0, 1_001)).await,
        Code::InvalidArgument,
    );
    assert_eq!(violations(&status), ["events"]);
    assert!(
        status
            .message()
            .contains("1001 events exceed the limit of 1000"),
        "{status:?}"
    );
    assert_eq!(record(&server, Vec::new()).await.unwrap().accepted, 0);
    server.stop().await;
}

#[tokio::test]
async fn product_that_no_version_knows_is_recorded_and_counted_apart() {
    let (shop, storage) = (Shop::new(), Storage::new());
    shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, 1, &borrowed(&storage.settings(NEVER))).await;
    let unknown = Event {
        product_id: "not-yet".to_owned(),
        ..view("e1")
    };
    let answer = record(&server, vec![view("e0"), unknown]).await.unwrap();
    assert_eq!((answer.accepted, answer.unknown_products), (2, 1));
    let scrape = server.scrape().await;
    assert_eq!(
        scrape.value("hotshelf_events_unknown_product_total", &[]),
        Some(1.0)
    );
    server.stop().await;
    assert_eq!(uploaded(&storage.root()), ["e0", "e1"]);
}

#[tokio::test]
async fn second_server_on_the_same_events_folder_is_refused_by_name() {
    let (shop, storage) = (Shop::new(), Storage::new());
    let settings = storage.settings(NEVER);
    let server = Server::start(&shop, &borrowed(&settings)).await;
    let cache = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_hotshelf"));
    command.env_clear().args([
        "serve",
        "--registry",
        &shop.url(),
        "--data-addr",
        "127.0.0.1:0",
    ]);
    command.args([
        "--admin-addr",
        "127.0.0.1:0",
        "--http-addr",
        "127.0.0.1:0",
        "--cache-dir",
    ]);
    command.arg(cache.path());
    for (key, value) in &settings {
        command.arg(format!("--{key}")).arg(value);
    }
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    let folder = storage.segments().display().to_string();
    assert!(
        said.contains(&folder) && said.contains("in use by another process"),
        "{said}"
    );
    server.stop().await;
}
