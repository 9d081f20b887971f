//! Writing objects that nobody else writes: parts under a fresh upload id.

use super::meaning::{Failure, write_error};
use super::{Error, Store};
use bytes::Bytes;
use futures::{StreamExt, TryStreamExt};
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectStoreExt};

/// Objects up to this size are written by one call (chosen: half a second at 32 MiB/s).
const SINGLE_BYTES_MAX: usize = 16 << 20;
/// Bytes of one piece of a larger object (chosen; S3 wants at least 5 MiB).
const PIECE_BYTES: usize = 8 << 20;
/// Pieces under way at once (chosen).
const PIECES_PARALLEL: usize = 4;
/// A part, its upload's folder, the folder of all uploads, the model's: each may be new.
const SYNC_LEVELS: usize = 4;

impl Store {
    /// Writes an object whose path is this writer's alone; what a failed try left is replaced.
    pub(crate) async fn write_own(
        &self,
        what: &str,
        path: &Path,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        let written = if bytes.len() <= SINGLE_BYTES_MAX {
            let call = || self.backend.objects.put(path, bytes.clone().into());
            self.tried(self.retry.call_timeout, call).await.map(|_| ())
        } else {
            let pieces = u32::try_from(bytes.len().div_ceil(PIECE_BYTES)).unwrap_or(u32::MAX);
            let call = || self.write_pieces(path, bytes);
            self.tried(self.retry.call_timeout.saturating_mul(pieces), call)
                .await
        };
        written.map_err(|failure| write_error(format!("writing {what}"), failure))?;
        self.sync(what, path).await
    }

    async fn write_pieces(&self, path: &Path, bytes: &Bytes) -> Result<(), StoreError> {
        let mut upload = self.backend.objects.put_multipart(path).await?;
        let starts = (0..bytes.len()).step_by(PIECE_BYTES);
        let sent = {
            let pieces = starts.map(|start| {
                let end = bytes.len().min(start + PIECE_BYTES);
                let piece = upload.put_part(bytes.slice(start..end).into());
                tokio::time::timeout(self.retry.call_timeout, piece)
            });
            let sent = futures::stream::iter(pieces).buffer_unordered(PIECES_PARALLEL);
            let sent = sent.map(|sent| sent.unwrap_or_else(|elapsed| Err(late(elapsed))));
            sent.try_collect::<Vec<()>>().await
        };
        match sent {
            Ok(_) => upload.complete().await.map(|_| ()),
            Err(error) => {
                // The store sweeps what cannot be aborted; the first failure is the one to tell.
                let _aborted = tokio::time::timeout(self.retry.call_timeout, upload.abort()).await;
                Err(error)
            }
        }
    }

    /// On local disk: the object and its name outlive a power cut. Elsewhere the store's promise.
    pub(super) async fn sync(&self, what: &str, path: &Path) -> Result<(), Error> {
        let Some(disk) = &self.backend.disk else {
            return Ok(());
        };
        let synced = async {
            let file = disk.path_to_filesystem(path)?;
            for path in file.ancestors().take(SYNC_LEVELS) {
                let opened = tokio::fs::File::open(path).await.map_err(generic)?;
                opened.sync_all().await.map_err(generic)?;
            }
            Ok(())
        };
        let synced: Result<(), StoreError> = synced.await;
        synced.map_err(|error| write_error(format!("syncing {what}"), Failure::Store(error)))
    }
}

fn late(elapsed: tokio::time::error::Elapsed) -> StoreError {
    StoreError::Generic {
        store: "registry",
        source: Box::new(elapsed),
    }
}

fn generic(error: std::io::Error) -> StoreError {
    StoreError::Generic {
        store: "registry",
        source: Box::new(error),
    }
}
