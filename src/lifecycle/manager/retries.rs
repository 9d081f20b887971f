//! When a failed load is retried.

use super::{ModelManager, Now, Policy};
use crate::jitter::doubled;
use crate::lifecycle::event::Reply;
use crate::lifecycle::state::{Failure, LoadError, LoadErrorKind, VersionState};
use hotshelf_registry::Version;
use std::time::Duration;

impl ModelManager {
    pub(super) fn failed(&mut self, version: Version, error: LoadError, now: Now) {
        let before = self.versions.failure(version);
        let attempts = 1 + before.map_or(0, |failure| failure.attempts);
        let can_retry = may_recover(&error) && self.is_desired(version);
        let is_at_once = self.versions.was_freed && error.kind == LoadErrorKind::MemoryBudget;
        let wait = can_retry.then(|| match is_at_once {
            true => Duration::ZERO,
            false => self.policy.backoff(attempts),
        });
        let entry = self.versions.entry(version);
        entry.state = VersionState::Failed;
        entry.resident_bytes = 0;
        entry.failure = Some(Failure {
            error: error.clone(),
            failed_at: now.wall,
            attempts,
            next_try: wait.map(|wait| now.monotonic + wait),
            next_try_at: wait.map(|wait| now.wall + wait),
        });
        if self.is_unknown_version(version, &error) {
            self.versions.entries.remove(&version);
        }
        let reply = Reply::Refused(error);
        self.proposals.answer(|goal| goal.needs(version), &reply);
        self.forget_past();
    }

    /// A version that does not exist and that no record names is a caller's mistake.
    pub(in crate::lifecycle) fn is_unknown_version(
        &self,
        version: Version,
        error: &LoadError,
    ) -> bool {
        error.kind == LoadErrorKind::NotFound && !self.is_desired(version)
    }

    /// Retries what failed while it was not desired and is desired now.
    pub(super) fn reconsider(&mut self, now: Now) {
        let desired: Vec<Version> = self.candidate_versions().collect();
        for version in desired {
            let entry = self.versions.entries.get_mut(&version);
            let failure = entry.and_then(|entry| entry.failure.as_mut());
            if let Some(failure) = failure.filter(|f| f.next_try.is_none() && may_recover(&f.error))
            {
                retry_at_once(failure, now);
            }
        }
    }

    /// The registry can be read: what the cache alone could not give is fetched at once.
    pub(super) fn retry_restored(&mut self) {
        let restored = self.desired.live_set.restored_record();
        let arms = restored.map(|record| record.arms.clone());
        for arm in arms.into_iter().flatten() {
            let entry = self.versions.entry(arm.version);
            if entry.state == VersionState::Failed {
                entry.state = VersionState::Discovered;
            }
        }
    }

    /// Retries at once what was refused for lack of memory, and what a load under way is still refused.
    pub(super) fn memory_freed(&mut self, now: Now) {
        self.versions.was_freed = true;
        let entries = self.versions.entries.values_mut();
        let entries = entries.filter(|entry| entry.state == VersionState::Failed);
        for failure in entries.filter_map(|entry| entry.failure.as_mut()) {
            if failure.error.kind == LoadErrorKind::MemoryBudget && failure.next_try.is_some() {
                retry_at_once(failure, now);
            }
        }
    }

    /// When something falls due, on the monotonic clock.
    pub(in crate::lifecycle) fn next_wakeup(&self, now: Now) -> Option<Duration> {
        let load = self.versions.retry_due(self.candidate_versions());
        let follow = Some(self.desired.follow_from).filter(|due| *due > now.monotonic);
        let others = [
            self.live_set_wakeup(),
            self.versions.ramp_wakeup(now),
            follow,
        ];
        load.into_iter().chain(others.into_iter().flatten()).min()
    }
}

impl Policy {
    /// The wait after so many attempts.
    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        doubled(self.retry_first, attempts.saturating_sub(1), self.retry_max)
    }
}

/// Can another attempt help, if the version is desired? A version that a record names has existed: a store
/// that does not show it, or shows another one, may show it again.
fn may_recover(error: &LoadError) -> bool {
    let may_return = matches!(
        error.kind,
        LoadErrorKind::NotFound | LoadErrorKind::Rewritten
    );
    error.is_retryable || may_return
}

fn retry_at_once(failure: &mut Failure, now: Now) {
    failure.next_try = Some(now.monotonic);
    failure.next_try_at = Some(now.wall);
}
