//! Calls of the admin listener.

use super::fleet::{QuorumAsk, QuorumInfo};
use super::rollouts::RolloutInfo;
use super::{Client, ClientError, word};
use crate::grpc::proto::model_service_client::ModelServiceClient;
use crate::grpc::proto::{
    GetModelStatusRequest, GetModelStatusResponse, LoadFailure, Phase, ReloadModelRequest,
    ReloadModelResponse, VersionStatus,
};
use serde::Serialize;
use std::time::Duration;

/// A reload to ask for.
#[derive(Clone, Debug, Default)]
pub struct ReloadAsk {
    /// Empty = the server's default.
    pub model: String,
    /// `None` = the newest.
    pub version: Option<u64>,
    /// The newest rollout as the caller believes it; 0 = none yet.
    pub expected_rollout: Option<u64>,
    /// Who.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Whom to wait for beside the server that is asked.
    pub quorum: Option<QuorumAsk>,
    /// Longest wait.
    pub timeout: Duration,
}

/// A step of bringing a version up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PhaseInfo {
    /// Which one.
    pub name: String,
    /// How long it took.
    pub duration_ms: f64,
}

/// What a reload did.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reloaded {
    /// The model.
    pub model: String,
    /// Is something else live now than before?
    pub changed: bool,
    /// Live before.
    pub previous_version: Option<u64>,
    /// The target.
    pub version: u64,
    /// The rollout that is live.
    pub rollout: Option<u64>,
    /// Where the target is.
    pub state: String,
    /// What was done.
    pub phases: Vec<PhaseInfo>,
    /// How far it has come elsewhere, where that was asked for.
    pub quorum: Option<QuorumInfo>,
}

/// Why a version could not be brought up.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct FailureInfo {
    /// Stable label.
    pub kind: String,
    /// For people.
    pub message: String,
    /// From 1.
    pub attempts: u32,
    /// RFC 3339; `None` where retrying cannot help.
    pub next_attempt_at: Option<String>,
}

/// One version on the server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct VersionInfo {
    /// From 1.
    pub version: u64,
    /// Where it is in its life.
    pub state: String,
    /// Memory that it holds.
    pub resident_bytes: u64,
    /// What went wrong last.
    pub failure: Option<FailureInfo>,
    /// What it serves without.
    pub degraded: String,
    /// What was damaged when it was loaded, in the cache or on the way, and was fetched again.
    pub mended: String,
}

/// What a server serves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusInfo {
    /// The model.
    pub model: String,
    /// Answers requests.
    pub live: Option<RolloutInfo>,
    /// Should answer requests.
    pub desired: Option<RolloutInfo>,
    /// What holds the server back.
    pub degraded: String,
    /// Newest first.
    pub versions: Vec<VersionInfo>,
    /// Why the registry cannot be read.
    pub registry_error: String,
    /// Whether the server can record rollouts: proven, unproven, or refused and why.
    pub registry_writing: String,
    /// Records passed over.
    pub skipped_rollouts: Vec<String>,
    /// Why the server tells the fleet nothing of itself; empty where it does.
    pub silent: String,
    /// What guardrails have found of the arms that are live.
    pub guardrail_breaches: Vec<String>,
}

impl Client {
    /// Asks for a reload and waits for it.
    ///
    /// # Errors
    /// `Refused` by the server or the transport.
    pub async fn reload(&self, ask: ReloadAsk) -> Result<Reloaded, ClientError> {
        let mut request = tonic::Request::new(ReloadModelRequest {
            model: ask.model,
            version: ask.version,
            expected_rollout: ask.expected_rollout,
            author: ask.author,
            reason: ask.reason,
            quorum: ask.quorum.map(Into::into),
        });
        request.set_timeout(ask.timeout);
        let mut service = ModelServiceClient::new(self.channel.clone());
        Ok(service.reload_model(request).await?.into_inner().into())
    }

    /// Asks what is live, wanted and wrong.
    ///
    /// # Errors
    /// `Refused` by the server or the transport.
    pub async fn status(&self, model: &str) -> Result<StatusInfo, ClientError> {
        let mut service = ModelServiceClient::new(self.channel.clone());
        let request = GetModelStatusRequest {
            model: model.to_owned(),
        };
        Ok(service.get_model_status(request).await?.into_inner().into())
    }
}

impl From<Phase> for PhaseInfo {
    fn from(phase: Phase) -> Self {
        let duration = phase.duration.unwrap_or_default();
        let duration_ms = duration.seconds as f64 * 1e3 + f64::from(duration.nanos) / 1e6;
        Self {
            name: phase.name,
            duration_ms,
        }
    }
}

impl From<ReloadModelResponse> for Reloaded {
    fn from(done: ReloadModelResponse) -> Self {
        Self {
            state: word(done.state().as_str_name(), "VERSION_STATE_"),
            model: done.model,
            changed: done.changed,
            previous_version: done.previous_version,
            version: done.version,
            rollout: done.rollout,
            phases: done.phases.into_iter().map(Into::into).collect(),
            quorum: done.quorum.map(Into::into),
        }
    }
}

impl From<LoadFailure> for FailureInfo {
    fn from(failure: LoadFailure) -> Self {
        Self {
            kind: failure.kind,
            message: failure.message,
            attempts: failure.attempts,
            next_attempt_at: failure.next_attempt_at.map(|at| at.to_string()),
        }
    }
}

impl From<VersionStatus> for VersionInfo {
    fn from(version: VersionStatus) -> Self {
        Self {
            state: word(version.state().as_str_name(), "VERSION_STATE_"),
            version: version.version,
            resident_bytes: version.resident_bytes,
            failure: version.failure.map(Into::into),
            degraded: version.degraded,
            mended: version.mended,
        }
    }
}

impl From<GetModelStatusResponse> for StatusInfo {
    fn from(status: GetModelStatusResponse) -> Self {
        Self {
            model: status.model,
            live: status.live.map(Into::into),
            desired: status.desired.map(Into::into),
            degraded: status.degraded,
            versions: status.versions.into_iter().map(Into::into).collect(),
            registry_error: status.registry_error,
            registry_writing: status.registry_writing,
            skipped_rollouts: status.skipped_rollouts,
            silent: status.silent,
            guardrail_breaches: status.guardrail_breaches,
        }
    }
}
