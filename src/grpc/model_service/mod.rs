//! `ModelService`: status, versions, and the one call that changes what is live.

mod get_rollout_status;
mod propose_rollout;
mod wire;

use crate::error::{CallError, with_causes};
use crate::fleet::Fleet;
use crate::grpc::layers::Deadline;
use crate::grpc::proto::model_service_server::ModelService;
use crate::grpc::proto::{
    GetModelStatusRequest, GetModelStatusResponse, GetRolloutStatusRequest,
    GetRolloutStatusResponse, ListModelVersionsRequest, ListModelVersionsResponse,
    ProposeRolloutRequest, ProposeRolloutResponse, ReloadModelRequest, ReloadModelResponse,
    VersionState as WireState,
};
use crate::lifecycle::{Change, Input, ModelHandle, Proposal, Reply, main_version};
use crate::serving::validate::Violations;
use futures::StreamExt;
use hotshelf_registry::{Registry, RolloutDraft, Version};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot;
use tonic::{Request, Response, Status};

/// Versions in one list.
const PAGE_MAX: u32 = 1_000;
/// Versions in one list unless the caller says otherwise.
const PAGE_DEFAULT: u32 = 100;
/// Manifests read at once for a list (chosen: hides a store's latency, holds a few MiB).
const READS_PARALLEL: usize = 8;
/// Kept back from the caller's deadline to answer with the state so far.
const ANSWER_MARGIN: Duration = Duration::from_millis(50);

/// What the service works on.
#[derive(Clone)]
pub struct Operations {
    /// Every model by name.
    pub models: Arc<BTreeMap<String, ModelHandle>>,
    /// The name that an empty one means.
    pub default_model: String,
    /// Where versions are.
    pub registry: Registry,
    /// All servers that follow it.
    pub fleet: Fleet,
    /// Longest wait of a reload whose caller set no deadline.
    pub reload_timeout: Duration,
}

impl Operations {
    pub(in crate::grpc) fn handle(&self, model: &str) -> Result<&ModelHandle, CallError> {
        let name = if model.is_empty() {
            &self.default_model
        } else {
            model
        };
        self.models
            .get(name)
            .ok_or_else(|| CallError::UnknownModel(name.to_owned()))
    }

    /// The version asked for, or the newest one.
    async fn target(&self, handle: &ModelHandle, asked: Option<u64>) -> Result<Version, CallError> {
        let model = &handle.slot.name;
        if let Some(number) = asked {
            let no_such = || CallError::UnknownVersion(format!("{model} has no version {number}"));
            return Version::new(number).ok_or_else(no_such);
        }
        let newest = self
            .registry
            .newest(model)
            .await
            .map_err(|error| unreadable(&error))?;
        newest.ok_or_else(|| CallError::UnknownVersion(format!("{model} has no version yet")))
    }

    async fn reload(
        &self,
        request: ReloadModelRequest,
        deadline: Option<Instant>,
    ) -> Result<ReloadModelResponse, CallError> {
        let author = or_else(request.author, "unknown");
        let reason = or_else(request.reason, "reload");
        let mut bad = Violations::default();
        bad.model(&request.model);
        bad.words("author", RolloutDraft::check_author(&author));
        bad.words("reason", RolloutDraft::check_reason(&reason));
        if request.version == Some(0) {
            bad.add("version", "0 is no version; they begin at 1".to_owned());
        }
        let quorum = bad.quorum(request.quorum);
        bad.finish()?;
        let handle = self.handle(&request.model)?;
        let until = deadline_or(deadline, self.reload_timeout);
        let target = self.target(handle, request.version);
        let version = match tokio::time::timeout_at(until.into(), target).await {
            Ok(target) => target?,
            // Without a target there is no state to tell of.
            Err(_) => return Err(CallError::DeadlineExceeded),
        };
        let proposal = Proposal {
            ticket: 0,
            change: Change::All(version),
            expected_rollout: request.expected_rollout,
            author,
            reason,
        };
        let previous = live_version(handle);
        match self.settled(handle, proposal, until).await? {
            Some(reply) => {
                let done = answer(handle, version, reply)?;
                let quorum = self.reached(handle, quorum, until).await;
                Ok(ReloadModelResponse { quorum, ..done })
            }
            None => Ok(wire::reload_so_far(handle, version, previous)),
        }
    }

    /// Hands a proposal over and waits for what comes of it; `None` where the time is over first.
    pub(in crate::grpc) async fn settled(
        &self,
        handle: &ModelHandle,
        proposal: Proposal,
        until: Instant,
    ) -> Result<Option<Reply>, CallError> {
        let (sender, receiver) = oneshot::channel();
        let sent = handle.inputs.send(Input::Propose(proposal, sender)).await;
        sent.map_err(|_| CallError::ShuttingDown)?;
        match tokio::time::timeout_at(until.into(), receiver).await {
            Ok(Ok(reply)) => Ok(Some(reply)),
            Ok(Err(_)) => Err(CallError::ShuttingDown),
            Err(_) => Ok(None),
        }
    }

    async fn list(
        &self,
        request: ListModelVersionsRequest,
    ) -> Result<ListModelVersionsResponse, CallError> {
        let mut bad = Violations::default();
        let page = bad.count("page_size", request.page_size, PAGE_DEFAULT, PAGE_MAX) as usize;
        bad.model(&request.model);
        bad.finish()?;
        let handle = self.handle(&request.model)?;
        let model = &handle.slot.name;
        let numbers = self.registry.version_numbers(model).await;
        let numbers = numbers.map_err(|error| unreadable(&error))?;
        let before = request.before_version.unwrap_or(u64::MAX);
        let mut numbers = numbers.into_iter().rev().filter(|v| v.get() < before);
        let read = numbers.by_ref().take(page).map(|version| async move {
            wire::listed(version, self.registry.manifest(model, version).await)
        });
        let read = futures::stream::iter(read).buffered(READS_PARALLEL);
        let versions: Vec<_> = read.collect().await;
        let is_more = numbers.next().is_some();
        let next_before_version = versions.last().filter(|_| is_more).map(|last| last.version);
        Ok(ListModelVersionsResponse {
            model: model.to_string(),
            versions,
            next_before_version,
        })
    }
}

fn live_version(handle: &ModelHandle) -> Option<u64> {
    let snapshot = handle.slot.live.load();
    let main = snapshot
        .as_ref()
        .and_then(|live| main_version(&live.record, live.candidate_bp()));
    main.map(Version::get)
}

fn or_else(given: String, default: &str) -> String {
    if given.is_empty() {
        default.to_owned()
    } else {
        given
    }
}

fn unreadable(error: &hotshelf_registry::Error) -> CallError {
    CallError::StoreUnavailable(format!(
        "the registry cannot be read: {}",
        with_causes(error)
    ))
}

fn answer(
    handle: &ModelHandle,
    version: Version,
    reply: Reply,
) -> Result<ReloadModelResponse, CallError> {
    match reply {
        Reply::Unchanged => {
            let mut response = wire::reload_so_far(handle, version, Some(version.get()));
            response.phases.clear();
            Ok(response)
        }
        Reply::Changed {
            previous,
            version,
            rollout,
            phases,
        } => Ok(ReloadModelResponse {
            model: handle.slot.name.to_string(),
            changed: true,
            previous_version: previous.map(Version::get),
            version: version.get(),
            rollout: Some(rollout.get()),
            state: WireState::Live.into(),
            phases: wire::wire_phases(&phases),
            quorum: None,
        }),
        Reply::Refused(error) if error.kind == "not_found" => {
            Err(CallError::UnknownVersion(error.message))
        }
        other => Err(refusal(handle, other)),
    }
}

/// Why a proposal came to nothing.
pub(in crate::grpc) fn refusal(handle: &ModelHandle, reply: Reply) -> CallError {
    match reply {
        Reply::Unchanged | Reply::Changed { .. } => {
            CallError::Internal("a proposal that was granted is no refusal")
        }
        Reply::Refused(error) => {
            let live = live_version(handle);
            let serving = live.map_or("nothing is live".to_owned(), |v| {
                format!("version {v} serves on")
            });
            let message = format!("{} ({serving})", error.message);
            CallError::VersionRefused {
                kind: error.kind,
                message,
            }
        }
        Reply::NotExpected { newest } => CallError::RolloutNotExpected(match newest {
            Some(newest) => format!(
                "expected_rollout: the newest rollout is {}; pass its number to go over it",
                newest.in_words()
            ),
            None => "expected_rollout: there is no rollout yet; pass 0".to_owned(),
        }),
        Reply::Impossible(why) => CallError::RolloutImpossible(why),
        Reply::Aborted { winner } => {
            CallError::RolloutLost(format!("{} came first", winner.in_words()))
        }
        Reply::NotRecorded {
            is_retryable: true,
            message,
        } => CallError::StoreUnavailable(message),
        Reply::NotRecorded {
            is_retryable: false,
            message,
        } => CallError::StoreReadOnly(message),
        Reply::TooMany { .. } => CallError::Overloaded { pushback_ms: 1_000 },
    }
}

/// When to answer with the state so far.
pub(in crate::grpc) fn deadline_or(deadline: Option<Instant>, longest: Duration) -> Instant {
    deadline.map_or_else(
        || Instant::now() + longest,
        |deadline| deadline.checked_sub(ANSWER_MARGIN).unwrap_or(deadline),
    )
}

/// The generated trait, over [`Operations`].
pub(in crate::grpc) struct ModelOperator(pub(in crate::grpc) Operations);

#[tonic::async_trait]
impl ModelService for ModelOperator {
    async fn reload_model(
        &self,
        request: Request<ReloadModelRequest>,
    ) -> Result<Response<ReloadModelResponse>, Status> {
        let deadline = request
            .extensions()
            .get::<Deadline>()
            .map(|deadline| deadline.0);
        Ok(Response::new(
            self.0.reload(request.into_inner(), deadline).await?,
        ))
    }

    async fn propose_rollout(
        &self,
        request: Request<ProposeRolloutRequest>,
    ) -> Result<Response<ProposeRolloutResponse>, Status> {
        let deadline = request
            .extensions()
            .get::<Deadline>()
            .map(|deadline| deadline.0);
        Ok(Response::new(
            self.0.propose(request.into_inner(), deadline).await?,
        ))
    }

    async fn get_model_status(
        &self,
        request: Request<GetModelStatusRequest>,
    ) -> Result<Response<GetModelStatusResponse>, Status> {
        let model = request.into_inner().model;
        let mut bad = Violations::default();
        bad.model(&model);
        bad.finish()?;
        let mut status = wire::status(self.0.handle(&model)?);
        status.silent = self.0.member(&model)?.silent();
        Ok(Response::new(status))
    }

    async fn list_model_versions(
        &self,
        request: Request<ListModelVersionsRequest>,
    ) -> Result<Response<ListModelVersionsResponse>, Status> {
        Ok(Response::new(self.0.list(request.into_inner()).await?))
    }

    async fn get_rollout_status(
        &self,
        request: Request<GetRolloutStatusRequest>,
    ) -> Result<Response<GetRolloutStatusResponse>, Status> {
        let request = request.into_inner();
        Ok(Response::new(self.0.rollout_status(&request.model).await?))
    }
}
