//! Follows the registry's rollouts of one model, and writes new ones.
//!
//! One task owns the log, so that a record is always proposed over the newest one that this server has
//! read. It polls for the next record every interval with jitter. A registry that cannot be read changes
//! nothing; the failure is reported and the poll repeated.

use super::event::{Event, RecordOutcome};
use super::handle::{Input, WatchReport};
use super::state::LoadError;
use crate::jitter::jittered;
use crate::metrics::Metrics;
use hotshelf_registry::{
    LogEntry, ModelName, Proposed, Registry, RolloutDraft, RolloutLog, RolloutNumber,
};
use rand_chacha::ChaCha8Rng;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

/// Skipped records listed in status.
const SKIPPED_MAX: usize = 16;

/// Wait for the first response before the registry counts as unreadable (chosen: a store that stalls must
/// not keep a server from its live set on disk; a slow one responds well within).
const FIRST_ANSWER: Duration = Duration::from_secs(5);

/// A rollout record to be written.
#[derive(Debug)]
pub(super) struct RecordRequest {
    /// What it says.
    pub draft: RolloutDraft,
    /// The newest record that the decision was made over.
    pub over: Option<RolloutNumber>,
}

/// The task's parts.
pub(super) struct Watch {
    /// The model.
    pub model: ModelName,
    /// The registry.
    pub registry: Registry,
    /// Mean time between two polls.
    pub interval: Duration,
    /// Counts failures and skipped records.
    pub metrics: Arc<Metrics>,
    /// Where events go.
    pub inputs: mpsc::Sender<Input>,
    /// Records to write.
    pub requests: mpsc::Receiver<RecordRequest>,
    /// Spreads replicas that started together.
    pub jitter: ChaCha8Rng,
}

impl Watch {
    /// Runs until `stop`.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        let mut log = None;
        let mut report = WatchReport::default();
        loop {
            // Both a poll and a record may be abandoned at any moment: what was written is found again by
            // its nonce or by the next poll.
            let polled = stop.run_until_cancelled(self.poll(&mut log, &mut report));
            if polled.await.is_none() {
                return;
            }
            let pause = jittered(self.interval, &mut self.jitter);
            tokio::select! {
                () = stop.cancelled() => return,
                () = tokio::time::sleep(pause) => {}
                Some(request) = self.requests.recv() => {
                    let recorded = self.record(&mut log, &mut report, request);
                    if stop.run_until_cancelled(recorded).await.is_none() {
                        return;
                    }
                }
            }
        }
    }

    /// Reads new records and sends them to the driver. Returns whether the registry could be read.
    async fn poll(&self, log: &mut Option<RolloutLog>, report: &mut WatchReport) -> bool {
        let is_first = log.is_none();
        let before = report.registry_error.clone();
        let news = if is_first && before.is_empty() {
            self.read_or_report_late(log, report).await
        } else {
            self.read(log).await
        };
        let mut is_new = is_first;
        match news {
            Ok(seen) => {
                report.registry_error.clear();
                for one in seen {
                    is_new = true;
                    if let LogEntry::Skipped { number, why } = one {
                        self.metrics
                            .lifecycle
                            .rollouts_skipped
                            .with_label_values(&[self.model.as_str()])
                            .inc();
                        tracing::warn!(model = %self.model, rollout = %number, why, "rollout record skipped");
                        report.skipped.insert(0, format!("rollout {number}: {why}"));
                        report.skipped.truncate(SKIPPED_MAX);
                    }
                }
            }
            Err(error) => {
                report.registry_error = crate::error::with_causes(&error);
                self.metrics
                    .lifecycle
                    .registry_errors
                    .with_label_values(&[self.model.as_str()])
                    .inc();
                if before != report.registry_error {
                    tracing::warn!(model = %self.model, error = report.registry_error, "cannot read the registry's rollouts");
                }
            }
        }
        let is_readable = report.registry_error.is_empty();
        if is_new || before != report.registry_error {
            self.send(Input::Report(report.clone())).await;
            if let Some(log) = log.as_ref().filter(|_| is_readable) {
                let chain = log.chain().to_vec();
                self.send(Input::Event(Event::Desired { chain })).await;
            }
        }
        is_readable
    }

    /// Reads for as long as it takes, and reports when the first response is late.
    async fn read_or_report_late(
        &self,
        log: &mut Option<RolloutLog>,
        report: &WatchReport,
    ) -> Result<Vec<LogEntry>, hotshelf_registry::Error> {
        let mut read = pin!(self.read(log));
        if let Ok(news) = tokio::time::timeout(FIRST_ANSWER, read.as_mut()).await {
            return news;
        }
        let registry_error = format!("no answer within {} s", FIRST_ANSWER.as_secs());
        tracing::warn!(model = %self.model, error = registry_error, "cannot read the registry's rollouts");
        let late = WatchReport {
            registry_error,
            ..report.clone()
        };
        self.send(Input::Report(late)).await;
        read.await
    }

    async fn read(
        &self,
        log: &mut Option<RolloutLog>,
    ) -> Result<Vec<LogEntry>, hotshelf_registry::Error> {
        match log {
            Some(log) => log.poll().await,
            None => {
                let opened = self.registry.rollouts(&self.model).await?;
                let skipped = opened.skipped().to_vec();
                *log = Some(opened);
                Ok(skipped)
            }
        }
    }

    async fn record(
        &self,
        log: &mut Option<RolloutLog>,
        report: &mut WatchReport,
        request: RecordRequest,
    ) {
        let began = Instant::now();
        let is_readable = self.poll(log, report).await;
        let outcome = match log.as_ref().filter(|_| is_readable) {
            None => RecordOutcome::Failed {
                is_retryable: true,
                message: format!("the registry cannot be read: {}", report.registry_error),
            },
            Some(log) => self.propose(log, request).await,
        };
        let took = began.elapsed();
        self.send(Input::Event(Event::Recorded { outcome, took }))
            .await;
        self.poll(log, report).await;
    }

    async fn propose(&self, log: &RolloutLog, request: RecordRequest) -> RecordOutcome {
        if let Some(head) = log.head().filter(|head| Some(head.number) != request.over) {
            return RecordOutcome::Lost(head.clone());
        }
        if let Some(error) = self.missing(&request.draft).await {
            return RecordOutcome::Refused(error);
        }
        match self.registry.propose(log, request.draft).await {
            Ok(Proposed::Created(record)) => RecordOutcome::Created(record),
            Ok(Proposed::Lost(winner)) => RecordOutcome::Lost(winner),
            Err(error) => RecordOutcome::Failed {
                is_retryable: error.is_retryable(),
                message: crate::error::with_causes(&error),
            },
        }
    }

    /// Why other replicas could not load a version of this draft, though this server may have it in memory.
    /// A store that cannot be read gives no reason; it will not accept the record either.
    async fn missing(&self, draft: &RolloutDraft) -> Option<LoadError> {
        for arm in &draft.arms {
            let read = self.registry.manifest(&self.model, arm.version).await;
            let gone = read.err().filter(|error| !error.is_retryable());
            if let Some(error) = gone {
                return Some(LoadError::from(&error));
            }
        }
        None
    }

    /// A closed driver means shutdown; the task ends at its next select.
    async fn send(&self, input: Input) {
        let _ = self.inputs.send(input).await;
    }
}
