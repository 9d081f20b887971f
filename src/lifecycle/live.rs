//! What requests see: one immutable snapshot per model, swapped as a whole.

use super::budget::Reservation;
use crate::guardrails::{Guardrails, Tallies, Tally};
use crate::metrics::VersionMetrics;
use arc_swap::ArcSwapOption;
use hotshelf_model::{Model, ModelCard};
use hotshelf_registry::{Manifest, ModelName, RolloutRecord, Version};
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU16, Ordering::Relaxed};
use std::sync::{Arc, OnceLock};

/// A version in memory, verified and warm. The driver drops its last reference, never a request.
pub struct LoadedVersion {
    /// Its number.
    pub version: Version,
    /// Its manifest; persisted for a start without the registry.
    pub manifest: Arc<Manifest>,
    /// Of the manifest as it is stored, in hexadecimal digits: every response has it.
    pub manifest_sha256: String,
    /// The model.
    pub model: Model,
    /// Its model card.
    pub card: ModelCard,
    /// Metric handles, made when it first goes live; their series end when this is dropped.
    pub metrics: OnceLock<VersionMetrics>,
    /// Its share of the memory budget; declared last, so that it is released when the rest is free.
    pub reservation: Reservation,
}

/// One arm of a live rollout.
pub struct LiveArm {
    /// Such as `main`.
    pub name: String,
    /// The version that answers.
    pub loaded: Arc<LoadedVersion>,
    /// Where its answers count for the guardrails; `None` where it is the only arm.
    pub tally: Option<Arc<Tally>>,
}

/// A rollout record with all its arms loaded.
pub struct Live {
    /// What it came from.
    pub record: RolloutRecord,
    arms: Vec<LiveArm>,
    /// Of the first arm, where the record has a ramp. It only ever grows.
    candidate_bp: AtomicU16,
    /// Those of all arms; `None` where there is one.
    pub tallies: Option<Arc<Tallies>>,
}

impl Live {
    /// A record with its versions, where a candidate has `candidate_bp`; `None` where a version is missing or
    /// the record is empty.
    pub fn assemble(
        record: RolloutRecord,
        resident: &BTreeMap<Version, Arc<LoadedVersion>>,
        candidate_bp: u16,
    ) -> Option<Self> {
        let mut arms = Vec::with_capacity(record.arms.len());
        for arm in &record.arms {
            let loaded = Arc::clone(resident.get(&arm.version)?);
            arms.push(LiveArm {
                name: arm.name.to_string(),
                loaded,
                tally: None,
            });
        }
        (!arms.is_empty()).then_some(Self {
            record,
            arms,
            candidate_bp: AtomicU16::new(candidate_bp),
            tallies: None,
        })
    }

    /// The share of the first arm, where the record has a ramp, in basis points.
    pub fn candidate_bp(&self) -> u16 {
        self.candidate_bp.load(Relaxed)
    }

    /// Raises a candidate's share from the next request on; never lowers it.
    pub fn grow_to(&self, candidate_bp: u16) {
        self.candidate_bp.fetch_max(candidate_bp, Relaxed);
    }

    /// With tallies for several arms: those of `before` where that is another record of the same ramp or
    /// test, else empty ones.
    #[must_use]
    pub fn tallied(mut self, settings: &Guardrails, before: Option<&Self>) -> Self {
        if self.arms.len() < 2 || settings.on().next().is_none() {
            return self;
        }
        let same = before.filter(|before| before.tests_the_same(&self));
        let known = same.and_then(|before| before.tallies.clone());
        let empty = || Arc::new(Tallies::new(self.arms.len(), settings));
        let tallies = known.unwrap_or_else(empty);
        for (arm, tally) in self.arms.iter_mut().zip(tallies.arms()) {
            arm.tally = Some(Arc::clone(tally));
        }
        self.tallies = Some(tallies);
        self
    }

    fn tests_the_same(&self, other: &Self) -> bool {
        let arms = |live: &Self| -> Vec<(String, Version)> {
            let arms = live.arms.iter();
            arms.map(|arm| (arm.name.clone(), arm.loaded.version))
                .collect()
        };
        self.record.salt == other.record.salt && arms(self) == arms(other)
    }

    /// Index of the arm that answers this key: sticky, and the same on every replica and in every language.
    pub fn arm_index_for(&self, key: &str) -> usize {
        if self.arms.len() < 2 {
            return 0;
        }
        let arm = self.record.arm_for(key, self.candidate_bp());
        let version = arm.map(|arm| arm.version);
        let mut versions = self.arms.iter().map(|arm| arm.loaded.version);
        let index = versions.position(|one| Some(one) == version);
        index.unwrap_or(0)
    }

    /// All arms, in the order of the record.
    pub fn arms(&self) -> &[LiveArm] {
        &self.arms
    }
}

/// The slot of one model's live snapshot.
pub struct ModelSlot {
    /// The model.
    pub name: ModelName,
    /// `None` until a version is live; from then on always `Some` until shutdown.
    pub live: ArcSwapOption<Live>,
}

/// Every model this server serves.
pub struct Models {
    slots: BTreeMap<String, Arc<ModelSlot>>,
    default: Arc<ModelSlot>,
}

impl Models {
    /// One empty slot a name; the first one is the default. `None` without names.
    pub fn new(names: &[ModelName]) -> Option<Self> {
        let slot = |name: &ModelName| {
            let slot = ModelSlot {
                name: name.clone(),
                live: ArcSwapOption::empty(),
            };
            (name.to_string(), Arc::new(slot))
        };
        let slots: BTreeMap<_, _> = names.iter().map(slot).collect();
        let default = Arc::clone(slots.get(names.first()?.as_str())?);
        Some(Self { slots, default })
    }

    /// The slot of this model, or of the default where the name is empty.
    pub fn slot(&self, name: &str) -> Option<&Arc<ModelSlot>> {
        if name.is_empty() {
            Some(&self.default)
        } else {
            self.slots.get(name)
        }
    }

    /// Every slot, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<ModelSlot>> {
        self.slots.values()
    }
}
