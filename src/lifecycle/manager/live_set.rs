//! The live set on disk: what was live, persisted for a start while the registry cannot be read. A registry
//! without any rollout is treated the same. Rollouts are never removed, so if one was persisted, an empty
//! registry is one whose content is not visible. Missing information never unloads a version.
//!
//! | registry | live | disk | then |
//! |---|---|---|---|
//! | not read yet, no failure yet | – | – | wait |
//! | cannot be read, or has no rollout | nothing | not restored, or restoring failed and a retry is due | restore |
//! | cannot be read, or has no rollout | nothing | a record | load its versions from the cache, activate it |
//! | cannot be read, or has no rollout | the record | – | report it as degraded |
//! | has a rollout | any | – | only the registry's rollouts count |
//! | any | another record than the persisted one | – | persist it; on failure report it and retry |

use super::versions::Versions;
use super::{Now, Policy};
use crate::lifecycle::event::{Action, PersistedRollout};
use hotshelf_registry::{Parent, RolloutNumber, RolloutRecord, Version};
use std::time::Duration;

/// What this process knows of the disk.
#[derive(Default)]
pub(super) struct LiveSetState {
    /// Why the registry could not be read; empty where it could or was not tried.
    pub(super) registry_error: String,
    restore: Restore,
    /// The version that is being loaded from the cache alone.
    pub(super) from_cache: Option<Version>,
    /// The record on disk, as far as this process knows.
    persisted: Option<Parent>,
    /// The record being written.
    persisting: Option<Parent>,
    persist_failure: Option<DiskFailure>,
}

/// How far restoring has come.
#[derive(Default)]
enum Restore {
    #[default]
    NotStarted,
    Started {
        attempts: u32,
    },
    Nothing,
    Found(Box<PersistedRollout>),
    Failed(DiskFailure),
}

/// A failed read or write, and when it is retried.
struct DiskFailure {
    why: String,
    attempts: u32,
    due: Duration,
}

impl DiskFailure {
    fn new(why: String, attempts: u32, (policy, now): (&Policy, Now)) -> Self {
        Self {
            why,
            attempts,
            due: now.monotonic + policy.backoff(attempts),
        }
    }
}

impl LiveSetState {
    /// The record found on disk.
    pub(super) fn restored_record(&self) -> Option<&RolloutRecord> {
        match &self.restore {
            Restore::Found(found) => Some(&found.record),
            _ => None,
        }
    }

    pub(super) fn restored(
        &mut self,
        outcome: Result<Option<PersistedRollout>, String>,
        context: (&Policy, Now),
    ) {
        let attempts = match self.restore {
            Restore::Started { attempts } => attempts,
            _ => 1,
        };
        self.restore = match outcome {
            Ok(Some(found)) => Restore::Found(Box::new(found)),
            Ok(None) => Restore::Nothing,
            Err(why) => Restore::Failed(DiskFailure::new(why, attempts, context)),
        };
    }

    pub(super) fn persisted(
        &mut self,
        rollout: RolloutNumber,
        outcome: Result<(), String>,
        context: (&Policy, Now),
    ) {
        let persisting = self.persisting.take();
        let attempts = self.persist_failure.as_ref().map_or(0, |f| f.attempts);
        self.persist_failure = match outcome {
            Ok(()) => {
                self.persisted = persisting.filter(|record| record.number == rollout);
                None
            }
            Err(why) => Some(DiskFailure::new(why, attempts + 1, context)),
        };
    }

    /// The live record is the one that was read from disk.
    pub(super) fn is_on_disk(&mut self, record: &RolloutRecord) {
        self.persisted = Some(record.as_parent());
    }

    /// The next write of what is live.
    pub(super) fn next_persist(&mut self, live: &RolloutRecord, now: Now) -> Option<Action> {
        if self.persisted == Some(live.as_parent()) || self.persisting.is_some() {
            return None;
        }
        let is_due = |failure: &DiskFailure| failure.due <= now.monotonic;
        if !self.persist_failure.as_ref().is_none_or(is_due) {
            return None;
        }
        self.persisting = Some(live.as_parent());
        let record = live.clone();
        Some(Action::Persist { record })
    }

    /// The next read of what was live.
    pub(super) fn next_restore(&mut self, now: Now) -> Option<Action> {
        let attempts = match &self.restore {
            Restore::NotStarted => 1,
            Restore::Failed(failure) if failure.due <= now.monotonic => failure.attempts + 1,
            _ => return None,
        };
        self.restore = Restore::Started { attempts };
        Some(Action::Restore)
    }

    /// When the disk is to be tried again.
    pub(super) fn wakeup(&self, live: Option<&RolloutRecord>) -> Option<Duration> {
        let Some(live) = live else {
            return match &self.restore {
                Restore::Failed(failure) => Some(failure.due),
                _ => None,
            };
        };
        let is_persisted = self.persisted == Some(live.as_parent());
        let failure = self.persist_failure.as_ref();
        let failure = failure.filter(|_| !is_persisted && self.persisting.is_none());
        failure.map(|failure| failure.due)
    }

    /// Why the live rollout is not on disk, for status.
    pub(super) fn persist_degradation(&self, live: &RolloutRecord) -> Option<String> {
        let failure = self.persist_failure.as_ref()?;
        Some(format!(
            "rollout {} is not persisted, so a restart needs the registry: {}",
            live.number, failure.why
        ))
    }

    /// Why an empty registry is not believed, for status.
    pub(super) fn empty_registry_degradation(&self, versions: &Versions) -> Option<String> {
        match self.restore {
            Restore::Found(_) | Restore::Failed(_) => Some(format!(
                "the registry has no rollout; {}",
                self.start_summary(versions)
            )),
            Restore::NotStarted | Restore::Started { .. } | Restore::Nothing => None,
        }
    }

    /// What is served while the registry cannot be read, for status.
    pub(super) fn unreadable_degradation(&self, versions: &Versions) -> Option<String> {
        if self.registry_error.is_empty() {
            return None;
        }
        Some(format!(
            "the registry cannot be read; {}, because {}",
            self.start_summary(versions),
            self.registry_error
        ))
    }

    fn start_summary(&self, versions: &Versions) -> String {
        match &self.restore {
            Restore::NotStarted | Restore::Started { .. } => "serving nothing yet".to_owned(),
            Restore::Nothing => "nothing is persisted on disk; serving nothing".to_owned(),
            Restore::Failed(failure) => format!(
                "the persisted live set cannot be used ({}); serving nothing",
                failure.why
            ),
            Restore::Found(found) => found_summary(found, versions),
        }
    }
}

/// How far the restored rollout has come.
fn found_summary(found: &PersistedRollout, versions: &Versions) -> String {
    let PersistedRollout { record, since } = found;
    let number = record.number;
    let live = versions.live.as_ref().map(RolloutRecord::as_parent);
    if live == Some(record.as_parent()) {
        return format!("serving rollout {number} persisted on disk since {since}");
    }
    let arms = record.arms.iter();
    let refused = arms.filter_map(|arm| Some((arm, versions.failure(arm.version)?)));
    let refused = refused.map(|(arm, failure)| {
        format!(
            "version {} was refused: {}",
            arm.version, failure.error.message
        )
    });
    let refused: Vec<String> = refused.collect();
    if refused.is_empty() {
        return format!("loading rollout {number} persisted on disk since {since}");
    }
    format!(
        "rollout {number} persisted on disk since {since} cannot be served ({}); serving nothing",
        refused.join("; ")
    )
}
