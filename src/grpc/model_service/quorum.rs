//! Quorums: how many replicas a change waits for.

use super::Operations;
use super::get_rollout_status::wire_replica;
use crate::fleet::{Quorum, ReplicaView};
use crate::grpc::proto::{Quorum as WireQuorum, QuorumStatus};
use crate::lifecycle::ModelHandle;
use crate::serving::validate::Violations;
use std::time::Instant;

/// Replicas that one call can wait for.
const REPLICAS_MAX: u32 = 10_000;

impl Violations {
    pub(super) fn quorum(&mut self, wire: Option<WireQuorum>) -> Option<Quorum> {
        let WireQuorum { replicas, all } = wire?;
        if all && replicas > 0 {
            let why = format!("all is true and replicas is {replicas}; set only one of them");
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

impl Operations {
    /// Waits until what is live here has reached the others who were asked for; `None` where nobody was,
    /// or nothing is live.
    pub(super) async fn reached(
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
}
