//! `GetRolloutStatus`, and waiting for other replicas: what the fleet's view is on the wire.

use super::Operations;
use super::wire;
use crate::error::CallError;
use crate::fleet::{Counts, Member, Quorum, ReplicaView, Standing};
use crate::grpc::proto::{
    GetRolloutStatusResponse, Quorum as WireQuorum, QuorumStatus, ReplicaCounts,
    ReplicaStanding as WireStanding, ReplicaStatus,
};
use crate::lifecycle::ModelHandle;
use crate::serving::validate::Violations;
use prost_types::Timestamp;
use std::sync::Arc;
use std::time::Instant;

/// Replicas that one call can wait for.
const REPLICAS_MAX: u32 = 10_000;

impl Operations {
    /// This model's part in the fleet.
    pub(in crate::grpc) fn member(&self, model: &str) -> Result<&Arc<Member>, CallError> {
        let name = self.handle(model)?.slot.name.as_str();
        let member = self.fleet.member(name);
        member.ok_or_else(|| CallError::UnknownModel(name.to_owned()))
    }

    /// Waits until what is live here has reached the others who were asked for; `None` where nobody was,
    /// or nothing is live.
    pub(in crate::grpc) async fn reached(
        &self,
        handle: &ModelHandle,
        quorum: Option<Quorum>,
        until: Instant,
    ) -> Option<QuorumStatus> {
        let quorum = quorum?;
        let live = handle.slot.live.load().as_ref()?.record.as_parent();
        let member = self.fleet.member(handle.slot.name.as_str())?;
        let waited = member.wait_for(live, quorum, until.into()).await;
        let name = |replica: &ReplicaView| replica.replica.to_string();
        Some(QuorumStatus {
            met: waited.is_met,
            serving: waited.serving.iter().map(name).collect(),
            missing: waited.missing.iter().map(wire_replica).collect(),
            replicas_error: waited.trouble,
        })
    }

    pub(in crate::grpc) async fn rollout_status(
        &self,
        model: &str,
    ) -> Result<GetRolloutStatusResponse, CallError> {
        let mut bad = Violations::default();
        bad.model(model);
        bad.finish()?;
        let handle = self.handle(model)?;
        let view = self.member(model)?.view().await;
        Ok(GetRolloutStatusResponse {
            model: handle.slot.name.to_string(),
            desired: wire::desired_rollout(&handle.status.load().manager),
            replicas: view.replicas.iter().map(wire_replica).collect(),
            counts: Some(wire_counts(view.counts())),
            replicas_error: view.trouble,
            silent: view.silent,
        })
    }
}

impl Violations {
    pub(in crate::grpc) fn quorum(&mut self, wire: Option<WireQuorum>) -> Option<Quorum> {
        let WireQuorum { replicas, all } = wire?;
        if all && replicas > 0 {
            let why = format!("all replicas and {replicas} of them cannot both be waited for");
            self.add("quorum", why);
        }
        if !all && (replicas == 0 || replicas > REPLICAS_MAX) {
            let why = format!("{replicas} is not within 1 to {REPLICAS_MAX}");
            self.add("quorum.replicas", why);
        }
        Some(if all {
            Quorum::All
        } else {
            Quorum::Count(replicas)
        })
    }
}

/// One replica as the wire has it.
pub(in crate::grpc) fn wire_replica(replica: &ReplicaView) -> ReplicaStatus {
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
        heard_rollout: state.heard.map(|heard| heard.number.get()),
        degraded: state.degraded.clone(),
        arms: state.arms.iter().map(wire::wire_arm).collect(),
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
    } = counts;
    ReplicaCounts {
        serving,
        loading,
        failed,
        lost,
        stopped,
        unreadable,
    }
}
