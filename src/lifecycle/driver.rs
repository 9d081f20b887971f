//! Executes the manager's actions: the one place where versions enter and leave memory.
//!
//! The driver owns every resident version. A request only borrows a snapshot, so the last reference is
//! always the driver's, and memory is freed on a thread that serves no request.

mod disk;

use super::event::{Action, Event, Reply, Supply, Ticket};
use super::handle::{Input, ModelHandle, WatchReport};
use super::live::{Live, LoadedVersion};
use super::loader::{Load, LoadResult, Source};
use super::manager::{ModelManager, Now};
use super::pacing::Pacer;
use super::state::{LoadError, LoadErrorKind, Phase, VersionState};
use super::status::ModelStatus;
use super::watch::RecordRequest;
use crate::guardrails::Guardrails;
use crate::metrics::{Metrics, VersionMetrics};
use hotshelf_model::UNKNOWN_SEGMENT;
use hotshelf_registry::{Sha256Digest, Version};
use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

/// How often a draining version is checked (chosen: requests take well under a millisecond).
const DRAIN_CHECK: Duration = Duration::from_millis(5);
/// Longest sleep; the loop wakes for events anyway.
const IDLE_MAX: Duration = Duration::from_secs(3600);

/// One model's driver.
pub(super) struct Driver {
    manager: ModelManager,
    handle: ModelHandle,
    source: Source,
    guardrails: Guardrails,
    metrics: Arc<Metrics>,
    records: mpsc::Sender<RecordRequest>,
    is_live: watch::Sender<bool>,
    began: Instant,
    report: WatchReport,
    tickets: BTreeMap<Ticket, oneshot::Sender<Reply>>,
    next_ticket: Ticket,
    resident: BTreeMap<Version, Arc<LoadedVersion>>,
    retired_snapshots: Vec<Arc<Live>>,
    draining: Vec<(Version, Arc<LoadedVersion>)>,
    /// Versions that a thread is freeing; they are in memory until it has finished.
    freeing: usize,
    workers: Vec<JoinHandle<()>>,
}

/// Everything a driver is connected to.
pub(super) struct Connections {
    /// What others read.
    pub handle: ModelHandle,
    /// The source of versions.
    pub source: Source,
    /// What arms count.
    pub guardrails: Guardrails,
    /// To the watch.
    pub records: mpsc::Sender<RecordRequest>,
    /// True from the first activation on.
    pub is_live: watch::Sender<bool>,
}

impl Driver {
    /// A driver with nothing in memory.
    pub(super) fn new(manager: ModelManager, connections: Connections) -> Self {
        Self {
            manager,
            metrics: Arc::clone(&connections.source.metrics),
            handle: connections.handle,
            source: connections.source,
            guardrails: connections.guardrails,
            records: connections.records,
            is_live: connections.is_live,
            began: Instant::now(),
            report: WatchReport::default(),
            tickets: BTreeMap::new(),
            next_ticket: 0,
            resident: BTreeMap::new(),
            retired_snapshots: Vec::new(),
            draining: Vec::new(),
            freeing: 0,
            workers: Vec::new(),
        }
    }

    /// Runs until `stop`. A load in progress is abandoned: the cache is consistent at any moment.
    pub(super) async fn run(mut self, mut inputs: mpsc::Receiver<Input>, stop: CancellationToken) {
        let mut freed = self.source.budget.freed();
        let mut shortage = self.source.budget.shortage();
        loop {
            while let Some(action) = self.manager.next_action(self.now()) {
                self.perform(action);
            }
            self.free_drained();
            self.publish();
            let pause = self.pause();
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                Some(input) = inputs.recv() => self.take(input),
                Ok(()) = freed.changed() => self.take(Input::Event(Event::MemoryFreed)),
                Ok(()) = shortage.changed() => {
                    let is_short = *shortage.borrow_and_update();
                    self.take(Input::Event(Event::Shortage { is_short }));
                }
            }
        }
    }

    fn now(&self) -> Now {
        Now {
            monotonic: self.began.elapsed(),
            wall: SystemTime::now(),
        }
    }

    fn pause(&self) -> Duration {
        let retry = self
            .manager
            .next_wakeup(self.now())
            .map_or(IDLE_MAX, |due| {
                due.saturating_sub(self.began.elapsed())
                    .max(Duration::from_millis(1))
            });
        let is_draining = !self.retired_snapshots.is_empty() || !self.draining.is_empty();
        if is_draining {
            retry.min(DRAIN_CHECK)
        } else {
            retry
        }
    }

    fn take(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Event(event) => {
                if matches!(event, Event::Freed { .. }) {
                    self.freeing = self.freeing.saturating_sub(1);
                }
                self.manager.handle(event, now);
            }
            Input::Report(report) => {
                if !report.registry_error.is_empty() {
                    let why = report.registry_error.clone();
                    self.manager.handle(Event::Unreadable { why }, now);
                }
                self.report = report;
            }
            Input::Loaded(version, result) => {
                self.count_load(version, &result);
                let outcome = result.outcome.map(|(loaded, info)| {
                    self.resident.insert(version, loaded);
                    info
                });
                let phases = result.phases;
                self.manager.handle(
                    Event::Loaded {
                        version,
                        outcome,
                        phases,
                    },
                    now,
                );
            }
            Input::Propose(proposal, reply) => {
                let ticket = self.next_ticket;
                self.next_ticket += 1;
                self.tickets.insert(ticket, reply);
                let event = Event::Propose { ticket, proposal };
                self.manager.handle(event, now);
            }
        }
    }

    fn perform(&mut self, action: Action) {
        match action {
            Action::Load {
                version,
                is_paced,
                supply,
                named,
            } => self.load((version, named), is_paced, supply),
            Action::Restore => self.restore(),
            Action::Persist { record } => self.persist(record),
            Action::Activate {
                record,
                candidate_bp,
            } => {
                match Live::assemble(record, &self.resident, candidate_bp) {
                    Some(live) => {
                        let before = self.handle.slot.live.load_full();
                        let live = live.tallied(&self.guardrails, before.as_deref());
                        self.activate(Arc::new(live));
                    }
                    // The manager activates resident versions only; what is live stays live.
                    None => tracing::error!("version to activate is not in memory"),
                }
            }
            Action::Grow { candidate_bp } => self.grow(candidate_bp),
            Action::Retire { version } => {
                let retired = self.resident.remove(&version);
                self.draining
                    .extend(retired.map(|loaded| (version, loaded)));
            }
            Action::Record { draft, over } => {
                if self
                    .records
                    .try_send(RecordRequest { draft, over })
                    .is_err()
                {
                    // One record is under way at a time, so only a closed channel ends here.
                    tracing::warn!("watch has ended; the server is shutting down");
                }
            }
            Action::Reply { ticket, reply } => {
                // The caller reads the status next; it must be the one that the reply refers to.
                self.publish();
                if let Some(sender) = self.tickets.remove(&ticket) {
                    // A caller whose deadline was exceeded has dropped the receiver.
                    let _ = sender.send(reply);
                }
            }
        }
    }

    fn activate(&mut self, live: Arc<Live>) {
        let began = Instant::now();
        for arm in live.arms() {
            let loaded = &arm.loaded;
            loaded.metrics.get_or_init(|| {
                let model = self.handle.slot.name.as_str();
                let mut segments = loaded.model.users().segment_names().to_vec();
                segments.push(UNKNOWN_SEGMENT.to_owned());
                VersionMetrics::new(&self.metrics, model, loaded.version.get(), &segments)
            });
        }
        tracing::info!(model = %self.handle.slot.name, rollout = %live.record.number,
            versions = ?live.arms().iter().map(|arm| arm.loaded.version.get()).collect::<Vec<_>>(),
            author = live.record.author, reason = live.record.reason,
            "rollout is live");
        let versions: Vec<Version> = live.arms().iter().map(|arm| arm.loaded.version).collect();
        let past = self.handle.slot.live.swap(Some(live));
        self.retired_snapshots.extend(past);
        for version in versions {
            self.manager.note(
                version,
                Phase {
                    name: "activate",
                    duration: began.elapsed(),
                },
            );
        }
        // A caller that observes readiness may read the status next.
        self.publish();
        // No receiver means that the server is shutting down.
        let _ = self.is_live.send(true);
    }

    fn grow(&self, candidate_bp: u16) {
        if let Some(live) = self.handle.slot.live.load().as_ref() {
            live.grow_to(candidate_bp);
            tracing::info!(model = %self.handle.slot.name, rollout = %live.record.number,
                candidate_bp, "candidate share increased");
        }
    }

    fn load(
        &mut self,
        (version, named): (Version, Option<Sha256Digest>),
        is_paced: bool,
        supply: Supply,
    ) {
        let load = Load {
            model: self.handle.slot.name.clone(),
            version,
            named,
            is_paced,
            supply,
            kept: self
                .resident
                .values()
                .map(|loaded| loaded.manifest.upload)
                .collect(),
        };
        let (source, inputs) = (self.source.clone(), self.handle.inputs.clone());
        tracing::info!(model = %load.model, %version, is_paced, ?supply, "loading");
        let started = self.spawn("loader", move || {
            let mut progress = |state: VersionState| {
                let _ = inputs.blocking_send(Input::Event(Event::Progress { version, state }));
            };
            let result = load.run(&source, &mut progress);
            let _ = inputs.blocking_send(Input::Loaded(version, result));
        });
        if let Err(error) = started {
            let outcome = Err(LoadError {
                kind: LoadErrorKind::Resources,
                message: format!("version {version}: cannot start a loader thread: {error}"),
                is_retryable: true,
            });
            let phases = Vec::new();
            self.take(Input::Loaded(version, LoadResult { phases, outcome }));
        }
    }

    /// Frees versions that no request holds any more, each on a thread of its own.
    fn free_drained(&mut self) {
        for worker in self.workers.extract_if(.., |worker| worker.is_finished()) {
            if worker.join().is_err() {
                tracing::error!("loader or retirer thread panicked");
            }
        }
        // Guards of arc-swap count as references once the snapshot was swapped out.
        self.retired_snapshots
            .retain(|live| Arc::strong_count(live) > 1);
        if !self.retired_snapshots.is_empty() {
            return;
        }
        for (version, loaded) in std::mem::take(&mut self.draining) {
            match Arc::try_unwrap(loaded) {
                Ok(loaded) => self.free(version, loaded),
                Err(held) => self.draining.push((version, held)),
            }
        }
    }

    fn free(&mut self, version: Version, loaded: LoadedVersion) {
        let inputs = self.handle.inputs.clone();
        let model = self.handle.slot.name.clone();
        let started = self.spawn("retirer", move || {
            // Low priority: freeing hundreds of megabytes takes the kernel tens of milliseconds.
            let _pacer = Pacer::begin(true);
            drop(loaded);
            tracing::info!(%model, %version, "retired");
            let _ = inputs.blocking_send(Input::Event(Event::Freed { version }));
        });
        if let Err(error) = started {
            // The closure is dropped, and the version with it: freed here and now.
            tracing::warn!(%error, "cannot start a retirer thread");
            self.take(Input::Event(Event::Freed { version }));
        }
    }

    fn spawn(&mut self, name: &str, work: impl FnOnce() + Send + 'static) -> io::Result<()> {
        let name = format!("hotshelf-{name}");
        let worker = std::thread::Builder::new().name(name).spawn(work)?;
        self.workers.push(worker);
        Ok(())
    }

    /// Counts the outcome of a load, except for a version that does not exist and only a caller named.
    fn count_load(&self, version: Version, result: &LoadResult) {
        let model = self.handle.slot.name.as_str();
        for phase in &result.phases {
            let family = &self.metrics.lifecycle.load_phases;
            let seconds = phase.duration.as_secs_f64();
            family
                .with_label_values(&[model, phase.name])
                .observe(seconds);
        }
        let (outcome, reason) = match &result.outcome {
            Ok((_, info)) if info.golden_query_failure.is_some() => ("failed", "probes"),
            Ok(_) => ("ok", ""),
            Err(error) if self.manager.is_unknown_version(version, error) => return,
            Err(error) => {
                tracing::warn!(
                    model,
                    kind = error.kind.as_str(),
                    error = error.message,
                    "load failed"
                );
                ("failed", error.kind.as_str())
            }
        };
        self.metrics
            .lifecycle
            .loads
            .with_label_values(&[model, outcome, reason])
            .inc();
    }

    fn publish(&self) {
        let manager = self.manager.status();
        self.log_degradation(&manager.degraded);
        let held = self.resident.len() + self.draining.len() + self.freeing;
        let model = self.handle.slot.name.as_str();
        manager.show(&self.metrics.lifecycle, model, held as u64);
        self.handle.status.store(Arc::new(ModelStatus {
            manager,
            registry_error: self.report.registry_error.clone(),
            skipped_rollouts: self.report.skipped.clone(),
        }));
    }

    /// Logs every change of the degradation once.
    fn log_degradation(&self, degraded: &str) {
        let before = self.handle.status.load();
        if before.manager.degraded == degraded {
            return;
        }
        let model = &self.handle.slot.name;
        if degraded.is_empty() {
            tracing::info!(%model, "no longer degraded");
        } else {
            tracing::warn!(%model, degraded, "degraded");
        }
    }
}
