//! Calls of the admin listener.

use super::fleet::{QuorumAsk, QuorumInfo};
use super::phases::PhaseInfo;
use super::rollout_info::RolloutInfo;
use super::{Client, ClientError, word};
use crate::grpc::proto::model_service_client::ModelServiceClient;
use crate::grpc::proto::{
    EventsStatus, GetModelStatusRequest, GetModelStatusResponse, LoadFailure, ReloadModelRequest,
    ReloadModelResponse, VersionStatus,
};
use serde::Serialize;
use std::time::Duration;

/// A reload request.
#[derive(Clone, Debug, Default)]
pub struct ReloadAsk {
    /// Empty = the server's default.
    pub model: String,
    /// `None` = the newest.
    pub version: Option<u64>,
    /// The newest rollout that the caller knows; 0 = none yet.
    pub expected_rollout: Option<u64>,
    /// Who asks.
    pub author: String,
    /// Why.
    pub reason: String,
    /// Other replicas to wait for.
    pub quorum: Option<QuorumAsk>,
    /// Deadline of the call.
    pub timeout: Duration,
}

/// The outcome of a reload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Reloaded {
    /// The model.
    pub model: String,
    /// Whether the call changed what is live.
    pub changed: bool,
    /// The version that was live before.
    pub previous_version: Option<u64>,
    /// The requested version.
    pub version: u64,
    /// The rollout that is live.
    pub rollout: Option<u64>,
    /// Its state.
    pub state: String,
    /// The steps that were taken.
    pub phases: Vec<PhaseInfo>,
    /// The other replicas, where the call waited for them.
    pub quorum: Option<QuorumInfo>,
}

/// Why a version failed to load.
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
    /// Its state.
    pub state: String,
    /// Its memory.
    pub resident_bytes: u64,
    /// The last failure.
    pub failure: Option<FailureInfo>,
    /// Why it serves in a degraded state; empty if it does not.
    pub degraded: String,
    /// Parts that arrived damaged and were refetched.
    pub mended: String,
}

/// Events of one server.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct EventsInfo {
    /// Root of the uploaded objects.
    pub url: String,
    /// Bytes that are not uploaded yet.
    pub held_bytes: u64,
    /// The last upload; `None` before the first.
    pub uploaded_at: Option<String>,
    /// Why the last one failed; empty if it did not.
    pub upload_error: String,
    /// People whose recent products this server alone has; `None`: recents are off.
    pub recents_people: Option<u64>,
}

impl From<EventsStatus> for EventsInfo {
    fn from(status: EventsStatus) -> Self {
        Self {
            url: status.url,
            held_bytes: status.held_bytes,
            uploaded_at: status.uploaded_at.map(|at| at.to_string()),
            upload_error: status.upload_error,
            recents_people: status.recents_people,
        }
    }
}

/// What a server serves.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatusInfo {
    /// The model.
    pub model: String,
    /// The rollout that receives traffic.
    pub live: Option<RolloutInfo>,
    /// The newest rollout of the registry.
    pub desired: Option<RolloutInfo>,
    /// Why the server does not serve it; empty if it does.
    pub degraded: String,
    /// Newest first.
    pub versions: Vec<VersionInfo>,
    /// Why the registry cannot be read; empty if it can.
    pub registry_error: String,
    /// Whether the server can record rollouts: proven, unproven, or refused and why.
    pub registry_writing: String,
    /// Rollout records that were skipped, and why.
    pub skipped_rollouts: Vec<String>,
    /// Why the server does not report to the fleet; empty if it does.
    pub silent: String,
    /// Guardrail breaches of the live arms.
    pub guardrail_breaches: Vec<String>,
    /// Events that the server takes.
    pub events: Option<EventsInfo>,
}

impl Client {
    /// Reloads a model and waits until the version is live.
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

    /// Returns what is live, what is desired and what is wrong.
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
            events: status.events.map(Into::into),
        }
    }
}
