//! When a failed load is tried again.

use super::{ModelManager, Now};
use crate::lifecycle::budget;
use crate::lifecycle::event::Reply;
use crate::lifecycle::state::{Failure, LoadError, VersionState};
use hotshelf_registry::Version;
use std::time::Duration;

impl ModelManager {
    pub(super) fn failed(&mut self, version: Version, error: LoadError, now: Now) {
        let attempts = 1 + self.failure(version).map_or(0, |failure| failure.attempts);
        let can_retry = can_come(&error) && self.is_desired(version);
        let is_at_once = self.was_freed && error.kind == budget::KIND;
        let wait = can_retry.then(|| match is_at_once {
            true => Duration::ZERO,
            false => self.backoff(attempts),
        });
        let entry = self.entry(version);
        entry.state = VersionState::Failed;
        entry.resident_bytes = 0;
        entry.failure = Some(Failure {
            error: error.clone(),
            failed_at: now.wall,
            attempts,
            next_try: wait.map(|wait| now.monotonic + wait),
            next_try_at: wait.map(|wait| now.wall + wait),
        });
        if self.is_slip(version, &error) {
            self.versions.remove(&version);
        }
        self.answer(|goal| goal.needs(version), &Reply::Refused(error));
        self.forget_past();
    }

    /// A version that is not there and that no record names is a caller's slip of the pen.
    pub(in crate::lifecycle) fn is_slip(&self, version: Version, error: &LoadError) -> bool {
        error.kind == "not_found" && !self.is_desired(version)
    }

    /// What failed while nobody wanted it is tried once somebody does.
    pub(super) fn reconsider(&mut self, now: Now) {
        let wanted = self.candidates().flat_map(|record| &record.arms);
        let wanted: Vec<Version> = wanted.map(|arm| arm.version).collect();
        for version in wanted {
            let failure = self.versions.get_mut(&version);
            let failure = failure.and_then(|entry| entry.failure.as_mut());
            let forsaken = failure.filter(|f| f.next_try.is_none() && can_come(&f.error));
            if let Some(failure) = forsaken {
                failure.next_try = Some(now.monotonic);
                failure.next_try_at = Some(now.wall);
            }
        }
    }

    /// What was refused for want of memory is tried again at once, and what is refused it by a load that
    /// is under way.
    pub(super) fn memory_freed(&mut self, now: Now) {
        self.was_freed = true;
        let failures = self.versions.values_mut();
        let failures = failures.filter(|entry| entry.state == VersionState::Failed);
        for failure in failures.filter_map(|entry| entry.failure.as_mut()) {
            if failure.error.kind == budget::KIND && failure.next_try.is_some() {
                failure.next_try = Some(now.monotonic);
                failure.next_try_at = Some(now.wall);
            }
        }
    }

    /// When something falls due, on the monotonic clock.
    pub(in crate::lifecycle) fn next_wakeup(&self, now: Now) -> Option<Duration> {
        let loads = self.load_wakeup().into_iter();
        let follow = Some(self.follow_from).filter(|due| *due > now.monotonic);
        let others = [self.memory_wakeup(), self.ramp_wakeup(now), follow];
        loads.chain(others.into_iter().flatten()).min()
    }

    /// `None` while a load is under way: its end is an event.
    fn load_wakeup(&self) -> Option<Duration> {
        if self.is_loading() {
            return None;
        }
        let wanted = self.candidates().flat_map(|record| &record.arms);
        let failed = wanted.filter(|arm| self.state(arm.version) == Some(VersionState::Failed));
        failed
            .filter_map(|arm| self.failure(arm.version)?.next_try)
            .min()
    }

    pub(super) fn is_loading(&self) -> bool {
        self.versions.values().any(|entry| entry.state.is_loading())
    }

    /// Failed, and no attempt is due.
    pub(super) fn is_blocked(&self, version: Version, now: Now) -> bool {
        self.state(version) == Some(VersionState::Failed)
            && self
                .failure(version)
                .is_some_and(|failure| failure.next_try.is_none_or(|due| due > now.monotonic))
    }

    /// Failed for good.
    pub(super) fn is_hopeless(&self, version: Version) -> bool {
        self.state(version) == Some(VersionState::Failed)
            && self
                .failure(version)
                .is_some_and(|failure| failure.next_try.is_none())
    }

    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        let doubled = self
            .policy
            .retry_first
            .saturating_mul(1 << (attempts - 1).min(20));
        doubled.min(self.policy.retry_max)
    }
}

/// Can another attempt help, if anybody wants one? A version that a record names was there: a store that
/// does not show it may do so again.
fn can_come(error: &LoadError) -> bool {
    error.is_retryable || error.kind == "not_found"
}
