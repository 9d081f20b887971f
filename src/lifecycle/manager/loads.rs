//! Residency: which version is loaded next, from where, and which one makes way.

use super::{ModelManager, Now};
use crate::lifecycle::event::{Action, Supply};
use crate::lifecycle::state::VersionState;
use hotshelf_registry::Version;
use std::collections::BTreeSet;

impl ModelManager {
    /// A version in memory that neither requests, nor proposals, nor the target need.
    pub(super) fn superseded(&self, now: Now) -> Option<Version> {
        let entries = self.versions.entries.iter();
        let ready = entries.filter(|(_, entry)| entry.state == VersionState::Ready);
        let mut ready = ready.map(|(version, _)| *version).peekable();
        ready.peek()?;
        let (needed, target) = (self.needed(now), self.target(now));
        // Another version under the number of one that the target names makes way for it.
        let is_other = |version| {
            let mut arms = target.into_iter().flat_map(|record| &record.arms);
            arms.any(|arm| arm.version == version && self.versions.is_other(arm))
        };
        ready.find(|version| !needed.contains(version) || is_other(*version))
    }

    fn needed(&self, now: Now) -> BTreeSet<Version> {
        let (versions, live) = (&self.versions, self.versions.live.as_ref());
        let newest = self.desired.records().next().filter(|record| {
            let mut arms = record.arms.iter();
            !arms.any(|arm| versions.has_failed_for_good(arm.version))
        });
        let target = self.target(now);
        // With nothing live, a fallback must not lack the memory of what failed.
        let newest = newest.filter(|_| live.is_some() || target.is_none());
        let records = live.into_iter().chain(target).chain(newest);
        let arms = records
            .flat_map(|record| &record.arms)
            .map(|arm| arm.version);
        let is_loading = versions.is_loading() || self.next_load(now).is_some();
        let previous = self.previous().filter(|_| !is_loading);
        arms.chain(self.proposals.versions())
            .chain(previous)
            .collect()
    }

    /// The version that stays in memory for a rollback, if the policy says so and memory allows.
    pub(super) fn previous(&self) -> Option<Version> {
        let is_live = self.versions.live.is_some();
        let may_stay = self.policy.keeps_previous && !self.versions.is_short && is_live;
        self.desired.previous_version().filter(|_| may_stay)
    }

    pub(super) fn next_load(&self, now: Now) -> Option<Version> {
        let versions = &self.versions;
        // A version that made room must be freed before its memory can be used.
        let is_making_way = self.policy.keeps_previous && !versions.freeing.is_empty();
        if versions.is_loading() || is_making_way {
            return None;
        }
        let may_follow = now.monotonic >= self.desired.follow_from;
        let desired = self.target(now).filter(|_| may_follow);
        let desired = desired.into_iter().flat_map(|record| &record.arms);
        // The version that had all traffic comes first: it is served where the others do not fit beside it.
        let (had, new): (Vec<_>, Vec<_>) = desired
            .map(|arm| arm.version)
            .partition(|version| self.desired.had_all_traffic(*version));
        let wanted = self.proposals.versions().chain(had).chain(new);
        // A second copy beside one that is still being freed would count double.
        let mut wanted = wanted.filter(|version| !versions.freeing.contains(version));
        wanted.find(|version| match versions.state(*version) {
            None | Some(VersionState::Discovered | VersionState::Retired) => true,
            Some(VersionState::Failed) => !versions.is_blocked(*version, now),
            Some(_) => false,
        })
    }

    pub(super) fn load(&mut self, version: Version) -> Action {
        let is_paced = self.versions.live.is_some();
        let supply = self.supply(version);
        let named = self.desired.named_digest(version);
        self.versions.was_freed = false;
        let entry = self.versions.entry(version);
        entry.state = VersionState::Loading;
        entry.phases.clear();
        Action::Load {
            version,
            is_paced,
            supply,
            named,
        }
    }

    /// A restored version is loaded from the cache alone, unless somebody proposes it.
    fn supply(&mut self, version: Version) -> Supply {
        let is_proposed = self.proposals.versions().any(|one| one == version);
        let stand_in = self.desired.stand_in();
        let mut restored = stand_in.into_iter().flat_map(|record| &record.arms);
        let is_cached = restored.any(|arm| arm.version == version) && !is_proposed;
        self.desired.live_set.from_cache = is_cached.then_some(version);
        match is_cached {
            true => Supply::Cache,
            false => Supply::Registry,
        }
    }

    /// Was this version being loaded from the cache alone when the registry became readable?
    pub(super) fn is_overtaken(&self, version: Version) -> bool {
        self.desired.live_set.from_cache == Some(version) && !self.desired.chain.is_empty()
    }

    /// Every version of a rollout that could be live.
    pub(super) fn candidate_versions(&self) -> impl Iterator<Item = Version> {
        let arms = self.candidates().flat_map(|record| &record.arms);
        arms.map(|arm| arm.version)
    }

    pub(super) fn is_desired(&self, version: Version) -> bool {
        self.candidate_versions().any(|one| one == version)
    }
}
