//! Starts and stops the tasks of every model: watch, driver, guardrails.

use super::driver::{Connections, Driver};
use super::guardrail_task::GuardrailTask;
use super::handle::ModelHandle;
use super::live::Models;
use super::loader::Source;
use super::manager::Policy;
use super::status::ModelStatus;
use super::watch::Watch;
use super::write_access::{WriteAccess, WriteProbe};
use crate::guardrails::Guardrails;
use crate::supervisor::{Supervisor, TaskName};
use arc_swap::ArcSwap;
use hotshelf_registry::ReplicaId;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Events that wait for one driver (chosen: it takes microseconds for each).
const INPUTS_MAX: usize = 256;

/// Longest wait for tasks to end; once cancelled they wait for nothing.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(2);

/// What the lifecycle needs.
pub struct LifecycleConfig {
    /// Every model.
    pub models: Arc<Models>,
    /// Where versions come from.
    pub source: Source,
    /// The managers' settings.
    pub policy: Policy,
    /// The guardrails of arms.
    pub guardrails: Guardrails,
    /// This server's name in records.
    pub replica: ReplicaId,
    /// Mean time between two polls of the registry.
    pub watch_interval: Duration,
    /// Spreads replicas.
    pub jitter: ChaCha8Rng,
    /// Restarts what fails.
    pub supervisor: Supervisor,
}

/// The running lifecycle.
pub struct Lifecycle {
    /// Every model by name.
    pub handles: Arc<BTreeMap<String, ModelHandle>>,
    is_live: Vec<watch::Receiver<bool>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

impl Lifecycle {
    /// Starts three tasks per model and one for the registry on the current runtime.
    pub fn start(mut config: LifecycleConfig) -> Self {
        let (mut handles, mut lives, mut tasks) = (BTreeMap::new(), Vec::new(), JoinSet::new());
        let stop = CancellationToken::new();
        let metrics = Arc::clone(&config.source.metrics);
        let (access, write_access) = watch::channel(WriteAccess::default());
        let probe = WriteProbe {
            registry: config.source.registry.clone(),
            metrics: Arc::clone(&metrics),
            access,
            jitter: ChaCha8Rng::seed_from_u64(config.jitter.next_u64()),
        };
        let supervisor = config.supervisor.clone();
        let name = TaskName::of_server("write_probe");
        supervisor.spawn(&mut tasks, name, stop.clone(), probe);
        for slot in config.models.iter() {
            let (inputs, outputs) = mpsc::channel(INPUTS_MAX);
            let (records, requests) = mpsc::channel(1);
            let (is_live, live) = watch::channel(false);
            let handle = ModelHandle {
                slot: Arc::clone(slot),
                inputs: inputs.clone(),
                status: Arc::new(ArcSwap::from_pointee(ModelStatus::default())),
                breaches: Arc::default(),
                write_access: write_access.clone(),
                tasks: Arc::clone(supervisor.board()),
            };
            let repeat = Arc::new(Notify::new());
            let watch = Watch {
                model: slot.name.clone(),
                registry: config.source.registry.clone(),
                interval: config.watch_interval,
                metrics: Arc::clone(&config.source.metrics),
                inputs,
                requests,
                repeat: Arc::clone(&repeat),
                is_recording: false,
                jitter: ChaCha8Rng::seed_from_u64(config.jitter.next_u64()),
            };
            let connections = Connections {
                handle: handle.clone(),
                source: config.source.clone(),
                guardrails: config.guardrails.clone(),
                records,
                repeat,
                is_live,
            };
            let driver = Driver::new(config.policy.clone(), connections, outputs);
            let guardrails = GuardrailTask {
                handle: handle.clone(),
                settings: config.guardrails.clone(),
                replica: config.replica.clone(),
                metrics: Arc::clone(&metrics),
            };
            let name = |task| TaskName::of_model(task, slot.name.as_str());
            supervisor.spawn(&mut tasks, name("watch"), stop.clone(), watch);
            supervisor.spawn(&mut tasks, name("driver"), stop.clone(), driver);
            supervisor.spawn(&mut tasks, name("guardrails"), stop.clone(), guardrails);
            handles.insert(slot.name.to_string(), handle);
            lives.push(live);
        }
        Self {
            handles: Arc::new(handles),
            is_live: lives,
            stop,
            tasks,
        }
    }

    /// Whether each model is live; true from its first activation on.
    pub fn live_flags(&self) -> Vec<watch::Receiver<bool>> {
        self.is_live.clone()
    }

    /// Stops watching and loading, and answers callers who wait for a reload that the server is shutting
    /// down; the live rollout stays in memory until the process ends.
    pub async fn stop(mut self) {
        self.stop.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(STOP_TIMEOUT, all).await.is_err() {
            tracing::warn!("lifecycle tasks did not stop in time; abandoned");
        }
    }
}
