//! Listing a bucket page by page. A key that the client cannot take as a path fails its whole page; such a
//! key is no object of ours, so it is skipped:
//!
//! ```text
//! page of 1,000 fails ─▶ 500 ─▶ … ─▶ 1 fails: the next key is the bad one ─▶ go on after it
//! ```

use object_store::Error as StoreError;
use object_store::aws::AmazonS3;
use object_store::list::{PaginatedListOptions, PaginatedListStore};
use object_store::path::Error as PathError;
use object_store::{ListResult, ObjectMeta};

/// Keys of one page (fixed by S3).
const PAGE_KEYS: usize = 1_000;
/// Keys skipped by one listing (chosen: more is no stray but a bucket of something else).
const SKIPPED_MAX: usize = 1_000;

/// Where a listing continues.
struct Cursor {
    /// After this key, where there is no token.
    after: Option<String>,
    /// The server's own word of it.
    token: Option<String>,
    page_keys: usize,
    skipped: usize,
}

/// Every object below `prefix` after `after`, until `take` returns false.
pub(super) async fn list(
    client: &AmazonS3,
    prefix: &str,
    after: Option<String>,
    take: &mut (dyn FnMut(ObjectMeta) -> bool + Send),
) -> Result<(), StoreError> {
    let mut cursor = Cursor::new(after);
    while let Some(page) = cursor.next(client, prefix, false).await? {
        for object in page.objects {
            if !take(object) {
                return Ok(());
            }
        }
        if cursor.is_at_end() {
            break;
        }
    }
    Ok(())
}

/// The folders right below `prefix`.
pub(super) async fn folders(client: &AmazonS3, prefix: &str) -> Result<Vec<String>, StoreError> {
    let mut cursor = Cursor::new(None);
    let mut folders = Vec::new();
    while let Some(page) = cursor.next(client, prefix, true).await? {
        let names = page.common_prefixes.iter().filter_map(|p| p.filename());
        folders.extend(names.map(str::to_owned));
        if cursor.is_at_end() {
            break;
        }
    }
    Ok(folders)
}

impl Cursor {
    fn new(after: Option<String>) -> Self {
        Self {
            after,
            token: None,
            page_keys: PAGE_KEYS,
            skipped: 0,
        }
    }

    fn is_at_end(&self) -> bool {
        self.token.is_none()
    }

    /// The next page. With a bad key in it: the page up to that key, or the one after it.
    async fn next(
        &mut self,
        client: &AmazonS3,
        prefix: &str,
        is_delimited: bool,
    ) -> Result<Option<ListResult>, StoreError> {
        loop {
            let options = PaginatedListOptions {
                offset: self.after.clone().filter(|_| self.token.is_none()),
                delimiter: is_delimited.then_some("/".into()),
                max_keys: Some(self.page_keys),
                page_token: self.token.clone(),
                ..PaginatedListOptions::default()
            };
            let error = match client.list_paginated(Some(prefix), options).await {
                Ok(page) => {
                    self.page_keys = (self.page_keys * 2).min(PAGE_KEYS);
                    self.token = page.page_token;
                    return Ok(Some(page.result));
                }
                Err(error) => error,
            };
            let Some(key) = bad_key(&error).filter(|_| self.skipped < SKIPPED_MAX) else {
                return Err(error);
            };
            if self.page_keys > 1 {
                self.page_keys /= 2;
                continue;
            }
            self.skipped += 1;
            // A folder's name ends with a slash, and its keys follow it: `0` comes next in order.
            let next = match key.strip_suffix('/') {
                Some(folder) if is_delimited => format!("{folder}0"),
                _ => key,
            };
            self.after = Some(next);
            self.token = None;
        }
    }
}

/// The key that the client could not take as a path.
fn bad_key(error: &StoreError) -> Option<String> {
    let StoreError::InvalidPath { source } = error else {
        return None;
    };
    match source {
        PathError::EmptySegment { path }
        | PathError::BadSegment { path, .. }
        | PathError::NonUnicode { path, .. } => Some(path.clone()),
        _ => None,
    }
}
