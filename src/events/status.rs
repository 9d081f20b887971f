//! How uploads stand, for status.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

/// Events of one server, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsStatus {
    /// Root of the Parquet objects.
    pub url: String,
    /// Bytes on this server's disk that are not uploaded yet.
    pub held_bytes: u64,
    /// People whose recents are in memory; `None`: recents are off.
    pub recents: Option<u64>,
    /// The last upload of this process.
    pub uploaded_at: Option<SystemTime>,
    /// Why the last one failed; empty if it did not.
    pub upload_error: String,
}

/// What the uploader reports.
pub(super) struct UploadState {
    url: String,
    last: Mutex<LastUpload>,
}

#[derive(Default)]
struct LastUpload {
    at: Option<SystemTime>,
    error: String,
}

impl UploadState {
    pub(super) fn new(url: &str) -> Self {
        Self {
            url: url.to_owned(),
            last: Mutex::default(),
        }
    }

    pub(super) fn succeeded(&self) {
        *self.last() = LastUpload {
            at: Some(SystemTime::now()),
            error: String::new(),
        };
    }

    pub(super) fn failed(&self, error: String) {
        self.last().error = error;
    }

    pub(super) fn status(&self, held_bytes: u64, recents: Option<u64>) -> EventsStatus {
        let last = self.last();
        EventsStatus {
            url: self.url.clone(),
            held_bytes,
            recents,
            uploaded_at: last.at,
            upload_error: last.error.clone(),
        }
    }

    /// Written without a panic between, so that a poisoned lock is as good.
    fn last(&self) -> MutexGuard<'_, LastUpload> {
        self.last.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
