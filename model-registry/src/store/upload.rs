//! Writing objects that nobody else writes: parts under a fresh upload id.
//!
//! A bucket takes a large one in pieces, each with tries of its own:
//!
//! ```text
//! create ─▶ piece 0, 1, 2, … four at once ─▶ complete ─▶ done
//!                    │ fails for good           │ response lost: done, if the size is right
//!                    └──────────▶ abort ◀───────┘
//! ```

use super::backend::Kind;
use super::meaning::{Failure, write_error};
use super::{Error, Store};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::multipart::{MultipartStore, PartId};
use object_store::path::Path;
use object_store::{Error as StoreError, MultipartId, ObjectStoreExt};
use std::time::Duration;

/// Objects up to this size are written by one call (chosen: half a second at 32 MiB/s).
const SINGLE_BYTES_MAX: usize = 16 << 20;
/// Bytes of one piece of a larger object (chosen; S3 wants at least 5 MiB).
const PIECE_BYTES: usize = 8 << 20;
/// Pieces in flight at once (chosen).
const PIECES_PARALLEL: usize = 4;
/// Timeout of completing, in call timeouts (chosen: servers copy all pieces before they respond).
const COMPLETE_CALLS: u32 = 4;
/// A part, its upload's folder, the folder of all uploads, the model's: each may be new.
const SYNC_LEVELS: usize = 4;

impl Store {
    /// Writes an object at a path that only this writer uses; replaces what a failed try left.
    pub(crate) async fn write_own(
        &self,
        what: &str,
        path: &Path,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        let written = match self.backend.pieces() {
            Some(store) if bytes.len() > SINGLE_BYTES_MAX => {
                self.write_pieces(store, path, bytes).await
            }
            _ => {
                let call = || self.backend.objects.put(path, bytes.clone().into());
                self.with_retries(self.write_timeout(bytes), call)
                    .await
                    .map(drop)
            }
        };
        written.map_err(|failure| write_error(format!("writing {what}"), failure))?;
        self.sync(what, path).await
    }

    /// For as many calls as the object would have pieces.
    fn write_timeout(&self, bytes: &Bytes) -> Duration {
        let pieces = bytes.len().div_ceil(PIECE_BYTES).max(1);
        let pieces = u32::try_from(pieces).unwrap_or(u32::MAX);
        self.retry.call_timeout.saturating_mul(pieces)
    }

    async fn write_pieces(
        &self,
        store: &dyn MultipartStore,
        path: &Path,
        bytes: &Bytes,
    ) -> Result<(), Failure> {
        let timeout = self.retry.call_timeout;
        let id = self
            .with_retries(timeout, || store.create_multipart(path))
            .await?;
        let sent = self.send_pieces(store, (path, &id), bytes).await;
        let completed = match sent {
            Ok(parts) => self.complete(store, (path, &id), parts, bytes.len()).await,
            Err(failure) => Err(failure),
        };
        if completed.is_err() {
            // What cannot be aborted is left to the bucket's own rule for unfinished uploads; the
            // first failure is the one to report.
            let _aborted = tokio::time::timeout(timeout, store.abort_multipart(path, &id)).await;
        }
        completed
    }

    async fn send_pieces(
        &self,
        store: &dyn MultipartStore,
        (path, id): (&Path, &MultipartId),
        bytes: &Bytes,
    ) -> Result<Vec<PartId>, Failure> {
        let starts = (0..bytes.len()).step_by(PIECE_BYTES);
        let sent = starts.enumerate().map(|(index, start)| async move {
            let piece = bytes.slice(start..bytes.len().min(start + PIECE_BYTES));
            let call = || store.put_part(path, id, index, piece.clone().into());
            self.with_retries(self.retry.call_timeout, call).await
        });
        let sent = futures::stream::iter(sent).buffered(PIECES_PARALLEL);
        sent.try_collect().await
    }

    /// A completion whose response is lost finds no upload when it is retried. Only this upload writes
    /// to this path, so an object of the right size is its result.
    async fn complete(
        &self,
        store: &dyn MultipartStore,
        (path, id): (&Path, &MultipartId),
        parts: Vec<PartId>,
        len: usize,
    ) -> Result<(), Failure> {
        let timeout = self.retry.call_timeout.saturating_mul(COMPLETE_CALLS);
        let call = || store.complete_multipart(path, id, parts.clone());
        let Err(failure) = self.with_retries(timeout, call).await else {
            return Ok(());
        };
        let found = self
            .with_retries(timeout, || self.backend.objects.head(path))
            .await;
        match found {
            Ok(meta) if meta.size == len as u64 => Ok(()),
            _ => Err(failure),
        }
    }

    /// On local disk: makes the object and its name durable. Elsewhere that is the store's promise.
    pub(super) async fn sync(&self, what: &str, path: &Path) -> Result<(), Error> {
        let Kind::Disk(disk) = &self.backend.kind else {
            return Ok(());
        };
        let synced = async {
            let file = disk.place(path)?;
            for path in file.ancestors().take(SYNC_LEVELS) {
                let opened = tokio::fs::File::open(path).await.map_err(generic)?;
                opened.sync_all().await.map_err(generic)?;
            }
            Ok(())
        };
        let synced = match tokio::time::timeout(self.retry.call_timeout, synced).await {
            Ok(synced) => synced.map_err(|error: StoreError| Failure::Store(error)),
            Err(elapsed) => Err(Failure::TimedOut(elapsed)),
        };
        synced.map_err(|failure| write_error(format!("syncing {what}"), failure))
    }
}

fn generic(error: std::io::Error) -> StoreError {
    StoreError::Generic {
        store: "registry",
        source: Box::new(error),
    }
}
