//! What this model should serve: the registry's rollout chain and, while no rollout of the registry is
//! known, the live set that was persisted on disk.

use super::live_set::LiveSetState;
use hotshelf_registry::{Parent, RolloutRecord, Sha256Digest, Version};
use std::time::Duration;

/// Records retained for falling back at a cold start.
pub(super) const CHAIN_MAX: usize = 32;

/// Desired state, as far as this replica knows it.
#[derive(Default)]
pub(super) struct Desired {
    /// The registry's rollouts, newest first; empty until it was read and while it has none.
    pub(super) chain: Vec<RolloutRecord>,
    /// The newest of them was withdrawn, and no record takes its place yet: what is live stays.
    pub(super) is_withdrawn: bool,
    /// Has the registry answered yet?
    pub(super) is_read: bool,
    /// From when on the newest rollout may be fetched; a proposal's versions wait for nothing.
    pub(super) follow_from: Duration,
    /// The stand-in on disk.
    pub(super) live_set: LiveSetState,
}

/// What a chain from the registry turned out to be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Observed {
    /// Empty, or older than what is known; nothing changes.
    Stale,
    /// The rollout that is known already.
    Known,
    /// Another newest rollout.
    New,
}

impl Desired {
    /// The registry's newest rollout.
    pub(super) fn newest(&self) -> Option<&RolloutRecord> {
        self.chain.first()
    }

    /// Its number; 0 = none.
    pub(super) fn newest_number(&self) -> u64 {
        self.newest().map_or(0, |record| record.number.get())
    }

    /// The persisted record that stands in while no rollout of the registry is known.
    pub(super) fn stand_in(&self) -> Option<&RolloutRecord> {
        let restored = self.live_set.restored_record();
        restored.filter(|_| self.chain.is_empty())
    }

    /// All records that could be served, the newest first.
    pub(super) fn records(&self) -> impl Iterator<Item = &RolloutRecord> {
        self.chain.iter().chain(self.stand_in())
    }

    /// Takes the chain that the registry shows. Missing information changes nothing: an empty chain is
    /// ignored, and so is an older one, unless the newest record was withdrawn.
    pub(super) fn observe(
        &mut self,
        (chain, withdrawn): (Vec<RolloutRecord>, Option<Parent>),
    ) -> Observed {
        self.is_read = true;
        let known = self.newest().map(RolloutRecord::as_parent);
        self.is_withdrawn |= known.is_some() && known == withdrawn;
        let Some(shown) = chain.first() else {
            return Observed::Stale;
        };
        if shown.number.get() < self.newest_number() && !self.is_withdrawn {
            return Observed::Stale;
        }
        self.is_withdrawn = false;
        let observed = match known == Some(shown.as_parent()) {
            true => Observed::Known,
            false => Observed::New,
        };
        self.chain = chain;
        self.chain.truncate(CHAIN_MAX);
        observed
    }

    /// Adds a record that was written over the newest one; false where a newer one is known.
    pub(super) fn push(&mut self, record: RolloutRecord) -> bool {
        if std::mem::take(&mut self.is_withdrawn) {
            self.chain.clear();
        } else if record.number.get() <= self.newest_number() {
            return false;
        }
        self.chain.insert(0, record);
        self.chain.truncate(CHAIN_MAX);
        true
    }

    /// The version that all traffic had before the newest rollout.
    pub(super) fn previous_version(&self) -> Option<Version> {
        let (newest, before) = self.chain.split_first()?;
        let now = newest.all_to();
        let mut all = before.iter().filter_map(RolloutRecord::all_to);
        all.find(|version| Some(*version) != now)
    }

    /// By which manifest the newest rollout that names this version means it, if it says so.
    pub(super) fn named_digest(&self, version: Version) -> Option<Sha256Digest> {
        let arms = self.records().flat_map(|record| &record.arms);
        let mut named = arms.filter(|arm| arm.version == version);
        named.find_map(|arm| arm.manifest_sha256)
    }

    /// Did some rollout give this version all traffic?
    pub(super) fn had_all_traffic(&self, version: Version) -> bool {
        let mut all = self.chain.iter().filter_map(RolloutRecord::all_to);
        all.any(|one| one == version)
    }
}
