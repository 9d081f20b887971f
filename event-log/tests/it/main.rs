//! The log as a server uses it: on a real disk, killed, and before stores that fail.

#![allow(clippy::unwrap_used, reason = "tests may stop at the first failure")]

mod durability;
mod kill;
mod uploads;

use hotshelf_event_log::{Event, EventLog, Limits};
use std::path::Path;
use std::time::Duration;

/// 2026-11-30T12:00:00Z.
const NOON: i64 = 1_796_040_000_000_000;

fn event(id: &str) -> Event {
    Event {
        event_id: id.to_owned(),
        user_id: Some("u1".to_owned()),
        session_id: None,
        product_id: "p1".to_owned(),
        event_type: "view".to_owned(),
        occurred_at: NOON - 1_000_000,
        accepted_at: NOON,
        quantity: None,
        order_value: None,
        answer_id: None,
    }
}

fn events(from: usize, count: usize) -> Vec<Event> {
    (from..from + count)
        .map(|n| event(&format!("e{n}")))
        .collect()
}

/// Small segments, sealed by size and request alone.
fn limits() -> Limits {
    Limits {
        segment_age: Duration::from_secs(3_600),
        ..Limits::default()
    }
}

fn open(folder: &Path) -> EventLog {
    EventLog::open(folder, limits()).unwrap().0
}

/// Ends a log as a server does.
async fn close(log: EventLog) {
    log.seal().await.unwrap();
}
