//! `ModelService`: one file per RPC, each read downwards.
//!
//! [`proposal`] is shared by ReloadModel and ProposeRollout: it sends a change to the model's driver and waits for
//! the outcome. [`wire`] converts what several RPCs return.

mod get_model_status;
mod get_rollout_status;
mod list_model_versions;
mod proposal;
mod propose_rollout;
mod quorum;
mod reload_model;
mod wire;

use super::layers::Deadline;
use super::proto::model_service_server::ModelService;
use super::proto::{
    GetModelStatusRequest, GetModelStatusResponse, GetRolloutStatusRequest,
    GetRolloutStatusResponse, ListModelVersionsRequest, ListModelVersionsResponse,
    ProposeRolloutRequest, ProposeRolloutResponse, ReloadModelRequest, ReloadModelResponse,
};
use crate::error::{CallError, with_causes};
use crate::events::Events;
use crate::fleet::{Fleet, Member};
use crate::lifecycle::ModelHandle;
use crate::serving::validate::Violations;
use hotshelf_registry::Registry;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::{Request, Response, Status};

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
    /// Where this server takes events.
    pub events: Option<Arc<Events>>,
}

#[tonic::async_trait]
impl ModelService for Operations {
    async fn reload_model(
        &self,
        request: Request<ReloadModelRequest>,
    ) -> Result<Response<ReloadModelResponse>, Status> {
        let deadline = deadline(&request);
        let answer = self.reload(request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn propose_rollout(
        &self,
        request: Request<ProposeRolloutRequest>,
    ) -> Result<Response<ProposeRolloutResponse>, Status> {
        let deadline = deadline(&request);
        let answer = self.propose(request.into_inner(), deadline).await?;
        Ok(Response::new(answer))
    }

    async fn get_model_status(
        &self,
        request: Request<GetModelStatusRequest>,
    ) -> Result<Response<GetModelStatusResponse>, Status> {
        Ok(Response::new(self.model_status(request.get_ref())?))
    }

    async fn list_model_versions(
        &self,
        request: Request<ListModelVersionsRequest>,
    ) -> Result<Response<ListModelVersionsResponse>, Status> {
        Ok(Response::new(self.list(request.get_ref()).await?))
    }

    async fn get_rollout_status(
        &self,
        request: Request<GetRolloutStatusRequest>,
    ) -> Result<Response<GetRolloutStatusResponse>, Status> {
        Ok(Response::new(self.rollout_status(request.get_ref()).await?))
    }
}

impl Operations {
    /// The model of this name, or the default one.
    fn handle(&self, model: &str) -> Result<&ModelHandle, CallError> {
        let name = if model.is_empty() {
            &self.default_model
        } else {
            model
        };
        let handle = self.models.get(name);
        handle.ok_or_else(|| CallError::UnknownModel(name.to_owned()))
    }

    /// This model's part in the fleet.
    fn member(&self, handle: &ModelHandle) -> Result<&Arc<Member>, CallError> {
        let name = handle.slot.name.as_str();
        let member = self.fleet.member(name);
        member.ok_or_else(|| CallError::UnknownModel(name.to_owned()))
    }
}

/// The caller's deadline, if it set one.
fn deadline<T>(request: &Request<T>) -> Option<Instant> {
    let deadline = request.extensions().get::<Deadline>();
    deadline.map(|deadline| deadline.0)
}

fn unreadable(error: &hotshelf_registry::Error) -> CallError {
    let causes = with_causes(error);
    CallError::StoreUnavailable(format!("the registry cannot be read: {causes}"))
}

impl Violations {
    /// What the registry says of a value; `None` where it refuses it.
    fn accepted(
        &mut self,
        field: &str,
        judged: Result<(), hotshelf_registry::Error>,
    ) -> Option<()> {
        judged
            .map_err(|error| self.add(field, error.to_string()))
            .ok()
    }
}
