//! Starts and stops the tasks of every model: watch, driver, guardrails.

use super::driver::{Connections, Driver};
use super::guardrail_task::GuardrailTask;
use super::handle::ModelHandle;
use super::live::Models;
use super::loader::Source;
use super::manager::{ModelManager, Policy};
use super::status::ModelStatus;
use super::watch::Watch;
use super::write_access::{WriteAccess, WriteProbe};
use crate::guardrails::Guardrails;
use arc_swap::ArcSwap;
use futures::FutureExt;
use hotshelf_registry::{ModelName, ReplicaId};
use prometheus::IntGaugeVec;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{mpsc, watch};
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
}

/// The running lifecycle.
pub struct Lifecycle {
    /// Every model by name.
    pub handles: Arc<BTreeMap<String, ModelHandle>>,
    is_live: Vec<watch::Receiver<bool>>,
    stop: CancellationToken,
    tasks: JoinSet<()>,
}

/// The live rollout keeps answering whatever happens to the task that manages it; no newer one can become
/// live then, which metric and log report until the process is restarted.
async fn supervised(model: ModelName, degraded: IntGaugeVec, task: impl Future<Output = ()>) {
    if AssertUnwindSafe(task).catch_unwind().await.is_err() {
        degraded.with_label_values(&[model.as_str()]).set(1);
        tracing::error!(%model, "lifecycle task panicked; the live rollout keeps serving, newer ones are not followed");
    }
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
        tasks.spawn(probe.run(stop.clone()));
        for slot in config.models.iter() {
            let (inputs, outputs) = mpsc::channel(INPUTS_MAX);
            let (records, requests) = mpsc::channel(1);
            let (is_live, live) = watch::channel(false);
            let status = Arc::new(ArcSwap::from_pointee(ModelStatus::default()));
            let handle = ModelHandle {
                slot: Arc::clone(slot),
                inputs: inputs.clone(),
                status,
                breaches: Arc::default(),
                write_access: write_access.clone(),
            };
            let watch = Watch {
                model: slot.name.clone(),
                registry: config.source.registry.clone(),
                interval: config.watch_interval,
                metrics: Arc::clone(&config.source.metrics),
                inputs,
                requests,
                jitter: ChaCha8Rng::seed_from_u64(config.jitter.next_u64()),
            };
            let manager = ModelManager::new(config.policy.clone());
            let source = config.source.clone();
            let connections = Connections {
                handle: handle.clone(),
                source,
                guardrails: config.guardrails.clone(),
                records,
                is_live,
            };
            let driver = Driver::new(manager, connections).run(outputs, stop.clone());
            let degraded = metrics.lifecycle.degraded.clone();
            tasks.spawn(supervised(
                slot.name.clone(),
                degraded.clone(),
                watch.run(stop.clone()),
            ));
            tasks.spawn(supervised(slot.name.clone(), degraded.clone(), driver));
            let guardrails = GuardrailTask {
                handle: handle.clone(),
                settings: config.guardrails.clone(),
                replica: config.replica.clone(),
                metrics: Arc::clone(&metrics),
            };
            tasks.spawn(supervised(
                slot.name.clone(),
                degraded,
                guardrails.run(stop.clone()),
            ));
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

    /// Resolves when every model is live.
    pub fn all_live(&self) -> impl Future<Output = ()> + Send + use<> {
        let lives = self.is_live.clone();
        async move {
            for mut live in lives {
                // A driver that has ended means shutdown, which the caller observes otherwise.
                let _ = live.wait_for(|is_live| *is_live).await;
            }
        }
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
