//! `GetRolloutStatus`: how far the desired rollout has come on all replicas.

use super::Operations;
use super::wire::{desired_rollout, wire_arm};
use crate::error::CallError;
use crate::fleet::{Counts, ReplicaView, Standing};
use crate::grpc::proto::{
    GetRolloutStatusRequest, GetRolloutStatusResponse, ReplicaCounts,
    ReplicaStanding as WireStanding, ReplicaStatus,
};
use crate::serving::validate::Violations;
use prost_types::Timestamp;

impl Operations {
    pub(super) async fn rollout_status(
        &self,
        request: &GetRolloutStatusRequest,
    ) -> Result<GetRolloutStatusResponse, CallError> {
        let mut bad = Violations::default();
        bad.model(&request.model);
        bad.finish()?;
        let handle = self.handle(&request.model)?;
        let view = self.member(handle)?.view().await;
        let counts = view.counts();
        let view = view.bounded();
        Ok(GetRolloutStatusResponse {
            model: handle.slot.name.to_string(),
            desired: desired_rollout(&handle.status.load().manager),
            replicas: view.replicas.iter().map(wire_replica).collect(),
            counts: Some(wire_counts(counts)),
            replicas_error: view.trouble,
            silent: view.not_reporting,
        })
    }
}

/// One replica, as a message.
pub(super) fn wire_replica(replica: &ReplicaView) -> ReplicaStatus {
    let known = ReplicaStatus {
        replica: replica.replica.to_string(),
        standing: wire_standing(replica.standing).into(),
        // A duration beyond 292 billion years does not fit; none is.
        lag: replica.lag.and_then(|lag| lag.try_into().ok()),
        age: replica.age.try_into().ok(),
        held_back_by: replica.held_back_by.clone(),
        is_asked: replica.is_own,
        ..ReplicaStatus::default()
    };
    let Some(state) = &replica.state else {
        return known;
    };
    ReplicaStatus {
        address: state.address.clone(),
        build: state.build.clone(),
        live_rollout: state.live.map(|live| live.number.get()),
        heard_rollout: state.observed.map(|observed| observed.number.get()),
        degraded: state.degraded.clone(),
        arms: state.arms.iter().map(wire_arm).collect(),
        started_at: state.started_at.parse::<Timestamp>().ok(),
        ..known
    }
}

fn wire_standing(standing: Standing) -> WireStanding {
    match standing {
        Standing::Serving => WireStanding::Serving,
        Standing::Loading => WireStanding::Loading,
        Standing::Failed => WireStanding::Failed,
        Standing::Lost => WireStanding::Lost,
        Standing::Stopped => WireStanding::Stopped,
        Standing::Unreadable => WireStanding::Unreadable,
        Standing::NameConflict => WireStanding::NameConflict,
    }
}

fn wire_counts(counts: Counts) -> ReplicaCounts {
    let Counts {
        serving,
        loading,
        failed,
        lost,
        stopped,
        unreadable,
        name_conflict,
    } = counts;
    ReplicaCounts {
        serving,
        loading,
        failed,
        lost,
        stopped,
        unreadable,
        name_conflict,
    }
}
