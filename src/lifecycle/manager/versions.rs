//! What is in memory: every version's state, the live rollout, and what is being freed.

use super::Now;
use crate::lifecycle::event::Action;
use crate::lifecycle::state::{Failure, VersionEntry, VersionState};
use hotshelf_registry::{Arm, RolloutRecord, Version};
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

/// Retired and failed versions listed in status.
pub(super) const PAST_VERSIONS_MAX: usize = 16;

/// The versions of one model on this server.
#[derive(Default)]
pub(super) struct Versions {
    pub(super) entries: BTreeMap<Version, VersionEntry>,
    /// The rollout that answers requests.
    pub(super) live: Option<RolloutRecord>,
    /// The share of its first arm, where it has a ramp.
    pub(super) candidate_bp: u16,
    /// Retired, and their memory is not free yet.
    pub(super) freeing: BTreeSet<Version>,
    /// To be retired next.
    pub(super) unwanted: VecDeque<Version>,
    /// Some version of the process lacks memory, so that only what serves stays.
    pub(super) is_short: bool,
    /// Memory was freed since the load under way began: a refusal of it may be outdated.
    pub(super) was_freed: bool,
}

impl Versions {
    pub(super) fn state(&self, version: Version) -> Option<VersionState> {
        self.entries.get(&version).map(|entry| entry.state)
    }

    pub(super) fn failure(&self, version: Version) -> Option<&Failure> {
        self.entries.get(&version)?.failure.as_ref()
    }

    pub(super) fn entry(&mut self, version: Version) -> &mut VersionEntry {
        self.entries
            .entry(version)
            .or_insert_with(VersionEntry::discovered)
    }

    pub(super) fn is_servable(&self, version: Version) -> bool {
        self.state(version).is_some_and(VersionState::is_servable)
    }

    /// Is it in memory, and the version that this arm names?
    pub(super) fn can_serve(&self, arm: &Arm) -> bool {
        let entry = self.entries.get(&arm.version);
        entry.is_some_and(|entry| entry.state.is_servable() && entry.is_named_by(arm))
    }

    /// Is it in memory, and another version than this arm names?
    pub(super) fn is_other(&self, arm: &Arm) -> bool {
        let entry = self.entries.get(&arm.version);
        entry.is_some_and(|entry| entry.state.is_servable() && !entry.is_named_by(arm))
    }

    pub(super) fn is_loading(&self) -> bool {
        self.entries.values().any(|entry| entry.state.is_loading())
    }

    /// Failed, and no attempt is due.
    pub(super) fn is_blocked(&self, version: Version, now: Now) -> bool {
        self.failed(version)
            .is_some_and(|failure| failure.next_try.is_none_or(|due| due > now.monotonic))
    }

    /// Failed, and no attempt will follow.
    pub(super) fn has_failed_for_good(&self, version: Version) -> bool {
        self.failed(version)
            .is_some_and(|failure| failure.next_try.is_none())
    }

    /// The failure of a version whose last load failed.
    pub(super) fn failed(&self, version: Version) -> Option<&Failure> {
        let is_failed = self.state(version) == Some(VersionState::Failed);
        self.failure(version).filter(|_| is_failed)
    }

    pub(super) fn progress(&mut self, version: Version, state: VersionState) {
        let entry = self.entry(version);
        if entry.state.is_loading() && state.is_loading() {
            entry.state = state;
        }
    }

    pub(super) fn retire(&mut self, version: Version) -> Action {
        self.freeing.insert(version);
        Action::Retire { version }
    }

    pub(super) fn freed(&mut self, version: Version) {
        self.freeing.remove(&version);
        let entry = self.entry(version);
        entry.resident_bytes = 0;
        if entry.state == VersionState::Draining {
            entry.state = VersionState::Retired;
        }
    }

    /// Removes the oldest entries of retired and failed versions beyond the limit, unless desired.
    pub(super) fn forget_past(&mut self, desired: &BTreeSet<Version>) {
        let is_past =
            |e: &VersionEntry| matches!(e.state, VersionState::Retired | VersionState::Failed);
        let past = self.entries.iter().filter(|(_, e)| is_past(e));
        let past: Vec<Version> = past.map(|(version, _)| *version).collect();
        let surplus = past.len().saturating_sub(PAST_VERSIONS_MAX);
        let forgotten = past.iter().filter(|version| !desired.contains(version));
        for version in forgotten.take(surplus) {
            self.entries.remove(version);
        }
    }

    /// Makes `record` the live rollout. Versions of the past one that are in neither it nor `previous` are
    /// retired.
    pub(super) fn activate(
        &mut self,
        record: &RolloutRecord,
        candidate_bp: u16,
        previous: Option<Version>,
    ) {
        let past = self.live.replace(record.clone());
        self.candidate_bp = candidate_bp;
        for arm in past.iter().flat_map(|past| &past.arms) {
            if record.arms.iter().any(|new| new.version == arm.version) {
                continue;
            }
            if Some(arm.version) == previous {
                self.entry(arm.version).state = VersionState::Ready;
                continue;
            }
            self.entry(arm.version).state = VersionState::Draining;
            self.unwanted.push_back(arm.version);
        }
        for arm in &record.arms {
            self.entry(arm.version).state = VersionState::Live;
        }
    }

    /// The live version with the largest share.
    pub(super) fn main_version(&self) -> Option<Version> {
        self.live.as_ref()?.main_version(self.candidate_bp)
    }

    /// The candidate's share of `record` that is served here; 0 unless it is live.
    pub(super) fn served_share(&self, record: &RolloutRecord) -> u16 {
        let live = self.live.as_ref().map(RolloutRecord::as_parent);
        match live == Some(record.as_parent()) {
            true => self.candidate_bp,
            false => 0,
        }
    }

    /// When the next failed load of `desired` is due, on the monotonic clock. `None` while a load is under
    /// way: its end is an event.
    pub(super) fn retry_due(&self, desired: impl Iterator<Item = Version>) -> Option<Duration> {
        if self.is_loading() {
            return None;
        }
        let failures = desired.filter_map(|version| self.failed(version));
        failures.filter_map(|failure| failure.next_try).min()
    }
}
