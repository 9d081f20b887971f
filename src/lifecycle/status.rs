//! The status of one model: the manager's view, and what the watch adds.

use super::state::{VersionEntry, VersionState};
use crate::metrics::LifecycleMetrics;
use hotshelf_registry::{Arm, RolloutRecord, Sha256Digest, Version};
use std::collections::BTreeMap;

/// The manager's view of one model.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ManagerStatus {
    /// The rollout that answers requests.
    pub live: Option<RolloutRecord>,
    /// The share of the live rollout's first arm at this moment, in basis points, where it has a ramp.
    pub candidate_bp: u16,
    /// The newest rollout of the registry.
    pub desired: Option<RolloutRecord>,
    /// Not empty: what keeps this server from serving the desired rollout, or its fallbacks.
    pub degraded: String,
    /// Newest first.
    pub versions: Vec<(Version, VersionEntry)>,
}

/// The whole view of one model.
#[derive(Clone, Debug, Default)]
pub struct ModelStatus {
    /// The manager's view.
    pub manager: ManagerStatus,
    /// Why the registry could not be read last time; empty where it could.
    pub registry_error: String,
    /// Skipped records, newest first.
    pub skipped_rollouts: Vec<String>,
}

/// Joins sentences, without the empty ones.
pub(crate) fn sentences(said: impl IntoIterator<Item = String>) -> String {
    let said: Vec<String> = said.into_iter().filter(|one| !one.is_empty()).collect();
    said.join("; ")
}

impl ManagerStatus {
    /// Builds the view. `live` and `desired` as in the fields.
    pub fn describe(
        live: Option<&RolloutRecord>,
        desired: Option<&RolloutRecord>,
        versions: &BTreeMap<Version, VersionEntry>,
    ) -> Self {
        Self {
            live: live.cloned(),
            candidate_bp: 0,
            desired: desired.cloned(),
            degraded: degradation(live, desired, versions),
            versions: versions
                .iter()
                .rev()
                .map(|(v, entry)| (*v, entry.clone()))
                .collect(),
        }
    }

    /// Adds sentences to the degradation.
    pub(super) fn add_degradations(&mut self, said: Vec<String>) {
        let known = std::mem::take(&mut self.degraded);
        self.degraded = sentences(std::iter::once(known).chain(said));
    }

    /// Sets the gauges of this model. `held` versions are in memory, draining ones included.
    pub(crate) fn show(&self, metrics: &LifecycleMetrics, model: &str, held: u64) {
        let number = |record: Option<&RolloutRecord>| record.map_or(0, |r| r.number.get());
        let main = self
            .live
            .as_ref()
            .and_then(|live| live.main_version(self.candidate_bp));
        let entries = self.versions.iter().map(|(_, entry)| entry);
        let bytes = entries.map(|entry| entry.resident_bytes as u64).sum();
        metrics.set(|m| &m.resident_versions, model, held);
        metrics.set(|m| &m.resident_bytes, model, bytes);
        metrics.set(|m| &m.live_version, model, main.map_or(0, Version::get));
        metrics.set(|m| &m.live_rollout, model, number(self.live.as_ref()));
        metrics.set(|m| &m.desired_rollout, model, number(self.desired.as_ref()));
        metrics.set(|m| &m.degraded, model, u64::from(!self.degraded.is_empty()));
    }

    /// The entry of one version.
    pub fn version(&self, version: Version) -> Option<&VersionEntry> {
        self.versions
            .iter()
            .find(|(v, _)| *v == version)
            .map(|(_, entry)| entry)
    }
}

/// The version in memory and the one that the rollout names have one number and two manifests.
fn another_version(
    wanted: &RolloutRecord,
    (arm, entry): (&Arm, &VersionEntry),
    serving: &str,
) -> String {
    let digest = |digest: Option<Sha256Digest>| digest.map_or_else(String::new, |d| d.to_string());
    format!(
        "desired rollout {}, {serving}, because it names version {} with manifest sha256 {}, and version {} \
         in memory has {}",
        wanted.number,
        arm.version,
        digest(arm.manifest_sha256),
        arm.version,
        digest(entry.manifest_sha256)
    )
}

fn degradation(
    live: Option<&RolloutRecord>,
    desired: Option<&RolloutRecord>,
    versions: &BTreeMap<Version, VersionEntry>,
) -> String {
    let mut said = Vec::new();
    if let Some(wanted) = desired.filter(|wanted| live.map(|l| l.number) != Some(wanted.number)) {
        let serving = match live {
            Some(record) => format!("serving rollout {}", record.number),
            None => "serving nothing".to_owned(),
        };
        for arm in &wanted.arms {
            let entry = versions.get(&arm.version);
            if let Some(entry) =
                entry.filter(|one| one.state.is_servable() && !one.is_named_by(arm))
            {
                said.push(another_version(wanted, (arm, entry), &serving));
            }
            let failure = entry.and_then(|entry| entry.failure.as_ref());
            if let Some(failure) = failure {
                said.push(format!(
                    "desired rollout {}, {serving}, because version {} was refused: {}",
                    wanted.number, arm.version, failure.error.message
                ));
            }
        }
    }
    for arm in live.into_iter().flat_map(|record| &record.arms) {
        let entry = versions.get(&arm.version);
        if let Some(entry) =
            entry.filter(|e| e.state == VersionState::Live && !e.degraded.is_empty())
        {
            said.push(format!(
                "version {} serves although {}",
                arm.version, entry.degraded
            ));
        }
    }
    said.join("; ")
}
