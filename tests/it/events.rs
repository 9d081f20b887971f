//! Events from callers: validated one by one, durable before they are acknowledged, uploaded once.

mod bad_input;
mod durable;
mod objects;
mod outages;
mod recents;

use crate::harness::Server;
use hotshelf::grpc::proto::event_service_client::EventServiceClient;
use hotshelf::grpc::proto::{Event, RecordEventsRequest, RecordEventsResponse};
use std::path::{Path, PathBuf};
use tempfile::TempDir;
use tonic::transport::Endpoint;
use tonic::{Code, Status};

/// Where one server's events lie: its folder, and the store.
struct Storage {
    folder: TempDir,
}

impl Storage {
    fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    /// Segments of the server.
    fn segments(&self) -> PathBuf {
        self.folder.path().join("segments")
    }

    /// Root of the uploaded objects.
    fn root(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    /// Settings of a server with this segment age.
    fn settings(&self, segment_age_ms: u64) -> [(&'static str, String); 3] {
        [
            ("events-url", format!("file://{}", self.root().display())),
            ("events-dir", self.segments().display().to_string()),
            ("events-segment-age-ms", segment_age_ms.to_string()),
        ]
    }
}

/// Settings as the harness takes them.
fn borrowed<'a>(settings: &'a [(&'static str, String)]) -> Vec<(&'a str, &'a str)> {
    settings
        .iter()
        .map(|(key, value)| (*key, value.as_str()))
        .collect()
}

/// Longer than any test: events stay on disk until the server ends.
const NEVER: u64 = 86_400_000;

fn view(id: impl Into<String>) -> Event {
    Event {
        event_id: id.into(),
        user_id: "u0001".to_owned(),
        product_id: "p0001".to_owned(),
        r#type: "view".to_owned(),
        ..Event::default()
    }
}

/// This many views with ids from `first` on.
fn views(first: usize, count: usize) -> Vec<Event> {
    (first..first + count)
        .map(|n| view(format!("e{n}")))
        .collect()
}

async fn record(server: &Server, events: Vec<Event>) -> Result<RecordEventsResponse, Status> {
    // A server that was killed is a status and no panic.
    let to = Endpoint::from_shared(format!("http://{}", server.data)).unwrap();
    let mut client = EventServiceClient::new(to.connect_lazy());
    Ok(client
        .record_events(RecordEventsRequest { events })
        .await?
        .into_inner())
}

/// The event ids of all objects below a root, sorted.
fn uploaded(root: &Path) -> Vec<String> {
    let mut ids: Vec<String> = objects::read_all(root)
        .into_iter()
        .map(|row| row.event_id)
        .collect();
    ids.sort();
    ids
}

/// The sorted ids of `views(first, count)`.
fn ids(first: usize, count: usize) -> Vec<String> {
    let mut ids: Vec<_> = (first..first + count).map(|n| format!("e{n}")).collect();
    ids.sort();
    ids
}

#[track_caller]
fn refused<T: std::fmt::Debug>(outcome: Result<T, Status>, code: Code) -> Status {
    let status = outcome.unwrap_err();
    assert_eq!(status.code(), code, "{status:?}");
    status
}
