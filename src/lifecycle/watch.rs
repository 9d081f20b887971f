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

/// Wait for a response before the registry counts as unreadable (chosen: a store that stalls must not keep a
/// server from its live set on disk; a slow one responds well within).
const LATE_AFTER: Duration = Duration::from_secs(5);

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

/// How much of the registry is read.
#[derive(Clone, Copy)]
enum Depth {
    /// What follows the head.
    Following,
    /// A listing, too.
    Listing,
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
        self.look(log, report, Depth::Following).await
    }

    async fn look(
        &self,
        log: &mut Option<RolloutLog>,
        report: &mut WatchReport,
        depth: Depth,
    ) -> bool {
        let is_first = log.is_none();
        let before = report.clone();
        let news = match before.registry_error.is_empty() {
            true => self.read_or_report_late(log, report, depth).await,
            false => read(self, log, depth).await,
        };
        let was_late = before != *report;
        let (is_readable, mut is_new) = match (news, log.as_ref()) {
            (Ok(news), Some(log)) => {
                for entry in &news {
                    self.log_skipped(entry);
                }
                report.registry_error = log.obstruction().unwrap_or_default().to_owned();
                report.skipped = skipped(log);
                (true, is_first || !news.is_empty())
            }
            (Ok(_), None) => (false, false),
            (Err(error), _) => {
                report.registry_error = crate::error::with_causes(&error);
                let failed = &self.metrics.lifecycle.registry_errors;
                failed.with_label_values(&[self.model.as_str()]).inc();
                (false, is_first)
            }
        };
        if before.registry_error != report.registry_error && !report.registry_error.is_empty() {
            tracing::warn!(model = %self.model, error = report.registry_error,
                "cannot read the registry's rollouts");
        }
        is_new |= was_late || before != *report;
        if is_new {
            self.send(Input::Report(report.clone())).await;
            if let Some(log) = log.as_ref().filter(|_| is_readable) {
                let chain = log.chain().to_vec();
                self.send(Input::Event(Event::Desired { chain })).await;
            }
        }
        is_readable
    }

    fn log_skipped(&self, entry: &LogEntry) {
        if let LogEntry::Skipped { number, why } = entry {
            let skipped = &self.metrics.lifecycle.rollouts_skipped;
            skipped.with_label_values(&[self.model.as_str()]).inc();
            tracing::warn!(model = %self.model, rollout = %number, why, "rollout record skipped");
        }
    }

    /// Reads for as long as it takes, and reports when the response is late.
    async fn read_or_report_late(
        &self,
        log: &mut Option<RolloutLog>,
        report: &mut WatchReport,
        depth: Depth,
    ) -> Result<Vec<LogEntry>, hotshelf_registry::Error> {
        let mut read = pin!(read(self, log, depth));
        if let Ok(news) = tokio::time::timeout(LATE_AFTER, read.as_mut()).await {
            return news;
        }
        report.registry_error = format!("no answer within {} s", LATE_AFTER.as_secs());
        tracing::warn!(model = %self.model, error = report.registry_error,
            "cannot read the registry's rollouts");
        self.send(Input::Report(report.clone())).await;
        read.await
    }

    async fn record(
        &self,
        log: &mut Option<RolloutLog>,
        report: &mut WatchReport,
        request: RecordRequest,
    ) {
        let began = Instant::now();
        // A decision is made over the newest record that there is, not over the newest one near the head.
        let is_readable = self.look(log, report, Depth::Listing).await;
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

async fn read(
    watch: &Watch,
    log: &mut Option<RolloutLog>,
    depth: Depth,
) -> Result<Vec<LogEntry>, hotshelf_registry::Error> {
    match (log.as_mut(), depth) {
        (Some(log), Depth::Following) => log.poll().await,
        (Some(log), Depth::Listing) => log.refresh().await,
        (None, _) => {
            let opened = watch.registry.rollouts(&watch.model).await?;
            let skipped = opened.skipped();
            *log = Some(opened);
            Ok(skipped)
        }
    }
}

/// For status, newest first.
fn skipped(log: &RolloutLog) -> Vec<String> {
    let entries = log.skipped().into_iter().take(SKIPPED_MAX);
    let said = entries.filter_map(|entry| match entry {
        LogEntry::Skipped { number, why } => Some(format!("rollout {number}: {why}")),
        LogEntry::Rollout(_) => None,
    });
    said.collect()
}
