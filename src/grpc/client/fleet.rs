//! `GetRolloutStatus` for the command line and the demo.

use super::{ArmInfo, Client, ClientError, RolloutInfo, instant, word};
use crate::grpc::proto::model_service_client::ModelServiceClient;
use crate::grpc::proto::{
    GetRolloutStatusRequest, GetRolloutStatusResponse, Quorum, QuorumStatus, ReplicaCounts,
    ReplicaStatus,
};
use prost_types::Duration;
use serde::Serialize;

/// How far the desired rollout has come on all replicas.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FleetInfo {
    /// The model.
    pub model: String,
    /// What all should serve.
    pub desired: Option<RolloutInfo>,
    /// By name.
    pub replicas: Vec<ReplicaInfo>,
    /// How many stand how.
    pub counts: CountsInfo,
    /// Why the others cannot be seen; empty where they can.
    pub replicas_error: String,
    /// Why the server asked tells nothing of itself; empty where it does.
    pub silent: String,
}

/// One replica.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReplicaInfo {
    /// Its name.
    pub replica: String,
    /// Where it answers.
    pub address: String,
    /// Its program.
    pub build: String,
    /// How it stands to the desired rollout: serving, loading, failed, lost, stopped, unreadable.
    pub standing: String,
    /// The rollout that is live there.
    pub live_rollout: Option<u64>,
    /// The newest one it has heard of.
    pub heard_rollout: Option<u64>,
    /// How long the desired rollout has been waiting for it; `None` where it serves it.
    pub lag_s: Option<f64>,
    /// What holds it back.
    pub held_back_by: String,
    /// What it does without.
    pub degraded: String,
    /// What is live there.
    pub arms: Vec<ArmInfo>,
    /// Since it told this.
    pub age_s: f64,
    /// Is it the one that was asked?
    pub is_asked: bool,
    /// RFC 3339.
    pub started_at: String,
}

/// How many replicas stand how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[allow(missing_docs, reason = "the standings, counted")]
pub struct CountsInfo {
    pub serving: u32,
    pub loading: u32,
    pub failed: u32,
    pub lost: u32,
    pub stopped: u32,
    pub unreadable: u32,
}

/// Whom to wait for beside the replica that is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum QuorumAsk {
    /// So many in all.
    Replicas(u32),
    /// All that are not lost.
    All,
}

/// How a wait for other replicas ended.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct QuorumInfo {
    /// Do those who were waited for serve it?
    pub met: bool,
    /// Names of those that do.
    pub serving: Vec<String>,
    /// Those that do not.
    pub missing: Vec<ReplicaInfo>,
    /// Why the others cannot be seen.
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
    /// Asks how far the desired rollout has come on all replicas.
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
        }
    }
}

fn seconds(duration: Duration) -> f64 {
    duration.seconds as f64 + f64::from(duration.nanos) / 1e9
}
