//! Uploads segments for as long as the server runs, and the rest when it ends.

use super::config::FINAL_UPLOAD_MAX;
use super::record::Events;
use crate::error::with_causes;
use crate::supervisor::Supervised;
use hotshelf_event_log::{Error, Uploader, Uploads};
use std::sync::Arc;
use tokio_util::sync::CancellationToken;

/// The supervised task; a clone of it ends the log.
#[derive(Clone)]
pub struct UploadEvents {
    uploader: Uploader,
    events: Arc<Events>,
}

impl UploadEvents {
    pub(super) fn new(uploader: Uploader, events: Arc<Events>) -> Self {
        Self { uploader, events }
    }

    /// Seals the last segment and uploads everything, within [`FINAL_UPLOAD_MAX`]. For the end of a drain,
    /// once no caller is left and the task has stopped. What cannot be uploaded stays on disk.
    pub async fn finish(self) {
        let upload = async {
            self.events.log.seal().await?;
            self.uploader.upload_sealed(|one| self.done(one)).await
        };
        let why = match tokio::time::timeout(FINAL_UPLOAD_MAX, upload).await {
            Ok(Ok(())) => {
                tracing::info!("all events are uploaded");
                return;
            }
            Ok(Err(error)) => with_causes(&error),
            Err(_) => format!("timed out after {} s", FINAL_UPLOAD_MAX.as_secs()),
        };
        let held_bytes = self.events.log.held_bytes();
        tracing::warn!(
            why,
            held_bytes,
            "events stay on disk; the next start on this folder uploads them"
        );
    }

    fn done(&self, uploaded: Uploads) {
        let metrics = &self.events.metrics;
        metrics.uploaded.inc_by(uploaded.events);
        metrics.objects.inc_by(uploaded.objects);
        metrics.uploaded_bytes.inc_by(uploaded.bytes);
        metrics.held_bytes.set(self.events.held_bytes());
        self.events.uploads.succeeded();
    }

    fn failed(&self, error: &Error) {
        self.events.metrics.upload_failures.inc();
        self.events.uploads.failed(with_causes(error));
    }
}

impl Supervised for UploadEvents {
    /// Ends, and so shows as failing, where the log's writer has ended: nothing is accepted then.
    async fn run(&mut self, stop: &CancellationToken) {
        tokio::select! {
            () = stop.cancelled() => {}
            () = self.events.log.closed() => tracing::error!("the writer of the event log has ended"),
            () = self.uploader.run(|one| self.done(one), |error| self.failed(error)) => {}
        }
    }
}
