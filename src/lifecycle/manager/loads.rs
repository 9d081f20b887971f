//! What is to be in memory: which version is loaded next, and which one makes way.

use super::goals::earlier;
use super::{ModelManager, Now};
use crate::lifecycle::state::{VersionEntry, VersionState};
use hotshelf_registry::Version;
use std::collections::BTreeSet;

impl ModelManager {
    /// A version in memory that neither requests, nor proposals, nor the target need.
    pub(super) fn superseded(&self, now: Now) -> Option<Version> {
        let needed = self.needed(now);
        let ready = |entry: &VersionEntry| entry.state == VersionState::Ready;
        let idle = self
            .versions
            .iter()
            .find(|(v, entry)| ready(entry) && !needed.contains(*v));
        idle.map(|(version, _)| *version)
    }

    fn needed(&self, now: Now) -> BTreeSet<Version> {
        let newest = self.chain.first();
        let newest = newest
            .or_else(|| self.stand_in())
            .filter(|record| record.arms.iter().all(|arm| !self.is_hopeless(arm.version)));
        let target = self.target(now);
        // With nothing live, what is walked back to must not want for the memory of what failed.
        let newest = newest.filter(|_| self.live.is_some() || target.is_none());
        let records = self.live.iter().chain(target).chain(newest);
        let arms = records
            .flat_map(|record| &record.arms)
            .map(|arm| arm.version);
        let is_loading = self.is_loading() || self.next_load(now).is_some();
        let previous = self.previous().filter(|_| !is_loading);
        arms.chain(self.proposed()).chain(previous).collect()
    }

    /// The version to stay in memory for going back, by setting and while memory allows.
    pub(super) fn previous(&self) -> Option<Version> {
        let may_stay = self.policy.keeps_previous && !self.is_short && self.live.is_some();
        earlier(&self.chain).filter(|_| may_stay)
    }

    /// Every version that a proposal waits for.
    pub(super) fn proposed(&self) -> impl Iterator<Item = Version> {
        let goals = self.waiting.iter().map(|waiting| &waiting.goal);
        goals.flat_map(|goal| goal.arms.iter().map(|arm| arm.version))
    }

    pub(super) fn next_load(&self, now: Now) -> Option<Version> {
        // What made way has to be gone before its memory is counted on.
        let is_making_way = self.policy.keeps_previous && !self.freeing.is_empty();
        if self.is_loading() || is_making_way {
            return None;
        }
        let may_follow = now.monotonic >= self.follow_from;
        let desired = self.target(now).filter(|_| may_follow);
        let desired = desired.into_iter().flat_map(|record| &record.arms);
        // What everybody had comes first: where there is no room for the others beside it, it is served.
        let (had, new): (Vec<_>, Vec<_>) = desired.map(|arm| arm.version).partition(|version| {
            self.chain
                .iter()
                .any(|record| record.all_to() == Some(*version))
        });
        self.proposed()
            .chain(had)
            .chain(new)
            // A second copy beside one that is still being freed would count double.
            .filter(|version| !self.freeing.contains(version))
            .find(|version| match self.state(*version) {
                None | Some(VersionState::Discovered | VersionState::Retired) => true,
                Some(VersionState::Failed) => !self.is_blocked(*version, now),
                Some(_) => false,
            })
    }

    pub(super) fn is_desired(&self, version: Version) -> bool {
        self.candidates()
            .flat_map(|record| &record.arms)
            .any(|arm| arm.version == version)
    }
}
