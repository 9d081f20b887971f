//! `GetRolloutStatus` for the command line and the demo.

use super::rollout_info::{ArmInfo, RolloutInfo};
use super::{Client, ClientError, instant, word};
use crate::grpc::proto::model_service_client::ModelServiceClient;
use crate::grpc::proto::{
    GetRolloutStatusRequest, GetRolloutStatusResponse, Quorum, QuorumStatus, ReplicaCounts,
    ReplicaStatus,
};
use prost_types::Duration;
use serde::Serialize;

/// The desired rollout on every replica.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FleetInfo {
    /// The model.
    pub model: String,
    /// The newest rollout of the registry.
    pub desired: Option<RolloutInfo>,
    /// Sorted by name.
    pub replicas: Vec<ReplicaInfo>,
    /// Replicas by state.
    pub counts: CountsInfo,
    /// Why other replicas cannot be listed; empty if they can.
    pub replicas_error: String,
    /// Why the called server does not report itself; empty if it does.
    pub silent: String,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplicaInfo {
    /// Its name.
    pub replica: String,
    /// The address of its data listener.
    pub address: String,
    /// Its release.
    pub build: String,
    /// Its state: serving, loading, failed, lost, stopped, unreadable, name_conflict.
    pub standing: String,
    /// The rollout that is live there.
    pub live_rollout: Option<u64>,
    /// The newest rollout that it has observed.
    pub heard_rollout: Option<u64>,
    /// Seconds since the desired rollout was created; `None` if the replica serves it.
    pub lag_s: Option<f64>,
    /// Why it does not serve the desired rollout.
    pub held_back_by: String,
    /// Why it serves in a degraded state.
    pub degraded: String,
    /// The arms that receive traffic there.
    pub arms: Vec<ArmInfo>,
    /// Seconds since its last report.
    pub age_s: f64,
    /// Whether it is the server that was called.
    pub is_asked: bool,
    /// RFC 3339.
    pub started_at: String,
}

/// Replicas by state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "one count per state")]
pub struct CountsInfo {
    pub serving: u32,
    pub loading: u32,
    pub failed: u32,
    pub lost: u32,
    pub stopped: u32,
    pub unreadable: u32,
    pub name_conflict: u32,
}

/// Which replicas a call waits for, the called one included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumAsk {
    /// This many.
    Replicas(u32),
    /// All but the lost and the stopped.
    All,
}

/// The outcome of waiting for replicas.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuorumInfo {
    /// Whether all of them serve the rollout.
    pub met: bool,
    /// Replicas that serve it.
    pub serving: Vec<String>,
    /// Replicas that do not.
    pub missing: Vec<ReplicaInfo>,
    /// Why other replicas cannot be listed; empty if they can.
    pub replicas_error: String,
}

impl From<QuorumAsk> for Quorum {
    fn from(ask: QuorumAsk) -> Self {
        match ask {
            QuorumAsk::Replicas(replicas) => Self {
                replicas,
                all: false,
            },
            QuorumAsk::All => Self {
                replicas: 0,
                all: true,
            },
        }
    }
}

impl From<QuorumStatus> for QuorumInfo {
    fn from(status: QuorumStatus) -> Self {
        Self {
            met: status.met,
            serving: status.serving,
            missing: status.missing.into_iter().map(Into::into).collect(),
            replicas_error: status.replicas_error,
        }
    }
}

impl Client {
    /// Returns the state of every replica.
    ///
    /// # Errors
    /// `Refused` by the server or the transport.
    pub async fn fleet(&self, model: &str) -> Result<FleetInfo, ClientError> {
        let mut service = ModelServiceClient::new(self.channel.clone());
        let request = GetRolloutStatusRequest {
            model: model.to_owned(),
        };
        let answered = service.get_rollout_status(request).await?;
        Ok(answered.into_inner().into())
    }
}

impl From<GetRolloutStatusResponse> for FleetInfo {
    fn from(status: GetRolloutStatusResponse) -> Self {
        Self {
            model: status.model,
            desired: status.desired.map(Into::into),
            replicas: status.replicas.into_iter().map(Into::into).collect(),
            counts: status.counts.unwrap_or_default().into(),
            replicas_error: status.replicas_error,
            silent: status.silent,
        }
    }
}

impl From<ReplicaStatus> for ReplicaInfo {
    fn from(replica: ReplicaStatus) -> Self {
        Self {
            standing: word(replica.standing().as_str_name(), "REPLICA_STANDING_"),
            replica: replica.replica,
            address: replica.address,
            build: replica.build,
            live_rollout: replica.live_rollout,
            heard_rollout: replica.heard_rollout,
            lag_s: replica.lag.map(seconds),
            held_back_by: replica.held_back_by,
            degraded: replica.degraded,
            arms: replica.arms.into_iter().map(Into::into).collect(),
            age_s: replica.age.map_or(0.0, seconds),
            is_asked: replica.is_asked,
            started_at: instant(replica.started_at),
        }
    }
}

impl From<ReplicaCounts> for CountsInfo {
    fn from(counts: ReplicaCounts) -> Self {
        Self {
            serving: counts.serving,
            loading: counts.loading,
            failed: counts.failed,
            lost: counts.lost,
            stopped: counts.stopped,
            unreadable: counts.unreadable,
            name_conflict: counts.name_conflict,
        }
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.seconds as f64 + f64::from(duration.nanos) / 1e9
}
