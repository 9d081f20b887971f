//! The objects below a folder, with sizes and the store's times. A name that is no object's is no entry,
//! and ends no listing.

use super::backend::Kind;
use super::meaning::read_error;
use super::{Error, Store, bucket, disk};
use crate::layout;
use crate::limits::LISTED_MAX;
use crate::numbers;
use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{Error as StoreError, ObjectMeta};

/// Numbers below this have a name that begins with a zero, so that those of all greater ones follow it in
/// the order of bytes, however many digits they have.
const ORDERED_BELOW: u64 = 100_000;
/// A folder of numbered objects, or of replica files.
const FLAT: usize = 1;
/// A model's parts: uploads, and the parts in each.
const NESTED: usize = 2;

/// One object below a folder.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    /// Its path.
    pub(crate) path: Path,
    /// The segments of its path below the folder, one or more.
    pub(crate) below: Vec<String>,
    /// Its length.
    pub(crate) size_bytes: u64,
    /// When the store accepted it, by the store's clock.
    pub(crate) modified: Timestamp,
    /// What tells its bytes from others: a bucket's ETag, a disk's inode.
    pub(crate) tag: Option<String>,
    /// What it is, where it is no file: on local disk alone.
    pub(crate) kind: Option<&'static str>,
}

/// One object of a folder of numbered ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Numbered {
    pub(crate) number: u64,
    pub(crate) stamp: Stamp,
    /// What it is, where it is no file.
    pub(crate) kind: Option<&'static str>,
}

/// By which an object is known to be the one that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Stamp {
    size_bytes: u64,
    modified: Timestamp,
    tag: Option<String>,
}

impl Store {
    /// When the store accepted an object, by the store's clock; `None` where there is none.
    pub(crate) async fn modified(
        &self,
        what: &str,
        path: &Path,
    ) -> Result<Option<Timestamp>, Error> {
        let meta = self.head(what, path).await?;
        Ok(meta.map(|meta| modified(&meta)))
    }

    /// Whether there is a bucket, or a folder on local disk; a bucket without objects is one.
    pub(crate) async fn exists(&self, root: &Path) -> Result<bool, Error> {
        if let Kind::Disk(disk) = &self.backend.kind {
            let found = self.with_retries(self.read_timeout(), || disk.is_folder(root));
            let what = || "looking for the registry".to_owned();
            return found.await.map_err(|failure| read_error(what(), failure));
        }
        let call = || self.folder_names(root);
        match self.with_retries(self.read_timeout(), call).await {
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
        let Ok(path) = disk.place(folder) else {
            return;
        };
        let removed = tokio::fs::remove_dir_all(&path);
        let error = match tokio::time::timeout(self.retry.call_timeout, removed).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.to_string(),
            Err(elapsed) => elapsed.to_string(),
        };
        tracing::warn!(error, folder = %path.display(), "cannot remove an emptied folder");
    }

    /// Every object below a folder, two levels deep. Refuses more than `max`, so that a truncated listing is
    /// never taken for a complete one.
    pub(crate) async fn listed(
        &self,
        what: &str,
        folder: &Path,
        max: usize,
    ) -> Result<Vec<Listed>, Error> {
        let call = || self.entries(folder, None, (NESTED, max));
        let listed = self.with_retries(self.read_timeout(), call).await;
        let listed = listed.map_err(|failure| read_error(format!("listing {what}"), failure))?;
        listed.ok_or_else(|| Error::TooLarge {
            what: format!("number of objects among {what}"),
            found: max as u64 + 1,
            limit: max as u64,
        })
    }

    /// The numbered objects of a folder from `from` on, ascending. Other objects are ignored.
    pub(crate) async fn numbered(
        &self,
        what: &str,
        folder: &Path,
        from: u64,
    ) -> Result<Vec<Numbered>, Error> {
        let before = from.saturating_sub(1);
        let after = (1..ORDERED_BELOW)
            .contains(&before)
            .then(|| numbers::object_name(before));
        let call = || self.entries(folder, after.as_deref(), (FLAT, LISTED_MAX));
        let listed = self.with_retries(self.read_timeout(), call).await;
        let listed = listed.map_err(|failure| read_error(format!("listing {what}"), failure))?;
        let listed = listed.into_iter().flatten();
        let numbered = listed.filter_map(|entry| {
            let [name] = entry.below.as_slice() else {
                return None;
            };
            let number = numbers::from_object_name(name).filter(|number| *number >= from)?;
            let stamp = Stamp {
                size_bytes: entry.size_bytes,
                modified: entry.modified,
                tag: entry.tag,
            };
            let kind = entry.kind;
            Some(Numbered {
                number,
                stamp,
                kind,
            })
        });
        let mut numbered: Vec<Numbered> = numbered.collect();
        numbered.sort_unstable_by_key(|one| one.number);
        Ok(numbered)
    }

    /// The names of the folders right below one, ascending.
    pub(crate) async fn folders(&self, what: &str, folder: &Path) -> Result<Vec<String>, Error> {
        let call = || self.folder_names(folder);
        let listed = self.with_retries(self.read_timeout(), call).await;
        let mut names = listed.map_err(|failure| read_error(format!("listing {what}"), failure))?;
        names.sort_unstable();
        Ok(names)
    }

    async fn folder_names(&self, folder: &Path) -> Result<Vec<String>, StoreError> {
        match &self.backend.kind {
            Kind::Disk(disk) => {
                let found = disk.walk(folder, FLAT, LISTED_MAX).await?;
                let folders = found.into_iter().flatten();
                let folders = folders.filter(|entry| entry.kind == Some("folder"));
                Ok(folders.flat_map(|entry| entry.below).collect())
            }
            Kind::Bucket(bucket) => bucket::folders(&bucket.client, &prefix(folder)).await,
            Kind::Other => {
                let objects = &self.backend.objects;
                let listed = objects.list_with_delimiter(Some(folder)).await?;
                let names = listed.common_prefixes.iter().filter_map(Path::filename);
                Ok(names.map(str::to_owned).collect())
            }
        }
    }

    /// Every object below a folder whose name is after `after`; `None` where there are more than `max`.
    async fn entries(
        &self,
        folder: &Path,
        after: Option<&str>,
        (depth, max): (usize, usize),
    ) -> Result<Option<Vec<Listed>>, StoreError> {
        let mut found = Vec::new();
        match &self.backend.kind {
            Kind::Disk(disk) => {
                let Some(entries) = disk.walk(folder, depth, max).await? else {
                    return Ok(None);
                };
                found.extend(entries.into_iter().map(|entry| on_disk(folder, entry)));
            }
            Kind::Bucket(bucket) => {
                let (prefix, after) = (
                    prefix(folder),
                    after.map(|name| layout::below(folder, [name])),
                );
                let after = after.map(|path| path.to_string());
                let mut take = |meta: ObjectMeta| {
                    found.push(stored(folder, meta));
                    found.len() <= max
                };
                bucket::list(&bucket.client, &prefix, after, &mut take).await?;
            }
            Kind::Other => {
                let mut listing = self.backend.objects.list(Some(folder));
                while let Some(meta) = listing.try_next().await? {
                    found.push(stored(folder, meta));
                    if found.len() > max {
                        break;
                    }
                }
            }
        }
        Ok((found.len() <= max).then_some(found))
    }
}

fn prefix(folder: &Path) -> String {
    match folder.as_ref() {
        "" => String::new(),
        path => format!("{path}/"),
    }
}

fn on_disk(folder: &Path, entry: disk::Entry) -> Listed {
    Listed {
        path: layout::below(folder, entry.below.iter().map(String::as_str)),
        below: entry.below,
        size_bytes: entry.size_bytes,
        modified: Timestamp::try_from(entry.modified).unwrap_or_default(),
        tag: entry.inode.map(|inode| inode.to_string()),
        kind: entry.kind,
    }
}

fn stored(folder: &Path, meta: ObjectMeta) -> Listed {
    let below = meta.location.prefix_match(folder);
    let below = below.into_iter().flatten();
    Listed {
        below: below.map(|segment| segment.as_ref().to_owned()).collect(),
        modified: modified(&meta),
        size_bytes: meta.size,
        tag: meta.e_tag,
        path: meta.location,
        kind: None,
    }
}

/// When the store accepted it. A time beyond the representable range is not that of a recent write.
pub(super) fn modified(meta: &ObjectMeta) -> Timestamp {
    Timestamp::from_millisecond(meta.last_modified.timestamp_millis()).unwrap_or_default()
}
