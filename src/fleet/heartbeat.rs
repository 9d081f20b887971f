//! Writes what this replica serves of one model into its own file: within about a second of a change, and
//! every interval with jitter. Looks at the status that stands there anyway, so that nobody who serves or
//! loads waits for it.

use super::member::Member;
use crate::error::with_causes;
use crate::lifecycle::{Writing, around};
use crate::metrics::Metrics;
use hotshelf_registry::{Error, ReplicaState};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Mean time between two looks at the status (chosen: a change that lasts shorter is not worth a write).
const LOOK: Duration = Duration::from_secs(1);
/// First wait after a write that failed; doubles up to the interval (chosen).
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Wait after a write that was refused (chosen: rights are granted by people).
const REFUSED_PAUSE: Duration = Duration::from_secs(600);
/// Longest time for the last word at shutdown (chosen: some hundred times what a healthy store takes).
pub(super) const LAST_WORD_TIMEOUT: Duration = Duration::from_secs(2);

/// The task of one model.
pub(super) struct Teller {
    pub(super) member: Arc<Member>,
    pub(super) metrics: Arc<Metrics>,
    pub(super) interval: Duration,
    pub(super) jitter: ChaCha8Rng,
    progress: Progress,
}

/// What was told, and when to tell again.
#[derive(Default)]
struct Progress {
    told: Option<ReplicaState>,
    /// Told or not, nothing is written before.
    not_before: Option<Instant>,
    /// The told state is told again.
    due: Option<Instant>,
    failures: u32,
}

impl Teller {
    pub(super) fn new(
        member: Arc<Member>,
        metrics: Arc<Metrics>,
        interval: Duration,
        jitter: ChaCha8Rng,
    ) -> Self {
        Self {
            member,
            metrics,
            interval,
            jitter,
            progress: Progress::default(),
        }
    }

    /// Runs until `stop`; then says once that the replica has stopped, where it was heard before.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        while !stop.is_cancelled() {
            let state = self.member.state();
            if self.is_due(&state) {
                // Not cut short by `stop`: what is under way must not arrive after the last word.
                self.tell(state).await;
            }
            let pause = around(LOOK.min(self.interval), &mut self.jitter);
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        // A store that did not take the last state is not waited for.
        if self.progress.told.is_some() && self.progress.failures == 0 {
            let mut last = self.member.state();
            last.is_stopped = true;
            self.tell(last).await;
        }
    }

    fn is_due(&self, state: &ReplicaState) -> bool {
        if let Writing::Refused(why) = &*self.member.handle.writing.borrow() {
            self.member.set_silent(why);
            return false;
        }
        let now = Instant::now();
        if self.progress.not_before.is_some_and(|at| now < at) {
            return false;
        }
        self.progress.told.as_ref() != Some(state) || self.progress.due.is_none_or(|at| now >= at)
    }

    async fn tell(&mut self, state: ReplicaState) {
        let written = self.member.registry.write_replica(&state).await;
        let now = Instant::now();
        let wait = around(self.interval, &mut self.jitter);
        match written {
            Ok(()) => {
                self.progress = Progress {
                    told: Some(state),
                    not_before: None,
                    due: Some(now + wait),
                    failures: 0,
                };
                self.member.set_silent("");
            }
            Err(error) => {
                self.progress.failures = self.progress.failures.saturating_add(1);
                self.progress.not_before = Some(now + self.pause(&error));
                self.complain(&error);
            }
        }
    }

    fn pause(&mut self, error: &Error) -> Duration {
        let mean = match error {
            Error::ReadOnly { .. } | Error::NoCreateOnly { .. } | Error::Invalid { .. } => {
                REFUSED_PAUSE
            }
            // Nothing is published yet: it is looked for as long as it takes.
            Error::NotFound { .. } => RETRY_FIRST,
            _ => {
                let doubled = 1 << (self.progress.failures - 1).min(16);
                RETRY_FIRST.saturating_mul(doubled).min(self.interval)
            }
        };
        around(mean, &mut self.jitter)
    }

    fn complain(&self, error: &Error) {
        let model = &self.member.handle.slot.name;
        let said = with_causes(error);
        // A registry without the model has nothing that a replica could serve; that is no failure.
        if !matches!(error, Error::NotFound { .. }) {
            let failed = &self.metrics.lifecycle.replica_errors;
            failed.with_label_values(&[model.as_str()]).inc();
            if self.progress.failures == 1 {
                tracing::warn!(%model, error = said, "cannot tell the fleet what is served here");
            }
        }
        self.member.set_silent(&said);
    }
}
