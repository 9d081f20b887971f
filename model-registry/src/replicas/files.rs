//! Reading the files of a model's replicas, and their ages.
//!
//! Each file has the time at which the store accepted it (`last_modified`): one clock for all replicas,
//! whatever their own say. The present time by that clock comes from this process's own file, where it has
//! written one: the store's time of that write plus the time since. Without one, this machine's clock is
//! used, moved up to the newest file where it is behind. So a replica with a wrong clock neither appears
//! lost nor sees all others as lost.

use super::{ReplicaState, described};
use crate::clock::since;
use crate::limits::{READS_PARALLEL, REPLICA_BYTES_MAX, REPLICAS_MAX};
use crate::store::Listed;
use crate::{Error, ModelName, Registry, ReplicaId};
use futures::{StreamExt, TryStreamExt};
use jiff::{SignedDuration, Timestamp};
use std::time::Duration;

/// Age beyond which a file is not read: its replica is gone (fixed by format 1).
pub const REPLICA_GONE_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// One replica's file.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaFile {
    /// Whose, by the file's name.
    pub replica: ReplicaId,
    /// Since the store accepted it, by the store's clock.
    pub age: Duration,
    /// Its content.
    pub reported: Reported,
}

/// The content of a replica's file.
#[derive(Clone, Debug, PartialEq)]
pub enum Reported {
    /// A report.
    State(Box<ReplicaState>),
    /// Nothing that this release can read.
    Unreadable {
        /// The error's label.
        kind: &'static str,
        /// The error in words, with its causes.
        why: String,
    },
    /// Older than [`REPLICA_GONE_AFTER`], and not read.
    Gone,
}

impl Registry {
    /// The files of all replicas of a model, by name. Files that cannot be read are entries and no error;
    /// other objects are ignored. Costs one listing, and one small read for each file that is at most a day
    /// old, eight at a time.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; [`Error::TooLarge`] beyond 10,000 files.
    pub async fn replicas(&self, model: &ModelName) -> Result<Vec<ReplicaFile>, Error> {
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
            let reported = if age > REPLICA_GONE_AFTER {
                Some(Reported::Gone)
            } else {
                self.replica(model, &replica).await?
            };
            Ok::<_, Error>(reported.map(|reported| ReplicaFile {
                replica,
                age,
                reported,
            }))
        });
        let seen = futures::stream::iter(seen).buffered(READS_PARALLEL);
        let mut seen: Vec<_> = seen
            .try_filter_map(async |seen| Ok(seen))
            .try_collect()
            .await?;
        seen.sort_by(|a, b| a.replica.cmp(&b.replica));
        Ok(seen)
    }

    /// The content of one replica's file, whatever its age; `None` where there is none. Costs one read.
    ///
    /// # Errors
    /// [`Error::Unavailable`].
    pub async fn replica(
        &self,
        model: &ModelName,
        replica: &ReplicaId,
    ) -> Result<Option<Reported>, Error> {
        let path = self.layout().replica(model, replica);
        let what = described(model, replica);
        let read = self.store().read(&what, &path, REPLICA_BYTES_MAX).await;
        let parsed = match read {
            Ok(None) => return Ok(None),
            Ok(Some(bytes)) => ReplicaState::parse_at(model, replica, &bytes),
            Err(error) => Err(error),
        };
        match parsed {
            Ok(state) => Ok(Some(Reported::State(Box::new(state)))),
            Err(error) if error.is_object_fault() => Ok(Some(Reported::Unreadable {
                kind: error.kind(),
                why: error.with_causes(),
            })),
            Err(error) => Err(error),
        }
    }

    /// The present time by the clock that dated these files.
    fn store_now(&self, listed: &[Listed]) -> Timestamp {
        let own = listed.iter().filter_map(|file| {
            let written = self.own_writes().written(&file.path)?;
            let elapsed = SignedDuration::try_from(written.elapsed()).ok()?;
            file.modified.checked_add(elapsed).ok()
        });
        let newest = listed.iter().map(|file| file.modified).max();
        let now = own.max().unwrap_or_else(|| self.clock().now());
        newest.map_or(now, |newest| newest.max(now))
    }
}
