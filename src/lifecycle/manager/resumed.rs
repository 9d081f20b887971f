//! The manager of a driver that was restarted.

use super::{ModelManager, Policy};
use crate::lifecycle::live::Live;
use crate::lifecycle::state::{VersionEntry, VersionState};
use crate::lifecycle::status::ManagerStatus;
use hotshelf_registry::Version;

impl ModelManager {
    /// For the next manager of the same model.
    pub(in crate::lifecycle) fn policy(&self) -> &Policy {
        &self.policy
    }

    /// With this rollout live and these versions being freed. Nothing of the registry is known. What is
    /// known of versions is taken from the last status.
    pub(in crate::lifecycle) fn resumed(
        policy: Policy,
        (live, draining): (Option<&Live>, Vec<Version>),
        last: &ManagerStatus,
    ) -> Self {
        let mut manager = Self::new(policy);
        let versions = &mut manager.versions;
        let known = |version| last.version(version).cloned();
        let entry = |version, state| VersionEntry {
            state,
            ..known(version).unwrap_or_else(VersionEntry::discovered)
        };
        for version in draining {
            let draining = entry(version, VersionState::Draining);
            versions.entries.insert(version, draining);
            versions.freeing.insert(version);
        }
        let Some(live) = live else {
            return manager;
        };
        for arm in live.arms() {
            let version = arm.loaded.version;
            versions
                .entries
                .insert(version, entry(version, VersionState::Live));
        }
        versions.candidate_bp = live.candidate_bp();
        versions.live = Some(live.record.clone());
        manager
    }
}
