//! The object store as the registry uses it: every call has a deadline and bounded retries with jittered
//! backoff, every response a size limit, and every failure a meaning. It knows no layout and no format.

use crate::Error;
use crate::limits::RetryLimits;
use crate::random::Random;
use bytes::{Bytes, BytesMut};
use futures::TryStreamExt;
use jiff::Timestamp;
use object_store::path::Path;
use object_store::{
    Error as StoreError, GetOptions, GetResult, GetResultPayload, ObjectMeta, ObjectStoreExt,
    PutMode, PutOptions,
};
use std::future::Future;
use std::ops::Range;
use std::time::Duration;

mod backend;
mod bucket;
pub(crate) mod disk;
mod listing;
mod meaning;
mod upload;

pub(crate) use backend::Backend;
use backend::Kind;
pub(crate) use listing::{Listed, Numbered, Stamp};
use meaning::{Failure, is_final, object_error, write_error};

/// Longest small read on local disk (chosen: a mount that takes longer hangs; people wait for this).
const DISK_READ_TIMEOUT: Duration = Duration::from_secs(10);

/// The outcome of a conditional write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Created {
    /// The object is ours.
    Yes,
    /// An object exists already: another writer's, or our own from a try whose response was lost.
    Conflict,
}

/// A backend with its limits.
#[derive(Debug)]
pub(crate) struct Store {
    pub(crate) backend: Backend,
    pub(crate) retry: RetryLimits,
    pub(crate) random: Random,
}

impl Store {
    /// The object's bytes; `None` where there is none. Reads nothing of an object over `bytes_max`.
    pub(crate) async fn read(
        &self,
        what: &str,
        path: &Path,
        bytes_max: u64,
    ) -> Result<Option<Bytes>, Error> {
        let read = self.read_dated(what, path, bytes_max).await?;
        Ok(read.map(|(bytes, _)| bytes))
    }

    /// As [`Store::read`], with the time at which the store accepted the object, by its clock.
    pub(crate) async fn read_dated(
        &self,
        what: &str,
        path: &Path,
        bytes_max: u64,
    ) -> Result<Option<(Bytes, Timestamp)>, Error> {
        let objects = &self.backend.objects;
        let call = || async {
            self.check_is_file(path).await?;
            let found = objects.get_opts(path, GetOptions::default()).await?;
            let (size, at) = (found.meta.size, listing::modified(&found.meta));
            if size > bytes_max {
                Ok(Err(size))
            } else {
                Ok(Ok((body(found, size).await?, at)))
            }
        };
        match self.with_retries(self.read_timeout(), call).await {
            Ok(Ok(read)) => Ok(Some(read)),
            Ok(Err(found)) => {
                let what = format!("size of {what}");
                Err(Error::TooLarge {
                    what,
                    found,
                    limit: bytes_max,
                })
            }
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(object_error(("reading", what), failure)),
        }
    }

    /// One range of an object that has to be `size` bytes long; `Ok(Err(size))` means another
    /// length, `Ok(None)` no object.
    pub(crate) async fn read_range(
        &self,
        (what, path): (&str, &Path),
        range: Range<u64>,
        size: u64,
        timeout: Duration,
    ) -> Result<Option<Result<Bytes, u64>>, Error> {
        let objects = &self.backend.objects;
        let len = range.end - range.start;
        let call = || async {
            let options = GetOptions {
                range: Some(range.clone().into()),
                ..GetOptions::default()
            };
            self.check_is_file(path).await?;
            let found = match objects.get_opts(path, options).await {
                Ok(found) => found,
                // For an object that ends before the range begins, its size is the better explanation.
                Err(error) if is_final(&error) => return Err(error),
                Err(error) => match objects.head(path).await {
                    Ok(meta) if meta.size != size => return Ok(Err(meta.size)),
                    _ => return Err(error),
                },
            };
            let stored = found.meta.size;
            if stored != size {
                Ok(Err(stored))
            } else {
                Ok(Ok(body(found, len).await?))
            }
        };
        match self.with_retries(timeout, call).await {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(object_error(("reading", what), failure)),
        }
    }

    /// Writes an object that must not exist yet.
    pub(crate) async fn create(
        &self,
        what: &str,
        path: &Path,
        bytes: &Bytes,
    ) -> Result<Created, Error> {
        let objects = &self.backend.objects;
        let call = || {
            let options = PutOptions {
                mode: PutMode::Create,
                ..PutOptions::default()
            };
            objects.put_opts(path, bytes.clone().into(), options)
        };
        match self.with_retries(self.retry.call_timeout, call).await {
            Ok(_) => self.sync(what, path).await.map(|()| Created::Yes),
            Err(failure) if failure.is_conflict() => Ok(Created::Conflict),
            Err(failure) => Err(write_error(format!("creating {what}"), failure)),
        }
    }

    /// Replaces an object atomically. Not synced to disk: for what is written again soon.
    pub(crate) async fn overwrite(
        &self,
        what: &str,
        path: &Path,
        bytes: &Bytes,
    ) -> Result<(), Error> {
        let call = || self.backend.objects.put(path, bytes.clone().into());
        match self.with_retries(self.retry.call_timeout, call).await {
            Ok(_) => Ok(()),
            Err(failure) => Err(write_error(format!("writing {what}"), failure)),
        }
    }

    /// The object's size; `None` where there is none.
    pub(crate) async fn size(&self, what: &str, path: &Path) -> Result<Option<u64>, Error> {
        Ok(self.head(what, path).await?.map(|meta| meta.size))
    }

    /// Whether an object, or on local disk anything, has this path.
    pub(crate) async fn is_taken(&self, what: &str, path: &Path) -> Result<bool, Error> {
        match self.head(what, path).await {
            Ok(found) => Ok(found.is_some()),
            // Only something that is not a file is at fault itself.
            Err(error) if error.is_object_fault() => Ok(true),
            Err(error) => Err(error),
        }
    }

    /// What the store says of an object; `None` where there is none.
    async fn head(&self, what: &str, path: &Path) -> Result<Option<ObjectMeta>, Error> {
        let call = || async {
            self.check_is_file(path).await?;
            self.backend.objects.head(path).await
        };
        match self.with_retries(self.read_timeout(), call).await {
            Ok(meta) => Ok(Some(meta)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(object_error(("looking for", what), failure)),
        }
    }

    /// Deletes an object; one that is not there is deleted.
    pub(crate) async fn delete(&self, what: &str, path: &Path) -> Result<(), Error> {
        let call = || self.backend.objects.delete(path);
        match self.with_retries(self.retry.call_timeout, call).await {
            Ok(()) => Ok(()),
            Err(failure) if failure.is_not_found() => Ok(()),
            Err(failure) => Err(write_error(format!("deleting {what}"), failure)),
        }
    }

    /// The greatest number spent: the last one listed, and then whatever follows it without a gap
    /// (writers leave none). A listing that is empty, truncated or stale therefore does no harm. Costs
    /// one more call where the listing was complete, else some 2 log₂ of what it left out.
    pub(crate) async fn newest_number(
        &self,
        what: &str,
        listed: Option<u64>,
        path: impl Fn(u64) -> Option<Path>,
    ) -> Result<u64, Error> {
        let is_spent = async |number: u64| match path(number) {
            Some(path) => self.is_taken(what, &path).await,
            None => Ok(false),
        };
        let mut newest = listed.unwrap_or(0);
        let mut step = 1;
        while is_spent(newest + step).await? {
            newest += step;
            step *= 2;
        }
        while step > 1 {
            step /= 2;
            if is_spent(newest + step).await? {
                newest += step;
            }
        }
        Ok(newest)
    }

    /// For a small read.
    fn read_timeout(&self) -> Duration {
        match self.is_on_disk() {
            true => self.retry.call_timeout.min(DISK_READ_TIMEOUT),
            false => self.retry.call_timeout,
        }
    }

    fn is_on_disk(&self) -> bool {
        matches!(self.backend.kind, Kind::Disk(_))
    }

    /// On local disk: refuses what is not a file before it is opened.
    async fn check_is_file(&self, path: &Path) -> Result<(), StoreError> {
        match &self.backend.kind {
            Kind::Disk(disk) => disk.check_is_file(path).await,
            Kind::Bucket(_) | Kind::Other => Ok(()),
        }
    }

    /// Retries a call until it succeeds, fails for good or the tries are used up.
    async fn with_retries<T, F>(
        &self,
        timeout: Duration,
        call: impl Fn() -> F,
    ) -> Result<T, Failure>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut backoff = self.retry.backoff;
        let mut tries = 1;
        loop {
            let failure = match tokio::time::timeout(timeout, call()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => Failure::Store(error),
                Err(elapsed) => Failure::TimedOut(elapsed),
            };
            // Another look at a disk that hangs would hang, too.
            let is_hung = failure.is_timeout() && self.is_on_disk();
            if failure.is_final() || is_hung || tries >= self.retry.tries {
                return Err(failure);
            }
            tries += 1;
            tokio::time::sleep(self.random.around(backoff)).await;
            backoff = (backoff * 2).min(self.retry.backoff_max);
        }
    }
}

/// The body, which has to be exactly `len` bytes. Never buffers more.
async fn body(found: GetResult, len: u64) -> Result<Bytes, StoreError> {
    let wrong = |said: &str| StoreError::Generic {
        store: "registry",
        source: format!("the body {said} the {len} bytes announced").into(),
    };
    let bytes = if matches!(found.payload, GetResultPayload::File(..)) {
        // Read at once: object_store's stream over a file that was cut short never ends.
        found.bytes().await?
    } else {
        let mut stream = found.into_stream();
        let mut buffer = BytesMut::new();
        while let Some(chunk) = stream.try_next().await? {
            if (buffer.len() + chunk.len()) as u64 > len {
                return Err(wrong("is longer than"));
            }
            buffer.extend_from_slice(&chunk);
        }
        buffer.freeze()
    };
    if bytes.len() as u64 == len {
        Ok(bytes)
    } else {
        Err(wrong("is shorter than"))
    }
}
