//! What several RPCs of `ModelService` return, as messages.

use crate::grpc::proto::{
    Arm, Phase as WirePhase, Ramp as WireRamp, RampStep as WireStep, Rollout,
    VersionState as WireState,
};
use crate::lifecycle::{ManagerStatus, Phase, VersionState};
use hotshelf_registry::{Ramp, RampStep, RolloutRecord, Sha256Digest};
use prost_types::{Duration as WireDuration, Timestamp};

/// The rollout that receives traffic, with the shares of this moment.
pub(super) fn live_rollout(status: &ManagerStatus) -> Option<Rollout> {
    let live = status.live.as_ref()?;
    Some(wire_rollout(live, status.candidate_bp))
}

/// The rollout that should receive traffic; where it does not yet, with the shares by this server's
/// clock.
pub(super) fn desired_rollout(status: &ManagerStatus) -> Option<Rollout> {
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

pub(super) fn wire_arm(arm: &hotshelf_registry::Arm) -> Arm {
    Arm {
        name: arm.name.clone(),
        version: arm.version.get(),
        share_bp: arm.share_bp.into(),
        manifest_sha256: digest_text(arm.manifest_sha256),
    }
}

/// Empty where there is none.
pub(super) fn digest_text(digest: Option<Sha256Digest>) -> String {
    digest.map(|digest| digest.to_string()).unwrap_or_default()
}

pub(super) fn wire_phases(phases: &[Phase]) -> Vec<WirePhase> {
    let phase = |phase: &Phase| WirePhase {
        name: phase.name.to_owned(),
        // A duration beyond 292 billion years does not fit; none is.
        duration: phase.duration.try_into().ok(),
    };
    phases.iter().map(phase).collect()
}

pub(super) fn wire_state(state: VersionState) -> WireState {
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
