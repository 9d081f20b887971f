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
use crate::supervisor::Supervised;
use hotshelf_registry::{
    Arm, LogEntry, ModelName, Parent, Proposed, Registry, RolloutDraft, RolloutLog, RolloutRecord,
};
use rand_chacha::ChaCha8Rng;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::{Notify, mpsc};
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
    pub over: Option<Parent>,
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
    /// The driver has restarted and knows nothing of the registry.
    pub repeat: Arc<Notify>,
    /// A record is being written, which the driver waits for.
    pub is_recording: bool,
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

impl Supervised for Watch {
    async fn run(&mut self, stop: &CancellationToken) {
        let mut log = None;
        if std::mem::take(&mut self.is_recording) {
            self.give_up_record().await;
        }
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
                // Read from the beginning, and so told to the driver as at the start.
                () = self.repeat.notified() => log = None,
                Some(request) = self.requests.recv() => {
                    self.is_recording = true;
                    let recorded = self.record(&mut log, &mut report, request);
                    if stop.run_until_cancelled(recorded).await.is_none() {
                        return;
                    }
                    self.is_recording = false;
                }
            }
        }
    }
}

impl Watch {
    /// Answers the driver where an earlier run of this task panicked while it wrote. What it wrote all the
    /// same is read like any other record.
    async fn give_up_record(&self) {
        let outcome = RecordOutcome::Failed {
            is_retryable: true,
            message: "the task that records rollouts failed and was restarted".to_owned(),
        };
        let took = Duration::ZERO;
        self.send(Input::Event(Event::Recorded { outcome, took }))
            .await;
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
        let mut withdrawn = None;
        let (is_readable, mut is_new) = match (news, log.as_ref()) {
            (Ok(news), Some(log)) => {
                for entry in &news {
                    withdrawn = withdrawn.or(self.log_entry(entry));
                }
                report.registry_error = trouble(log);
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
                self.send_desired(log, withdrawn).await;
            }
        }
        is_readable
    }

    async fn send_desired(&self, log: &RolloutLog, withdrawn: Option<Parent>) {
        let chain = log.chain().to_vec();
        let desired = Event::Desired { chain, withdrawn };
        self.send(Input::Event(desired)).await;
    }

    /// A ramp counts from when the store took its record. The clock of the server that proposed it is wrong.
    fn warn_of_clock(&self, record: &RolloutRecord) {
        if let Some(offset) = record.clock_offset() {
            tracing::warn!(model = %self.model, rollout = %record.number, author = record.author,
                offset_s = offset.as_secs(),
                "the clock of the server that proposed this ramp is off from the registry's");
        }
    }

    /// Logs what does not count; returns a record that counted until now.
    fn log_entry(&self, entry: &LogEntry) -> Option<Parent> {
        let (number, why, withdrawn) = match entry {
            LogEntry::Rollout(record) => {
                self.warn_of_clock(record);
                return None;
            }
            LogEntry::Skipped { number, why } => (number, why, None),
            LogEntry::Withdrawn { record, why } => (&record.number, why, Some(record)),
        };
        let skipped = &self.metrics.lifecycle.rollouts_skipped;
        skipped.with_label_values(&[self.model.as_str()]).inc();
        match withdrawn {
            None => {
                tracing::warn!(model = %self.model, rollout = %number, why, "rollout record skipped");
            }
            Some(record) => {
                let decided = record.in_words();
                tracing::warn!(model = %self.model, decided, why, "newest rollout withdrawn");
            }
        }
        withdrawn.map(RolloutRecord::as_parent)
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
        let outcome = match log.as_mut().filter(|_| is_readable) {
            None => RecordOutcome::Failed {
                is_retryable: true,
                message: format!("the registry cannot be read: {}", report.registry_error),
            },
            Some(log) if log.is_hidden() => self.propose_first(log, request).await,
            Some(log) => self.propose(log, request).await,
        };
        let took = began.elapsed();
        self.send(Input::Event(Event::Recorded { outcome, took }))
            .await;
        self.poll(log, report).await;
    }

    /// The store shows no rollout, not even those that this server knows. In one that lost them all the next
    /// decision is the first; in one that only hides them, its create is refused.
    async fn propose_first(&self, log: &mut RolloutLog, request: RecordRequest) -> RecordOutcome {
        let mut opened = match self.registry.rollouts(&self.model).await {
            Ok(opened) => opened,
            Err(error) => return failed(&error),
        };
        let outcome = self.propose(&mut opened, request).await;
        if let RecordOutcome::Created(_) = outcome {
            let withdrawn = log.head().map(RolloutRecord::as_parent);
            *log = opened;
            self.send_desired(log, withdrawn).await;
        }
        outcome
    }

    async fn propose(&self, log: &mut RolloutLog, request: RecordRequest) -> RecordOutcome {
        let is_other = |head: &&RolloutRecord| Some(head.as_parent()) != request.over;
        if let Some(head) = log.head().filter(is_other) {
            return RecordOutcome::Lost(head.clone());
        }
        let mut draft = request.draft;
        if let Err(outcome) = self.name_manifests(&mut draft).await {
            return outcome;
        }
        match self.registry.propose(log, draft).await {
            Ok(Proposed::Created(record)) => {
                self.warn_of_clock(&record);
                log.push(record.clone());
                RecordOutcome::Created(record)
            }
            Ok(Proposed::Lost(winner)) => RecordOutcome::Lost(winner),
            Err(error) => failed(&error),
        }
    }

    /// Names the manifests that other replicas have to load, and sees that they can: a version that this
    /// server has in memory may have been removed or rewritten in the registry.
    async fn name_manifests(&self, draft: &mut RolloutDraft) -> Result<(), RecordOutcome> {
        for arm in &mut draft.arms {
            let (version, named) = (arm.version, arm.manifest_sha256);
            let stored = self.registry.named_manifest(&self.model, version, named);
            match stored.await {
                Ok(manifest) => {
                    let copied = self.registry.copy_manifest(&manifest).await;
                    copied.map_err(|error| failed(&error))?;
                    arm.manifest_sha256 = Some(manifest.sha256);
                }
                // No reason to refuse; a store that cannot be read will not accept the record either.
                Err(error) if error.is_retryable() => {}
                Err(error) if error.leaves_copy() && self.has_copy(arm).await => {}
                Err(error) => return Err(RecordOutcome::Refused(LoadError::from(&error))),
            }
        }
        Ok(())
    }

    /// Whether the manifest that this server loaded can be loaded by others, although its version's number
    /// leads elsewhere.
    async fn has_copy(&self, arm: &Arm) -> bool {
        let Some(named) = arm.manifest_sha256 else {
            return false;
        };
        let copied = self
            .registry
            .copied_manifest(&self.model, arm.version, named);
        copied.await.is_ok_and(|found| found.is_some())
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

/// What a log that could be read says of the store all the same.
fn trouble(log: &RolloutLog) -> String {
    match (log.obstruction(), log.head()) {
        (Some(odd), _) => odd.to_owned(),
        (None, Some(head)) if log.is_hidden() => format!(
            "the registry shows no rollout, not even rollout {}, which this server knows",
            head.number
        ),
        (None, _) => String::new(),
    }
}

fn failed(error: &hotshelf_registry::Error) -> RecordOutcome {
    RecordOutcome::Failed {
        is_retryable: error.is_retryable(),
        message: crate::error::with_causes(error),
    }
}

/// For status, newest first.
fn skipped(log: &RolloutLog) -> Vec<String> {
    let entries = log.skipped().into_iter().take(SKIPPED_MAX);
    let said = entries.filter_map(|entry| match entry {
        LogEntry::Skipped { number, why } => Some(format!("rollout {number}: {why}")),
        LogEntry::Rollout(_) | LogEntry::Withdrawn { .. } => None,
    });
    said.collect()
}
