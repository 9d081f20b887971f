//! The objects below a folder, with sizes and the store's times.

use super::backend::Kind;
use super::meaning::read_error;
use super::{Error, Store};
use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::ObjectMeta;
use object_store::path::Path;

/// One object below a folder.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Where it is.
    pub(crate) path: Path,
    /// The segments of its path below the folder, one or more.
    pub(crate) below: Vec<String>,
    /// Its length.
    pub(crate) size_bytes: u64,
    /// When the store accepted it, by the store's clock.
    pub(crate) modified: Timestamp,
}

impl Store {
    /// When the store accepted an object, by the store's clock; `None` where there is none.
    pub(crate) async fn modified(
        &self,
        what: &str,
        path: &Path,
    ) -> Result<Option<Timestamp>, Error> {
        let meta = self.head(what, path).await?;
        Ok(meta.and_then(|meta| modified(&meta)))
    }

    /// Whether there is a bucket, or a folder on local disk; a bucket without objects is one.
    pub(crate) async fn exists(&self, root: &Path) -> Result<bool, Error> {
        if let Kind::Disk(disk) = &self.backend.kind {
            return Ok(match disk.path_to_filesystem(root) {
                Ok(folder) => tokio::fs::metadata(folder)
                    .await
                    .is_ok_and(|at| at.is_dir()),
                Err(_) => false,
            });
        }
        let call = || self.backend.objects.list_with_delimiter(Some(root));
        match self.with_retries(self.retry.call_timeout, call).await {
            Ok(_) => Ok(true),
            Err(failure) if failure.is_missing_bucket() => Ok(false),
            Err(failure) => Err(read_error("listing the registry".to_owned(), failure)),
        }
    }

    /// On local disk: removes a folder whose objects are deleted, with what a killed writer left in it.
    /// Elsewhere there are no folders. A folder that remains does no harm.
    pub(crate) async fn clear_folder(&self, folder: &Path) {
        let Kind::Disk(disk) = &self.backend.kind else {
            return;
        };
        let Ok(path) = disk.path_to_filesystem(folder) else {
            return;
        };
        if let Err(error) = tokio::fs::remove_dir_all(&path).await {
            tracing::warn!(%error, folder = %path.display(), "cannot remove an emptied folder");
        }
    }

    /// Every object below a folder. Refuses more than `max`, so that a truncated listing is never taken for
    /// a complete one.
    pub(crate) async fn listed(
        &self,
        what: &str,
        folder: &Path,
        max: usize,
    ) -> Result<Vec<Listed>, Error> {
        let call = || async {
            let mut listing = self.backend.objects.list(Some(folder));
            let mut found = Vec::new();
            while let Some(meta) = listing.try_next().await? {
                if found.len() == max {
                    return Ok(None);
                }
                let below = meta.location.prefix_match(folder);
                let below: Vec<String> = below
                    .into_iter()
                    .flatten()
                    .map(|segment| segment.as_ref().to_owned())
                    .collect();
                found.push(Listed {
                    // A time beyond the representable range is not that of a recent write.
                    modified: modified(&meta).unwrap_or_default(),
                    size_bytes: meta.size,
                    path: meta.location,
                    below,
                });
            }
            Ok(Some(found))
        };
        let listed = self.with_retries(self.retry.call_timeout, call).await;
        let listed = listed.map_err(|failure| read_error(format!("listing {what}"), failure))?;
        listed.ok_or_else(|| Error::TooLarge {
            what: format!("number of objects among {what}"),
            found: max as u64 + 1,
            limit: max as u64,
        })
    }
}

/// When the store accepted it; `None` for a time beyond the representable range.
fn modified(meta: &ObjectMeta) -> Option<Timestamp> {
    Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).ok()
}
