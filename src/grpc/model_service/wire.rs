//! Our words turned into the messages of `ModelService`.

use crate::error::with_causes;
use crate::grpc::proto::{
    Arm, GetModelStatusResponse, LoadFailure, ModelVersion, Phase as WirePhase, Ramp as WireRamp,
    RampStep as WireStep, ReloadModelResponse, Rollout, VersionState as WireState, VersionStatus,
};
use crate::lifecycle::{ManagerStatus, ModelHandle, Phase, VersionEntry, VersionState, card};
use hotshelf_registry::{Error as RegistryError, Manifest, Ramp, RampStep, RolloutRecord, Version};
use prost_types::{Duration as WireDuration, Timestamp};

/// Where a reload is that did not come to its end, or had nothing to do: `previous` as before the call.
pub(in crate::grpc) fn reload_so_far(
    handle: &ModelHandle,
    version: Version,
    previous_version: Option<u64>,
) -> ReloadModelResponse {
    let status = handle.status.load();
    let entry = status.manager.version(version);
    let state = entry.map_or(WireState::Discovered, |entry| wire_state(entry.state));
    ReloadModelResponse {
        model: handle.slot.name.to_string(),
        changed: false,
        previous_version,
        version: version.get(),
        rollout: status.manager.live.as_ref().map(|live| live.number.get()),
        state: state.into(),
        phases: entry
            .map(|entry| wire_phases(&entry.phases))
            .unwrap_or_default(),
        quorum: None,
    }
}

/// The whole status of one model.
pub(in crate::grpc) fn status(handle: &ModelHandle) -> GetModelStatusResponse {
    let status = handle.status.load();
    let manager = &status.manager;
    GetModelStatusResponse {
        model: handle.slot.name.to_string(),
        live: live_rollout(manager),
        desired: desired_rollout(manager),
        degraded: manager.degraded.clone(),
        versions: manager
            .versions
            .iter()
            .map(|(v, entry)| version_status(*v, entry))
            .collect(),
        registry_error: status.registry_error.clone(),
        skipped_rollouts: status.skipped_rollouts.clone(),
        registry_writing: handle.writing.borrow().to_string(),
        // The fleet's part to say.
        silent: String::new(),
        guardrail_breaches: handle.found.load().as_ref().clone(),
    }
}

/// One version of the registry; what is wrong with it stands in `problem`.
pub(in crate::grpc) fn listed(
    version: Version,
    manifest: Result<Manifest, RegistryError>,
) -> ModelVersion {
    let empty = ModelVersion {
        version: version.get(),
        ..ModelVersion::default()
    };
    let manifest = match manifest {
        Ok(manifest) => manifest,
        Err(error) => {
            let problem = match error {
                RegistryError::Removed { by, why, .. } => format!("removed by {by}: {why}"),
                error => with_causes(&error),
            };
            return ModelVersion { problem, ..empty };
        }
    };
    let described = ModelVersion {
        created_at: manifest.created_at.parse::<Timestamp>().ok(),
        author: manifest.author.clone(),
        size_bytes: manifest.parts.iter().map(|part| part.size_bytes).sum(),
        ..empty
    };
    match card(&manifest) {
        Ok(card) => ModelVersion {
            products: card.sizes.products as u64,
            users: card.sizes.users as u64,
            interactions: card.sizes.interactions as u64,
            ..described
        },
        Err(error) => ModelVersion {
            problem: error.message,
            ..described
        },
    }
}

/// What answers requests, with the shares of this moment.
pub(in crate::grpc) fn live_rollout(status: &ManagerStatus) -> Option<Rollout> {
    let live = status.live.as_ref()?;
    Some(wire_rollout(live, status.candidate_bp))
}

/// What should answer requests; where it is not what does, with the shares of this server's clock.
pub(in crate::grpc) fn desired_rollout(status: &ManagerStatus) -> Option<Rollout> {
    let desired = status.desired.as_ref()?;
    let is_live = |live: &&RolloutRecord| live.as_parent() == desired.as_parent();
    match status.live.as_ref().filter(is_live) {
        Some(live) => Some(wire_rollout(live, status.candidate_bp)),
        None => Some(wire_rollout(
            desired,
            desired.first_share_at(jiff::Timestamp::now()),
        )),
    }
}

fn wire_rollout(record: &RolloutRecord, candidate_bp: u16) -> Rollout {
    let arms = record.arms_with(candidate_bp);
    Rollout {
        number: record.number.get(),
        arms: arms.iter().map(wire_arm).collect(),
        author: record.author.clone(),
        reason: record.reason.clone(),
        created_at: record.created_at.parse::<Timestamp>().ok(),
        ramp: record.ramp.as_ref().map(wire_ramp),
        salt: record.salt.clone(),
    }
}

fn wire_ramp(ramp: &Ramp) -> WireRamp {
    let seconds = |seconds: u64| WireDuration {
        // Bounded by the format to a few years.
        seconds: i64::try_from(seconds).unwrap_or(i64::MAX),
        nanos: 0,
    };
    let step = |step: &RampStep| WireStep {
        share_bp: step.share_bp.into(),
        hold: (step.hold_s > 0).then(|| seconds(step.hold_s)),
    };
    WireRamp {
        steps: ramp.steps.iter().map(step).collect(),
        elapsed: Some(seconds(ramp.elapsed_s)),
        paused: ramp.is_paused,
    }
}

pub(in crate::grpc) fn wire_arm(arm: &hotshelf_registry::Arm) -> Arm {
    Arm {
        name: arm.name.clone(),
        version: arm.version.get(),
        share_bp: arm.share_bp.into(),
    }
}

fn version_status(version: Version, entry: &VersionEntry) -> VersionStatus {
    VersionStatus {
        version: version.get(),
        state: wire_state(entry.state).into(),
        resident_bytes: entry.resident_bytes as u64,
        phases: wire_phases(&entry.phases),
        failure: entry.failure.as_ref().map(|failure| LoadFailure {
            kind: failure.error.kind.to_owned(),
            message: failure.error.message.clone(),
            failed_at: Some(failure.failed_at.into()),
            attempts: failure.attempts,
            next_attempt_at: failure.next_try_at.map(Into::into),
        }),
        degraded: entry.degraded.clone(),
        mended: entry.mended.clone(),
    }
}

pub(in crate::grpc) fn wire_phases(phases: &[Phase]) -> Vec<WirePhase> {
    let phase = |phase: &Phase| WirePhase {
        name: phase.name.to_owned(),
        // A duration beyond 292 billion years does not fit; none is.
        duration: phase.duration.try_into().ok(),
    };
    phases.iter().map(phase).collect()
}

fn wire_state(state: VersionState) -> WireState {
    match state {
        VersionState::Discovered => WireState::Discovered,
        VersionState::Loading => WireState::Loading,
        VersionState::Verifying => WireState::Verifying,
        VersionState::Warming => WireState::Warming,
        VersionState::Ready => WireState::Ready,
        VersionState::Live => WireState::Live,
        VersionState::Draining => WireState::Draining,
        VersionState::Retired => WireState::Retired,
        VersionState::Failed => WireState::Failed,
    }
}
