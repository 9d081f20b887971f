//! The handle of one model: sends input to its driver, and reads its status.

use super::event::{Event, Proposal, Reply};
use super::live::ModelSlot;
use super::loader::LoadResult;
use super::status::{ModelStatus, sentences};
use super::write_access::WriteAccess;
use crate::supervisor::TaskBoard;
use arc_swap::ArcSwap;
use hotshelf_registry::Version;
use std::sync::Arc;
use tokio::sync::{mpsc, oneshot, watch};

/// An input of the driver.
pub enum Input {
    /// For the manager as it is.
    Event(Event),
    /// A load has ended.
    Loaded(Version, LoadResult),
    /// What the watch reports beside events.
    Report(WatchReport),
    /// A proposal, and where to send the reply.
    Propose(Proposal, oneshot::Sender<Reply>),
}

/// How reading the registry goes.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WatchReport {
    /// Why the registry could not be read; empty where it could.
    pub registry_error: String,
    /// Skipped records, newest first.
    pub skipped: Vec<String>,
}

/// What others need to follow one model.
#[derive(Clone)]
pub struct ModelHandle {
    /// Its snapshot.
    pub slot: Arc<ModelSlot>,
    /// To the driver.
    pub inputs: mpsc::Sender<Input>,
    /// The newest status, replaced as a whole.
    pub status: Arc<ArcSwap<ModelStatus>>,
    /// Breaches that its guardrails found of the live arms, in words, oldest first.
    pub breaches: Arc<ArcSwap<Vec<String>>>,
    /// Whether rollouts can be recorded; the same for all models.
    pub write_access: watch::Receiver<WriteAccess>,
    /// Which tasks of this server fail.
    pub tasks: Arc<TaskBoard>,
}

impl ModelHandle {
    /// What `status` says of the model's degradation, and the tasks that fail: a driver that does cannot say
    /// so itself.
    pub fn degraded(&self, status: &ModelStatus) -> String {
        let of_tasks = self.tasks.failing_for(self.slot.name.as_str());
        let of_model = std::iter::once(status.manager.degraded.clone());
        sentences(of_model.chain(of_tasks))
    }
}
