//! Executes the manager's actions: the one place where versions enter and leave memory.
//!
//! The driver owns every resident version. A request only borrows a snapshot, so the last reference is
//! always the driver's, and memory is freed on a thread that serves no request.

mod disk;
mod recover;
mod workers;

use super::event::{Action, Event, RecordOutcome, Reply, Ticket};
use super::handle::{Input, ModelHandle, WatchReport};
use super::live::{Live, LoadedVersion};
use super::loader::{LoadResult, Source};
use super::manager::{ModelManager, Now, Policy};
use super::state::Phase;
use super::status::ModelStatus;
use super::watch::RecordRequest;
use crate::guardrails::Guardrails;
use crate::metrics::{Metrics, VersionMetrics};
use crate::supervisor::Supervised;
use hotshelf_model::UNKNOWN_SEGMENT;
use hotshelf_registry::Version;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};
use tokio::sync::{Notify, mpsc, oneshot, watch};
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
    inputs: mpsc::Receiver<Input>,
    records: mpsc::Sender<RecordRequest>,
    repeat: Arc<Notify>,
    is_live: watch::Sender<bool>,
    has_run: bool,
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
    /// Asks the watch for everything that it has read.
    pub repeat: Arc<Notify>,
    /// True from the first activation on.
    pub is_live: watch::Sender<bool>,
}

impl Supervised for Driver {
    /// A load in progress is abandoned at `stop`: the cache is consistent at any moment.
    async fn run(&mut self, stop: &CancellationToken) {
        if std::mem::replace(&mut self.has_run, true) {
            self.recover(stop).await;
        }
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
                Some(input) = self.inputs.recv() => self.take(input),
                Ok(()) = freed.changed() => self.take(Input::Event(Event::MemoryFreed)),
                Ok(()) = shortage.changed() => {
                    let is_short = *shortage.borrow_and_update();
                    self.take(Input::Event(Event::Shortage { is_short }));
                }
            }
        }
    }
}

impl Driver {
    /// A driver with nothing in memory.
    pub(super) fn new(
        policy: Policy,
        connections: Connections,
        inputs: mpsc::Receiver<Input>,
    ) -> Self {
        Self {
            manager: ModelManager::new(policy),
            metrics: Arc::clone(&connections.source.metrics),
            handle: connections.handle,
            source: connections.source,
            guardrails: connections.guardrails,
            inputs,
            records: connections.records,
            repeat: connections.repeat,
            is_live: connections.is_live,
            has_run: false,
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
                let request = RecordRequest { draft, over };
                if self.records.try_send(request).is_err() {
                    // The request of a driver that panicked is still there, or the server shuts down.
                    let outcome = RecordOutcome::Failed {
                        is_retryable: true,
                        message: "another record is being written".to_owned(),
                    };
                    let took = Duration::ZERO;
                    self.take(Input::Event(Event::Recorded { outcome, took }));
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

    /// Frees versions that no request holds any more, each on a thread of its own.
    fn free_drained(&mut self) {
        for worker in self.workers.extract_if(.., |worker| worker.is_finished()) {
            // Workers catch their own panics and report them.
            let _ = worker.join();
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
