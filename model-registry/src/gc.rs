//! Garbage collection: parts of unneeded versions, unnamed uploads, files of replicas that are gone.
//!
//! ```text
//! read rollouts, replicas, versions, parts ─▶ plan: a fate for each        (dry run: that is all)
//!   ─▶ tombstones, each with the manifest that it replaces
//!   ─▶ read rollouts and replicas again ─▶ needed after all? restore the manifest
//!   ─▶ delete parts ─▶ delete unnamed uploads ─▶ delete gone replicas' files
//! ```
//!
//! A rollout that names an old version during a run is therefore seen before a byte is lost. A run that is
//! stopped between two steps leaves tombstones whose parts still exist; the next run completes the removal
//! or takes it back. What cannot be read never counts as unneeded.

mod apply;
mod plan;

pub use apply::GcDone;

use crate::{Arm, Manifest, ReplicaId, RolloutNumber, Sha256Digest, UploadId, Version};
use std::collections::BTreeMap;
use std::time::Duration;

/// Age from which an upload that no manifest names counts as abandoned (fixed by format 1: publishers
/// end within half of it).
pub const UPLOAD_ABANDONED_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

/// What is retained.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GcRules {
    /// Versions that any of so many of the newest rollouts names; at least 1 counts.
    pub keep_rollouts: usize,
    /// Versions younger than this.
    pub min_age: Duration,
    /// Uploads that no manifest names and that are younger than this; for tests, else
    /// [`UPLOAD_ABANDONED_AFTER`].
    pub upload_age: Duration,
}

impl Default for GcRules {
    /// The last 20 rollouts, a week, a day.
    fn default() -> Self {
        Self {
            keep_rollouts: 20,
            min_age: Duration::from_secs(7 * 24 * 60 * 60),
            upload_age: UPLOAD_ABANDONED_AFTER,
        }
    }
}

/// What a run would do, or did.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct GcPlan {
    /// Every version whose parts are there or whose record cannot be read, ascending.
    pub versions: Vec<GcVersion>,
    /// Uploads that no record names.
    pub uploads: Vec<GcUpload>,
    /// Replicas without a heartbeat for a day.
    pub replicas: Vec<ReplicaId>,
    /// Files that are no replica's, and why; they say nothing of what is needed, and stay.
    pub junk: Vec<(ReplicaId, String)>,
}

/// One version of a plan.
#[derive(Clone, Debug, PartialEq)]
pub struct GcVersion {
    /// Its number.
    pub version: Version,
    /// What all its parts take in the store; 0 where that is not known.
    pub size_bytes: u64,
    /// Since its record was written, by the store's clock.
    pub age: Duration,
    /// Its fate.
    pub fate: Fate,
    /// Where its parts are.
    pub(crate) manifest: Option<Box<Manifest>>,
    /// No part of it has been deleted yet.
    pub(crate) is_whole: bool,
}

/// One upload of a plan that no record names.
#[derive(Clone, Debug, PartialEq)]
pub struct GcUpload {
    /// Its folder.
    pub upload: UploadId,
    /// What all its parts take.
    pub size_bytes: u64,
    /// Since its newest part was written, by the store's clock.
    pub age: Duration,
    /// Whether it goes; it stays while a publisher may be at work in it, and while there is a record that
    /// cannot be read and may name it.
    pub is_removed: bool,
}

/// Whether a version stays, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// Kept: this rollout, one of the last, names it.
    Named(RolloutNumber),
    /// Kept: this replica has it in memory, or is about to.
    InUse(ReplicaId),
    /// Kept: newer than every version that the last rollouts name; it may be rolled out later.
    NotRolledOut,
    /// Kept: published recently.
    Young,
    /// Kept: its record cannot be read.
    Unreadable(String),
    /// Removed.
    Unneeded,
    /// Its removal was started, and is completed.
    HalfRemoved,
    /// Its removal was started, and is taken back: it is needed.
    TakenBack,
}

impl Fate {
    /// Whether its parts go.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        matches!(self, Self::Unneeded | Self::HalfRemoved)
    }
}

/// Who needs which versions.
#[derive(Clone, Debug, Default)]
pub(crate) struct Needs {
    /// The newest of the rollouts that name it.
    named: BTreeMap<Version, RolloutNumber>,
    in_use: BTreeMap<Version, ReplicaId>,
    /// Manifests that rollouts kept or replicas name.
    digests: BTreeMap<Sha256Digest, Version>,
}

impl Needs {
    fn add_digests(&mut self, arms: &[Arm]) {
        let named = arms
            .iter()
            .filter_map(|arm| Some((arm.manifest_sha256?, arm.version)));
        self.digests.extend(named);
    }

    fn of(&self, version: Version) -> Option<Fate> {
        let named = self.named.get(&version).copied().map(Fate::Named);
        named.or_else(|| self.in_use.get(&version).cloned().map(Fate::InUse))
    }

    /// The fate of a published version. Without any rollout every version may still be rolled out.
    fn fate(&self, (version, age): (Version, Duration), rules: &GcRules) -> Fate {
        if let Some(needed) = self.of(version) {
            return needed;
        }
        match self.named.keys().next_back() {
            Some(newest) if version <= *newest => {}
            _ => return Fate::NotRolledOut,
        }
        if age < rules.min_age {
            return Fate::Young;
        }
        Fate::Unneeded
    }
}

#[cfg(test)]
mod tests;
