//! Reading what the replicas of a model tell, and how old it is.
//!
//! Whose clock? Each file has the time at which the store took it (`last_modified`), one clock for all
//! replicas; what a replica's own clock says is not looked at. What time it is *now* by that clock is told
//! by this process's own file, where it has written one: the store's time of that write, and how long ago
//! it was. Without one, this machine's clock stands in, moved up to the newest file where it is behind. So
//! a replica whose clock is wrong neither looks lost nor finds everybody lost.

use super::{ReplicaState, described};
use crate::limits::{READS_PARALLEL, REPLICA_BYTES_MAX, REPLICAS_MAX};
use crate::store::Listed;
use crate::{Error, ModelName, Registry, ReplicaId};
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use object_store::path::Path;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// Age beyond which a file says nothing any more and is not read: its replica is gone (fixed by format 1).
pub const REPLICA_GONE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// One replica's file.
#[derive(Clone, Debug, PartialEq)]
pub struct SeenReplica {
    /// Whose, by the file's name.
    pub replica: ReplicaId,
    /// Since the store took it, by the store's clock.
    pub age: Duration,
    /// What it says.
    pub told: Told,
}

/// What a replica's file says.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// This.
    State(Box<ReplicaState>),
    /// Nothing that this release can read.
    Problem {
        /// The error's label.
        kind: &'static str,
        /// The error in words, with its causes.
        why: String,
    },
    /// It is older than [`REPLICA_GONE_AFTER`], and was not read.
    Gone,
}

/// When this process last wrote files of its own.
#[derive(Debug, Default)]
pub(crate) struct OwnFiles(Mutex<BTreeMap<Path, Instant>>);

impl OwnFiles {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Path, Instant>> {
        // One insertion or removal each, so that a poisoned lock is as good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn remember(&self, path: Path, at: Instant) {
        self.lock().insert(path, at);
    }

    pub(super) fn forget(&self, path: &Path) {
        self.lock().remove(path);
    }

    fn written(&self, path: &Path) -> Option<Instant> {
        self.lock().get(path).copied()
    }
}

impl Registry {
    /// What every replica of a model tells, by name. Files that cannot be read are entries and no error;
    /// other objects are none of ours. Costs one listing, and one small read for each file that is not over
    /// a day old, eight at a time.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::TooLarge`] beyond 10,000 files.
    pub async fn replicas(&self, model: &ModelName) -> Result<Vec<SeenReplica>, Error> {
        let folder = self.layout().replicas(model);
        let what = format!("the replicas of {model}");
        let listed = self.store().listed(&what, &folder, REPLICAS_MAX).await?;
        let now = self.store_now(&listed);
        let files = listed.into_iter().filter_map(|file| {
            let [name] = file.below.as_slice() else {
                return None;
            };
            let replica = name.strip_suffix(".json")?.parse::<ReplicaId>().ok()?;
            Some((replica, file))
        });
        let seen = files.map(|(replica, file)| async move {
            let age = since(now, file.modified);
            let told = if age > REPLICA_GONE_AFTER {
                Some(Told::Gone)
            } else {
                self.told(model, &replica).await?
            };
            Ok::<_, Error>(told.map(|told| SeenReplica { replica, age, told }))
        });
        let seen = futures::stream::iter(seen).buffered(READS_PARALLEL);
        let mut seen: Vec<_> = seen
            .try_filter_map(async |seen| Ok(seen))
            .try_collect()
            .await?;
        seen.sort_by(|a, b| a.replica.cmp(&b.replica));
        Ok(seen)
    }

    /// `None` where the file has vanished since it was listed.
    async fn told(&self, model: &ModelName, replica: &ReplicaId) -> Result<Option<Told>, Error> {
        let path = self.layout().replica(model, replica);
        let what = described(model, replica);
        let read = self.store().read(&what, &path, REPLICA_BYTES_MAX).await;
        let parsed = match read {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => ReplicaState::parse_at(model, replica, &bytes),
            Err(error) => Err(error),
        };
        match parsed {
            Ok(state) => Ok(Some(Told::State(Box::new(state)))),
            Err(error) if error.is_of_the_object() => Ok(Some(Told::Problem {
                kind: error.kind(),
                why: error.in_full(),
            })),
            Err(error) => Err(error),
        }
    }

    /// What time it is by the clock that dated these files.
    fn store_now(&self, listed: &[Listed]) -> Timestamp {
        let own = listed.iter().filter_map(|file| {
            let written = self.own_files().written(&file.path)?;
            let elapsed = SignedDuration::try_from(written.elapsed()).ok()?;
            file.modified.checked_add(elapsed).ok()
        });
        let newest = listed.iter().map(|file| file.modified).max();
        let now = own.max().unwrap_or_else(|| self.clock().now());
        newest.map_or(now, |newest| newest.max(now))
    }
}

/// Nothing is younger than new.
pub(crate) fn since(now: Timestamp, then: Timestamp) -> Duration {
    Duration::try_from(now.duration_since(then)).unwrap_or_default()
}
