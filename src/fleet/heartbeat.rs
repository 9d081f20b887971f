//! Heartbeats: writes what this replica serves of one model into its own file, within about a second of a
//! change, and every interval with jitter. It polls the published status, so that no request and no load
//! waits for it.

use super::member::{Member, Namesake};
use crate::error::with_causes;
use crate::jitter::{doubled, jittered};
use crate::lifecycle::WriteAccess;
use crate::metrics::Metrics;
use crate::supervisor::Supervised;
use hotshelf_registry::{Error, ReplicaState};
use rand_chacha::ChaCha8Rng;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// Mean time between two polls of the status (chosen: a change that lasts shorter is not worth a write).
const POLL: Duration = Duration::from_secs(1);
/// First wait after a write that failed; doubles up to the interval (chosen).
const RETRY_FIRST: Duration = Duration::from_secs(2);
/// Wait after a write that was refused (chosen: as long as the probe of write access waits at most).
const REFUSED_PAUSE: Duration = Duration::from_secs(60);
/// Longest time for the final heartbeat at shutdown (chosen: some hundred times what a healthy store takes).
pub(super) const FINAL_HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(2);

/// The task of one model.
pub(super) struct Heartbeat {
    member: Arc<Member>,
    metrics: Arc<Metrics>,
    interval: Duration,
    jitter: ChaCha8Rng,
    progress: Progress,
}

/// What was reported, and when the next write is due.
#[derive(Default)]
struct Progress {
    reported: Option<ReplicaState>,
    /// Nothing is written before this moment.
    not_before: Option<Instant>,
    /// When the reported state is written again.
    due: Option<Instant>,
    failures: u32,
}

impl Supervised for Heartbeat {
    /// After `stop` it reports once that the replica has stopped, if it ever reported.
    async fn run(&mut self, stop: &CancellationToken) {
        while !stop.is_cancelled() {
            let state = self.member.state();
            if self.is_due(&state) {
                // Not cancelled by `stop`: a write under way must not arrive after the final one.
                self.write(state).await;
            }
            let pause = jittered(POLL.min(self.interval), &mut self.jitter);
            let _ = stop.run_until_cancelled(tokio::time::sleep(pause)).await;
        }
        // A store that did not take the last state is not waited for.
        if self.progress.reported.is_some() && self.progress.failures == 0 {
            let mut last = self.member.state();
            last.is_stopped = true;
            self.write(last).await;
        }
    }
}

impl Heartbeat {
    pub(super) fn new(member: Arc<Member>, metrics: Arc<Metrics>, interval: Duration) -> Self {
        let jitter = member.new_jitter();
        // A series that alerts are written on is there from the start.
        let family = &metrics.lifecycle.replica_name_conflict;
        family
            .with_label_values(&[member.handle.slot.name.as_str()])
            .set(0);
        Self {
            member,
            metrics,
            interval,
            jitter,
            progress: Progress::default(),
        }
    }

    fn is_due(&mut self, state: &ReplicaState) -> bool {
        if let WriteAccess::Refused(why) = &*self.member.handle.write_access.borrow() {
            self.member.set_not_reporting(why);
            // Once write access is verified the next write waits for nothing.
            self.progress.not_before = None;
            return false;
        }
        let now = Instant::now();
        if self.progress.not_before.is_some_and(|at| now < at) {
            return false;
        }
        let is_new = self.progress.reported.as_ref() != Some(state);
        is_new || self.progress.due.is_none_or(|at| now >= at)
    }

    async fn write(&mut self, mut state: ReplicaState) {
        if self.progress.reported.is_some() {
            self.look_for_namesake(&mut state).await;
        }
        let written = self.member.registry.write_replica(&state).await;
        let now = Instant::now();
        let wait = jittered(self.interval, &mut self.jitter);
        match written {
            Ok(()) => {
                self.progress = Progress {
                    reported: Some(state),
                    not_before: None,
                    due: Some(now + wait),
                    failures: 0,
                };
                self.member.set_not_reporting("");
            }
            Err(error) => {
                self.progress.failures = self.progress.failures.saturating_add(1);
                self.progress.not_before = Some(now + self.pause(&error));
                self.log_failure(&error);
            }
        }
    }

    /// What this process wrote last must still be there.
    async fn look_for_namesake(&self, state: &mut ReplicaState) {
        let found = self.member.look_for_namesake().await;
        let model = &self.member.handle.slot.name;
        match found {
            Some(Namesake::Appeared(why)) => {
                tracing::error!(%model, why, "replica name conflict");
            }
            Some(Namesake::Gone) => tracing::info!(%model, "replica name conflict is over"),
            None => {}
        }
        state.is_name_conflict = self.member.has_namesake();
        let family = &self.metrics.lifecycle.replica_name_conflict;
        let gauge = family.with_label_values(&[model.as_str()]);
        gauge.set(i64::from(state.is_name_conflict));
    }

    fn pause(&mut self, error: &Error) -> Duration {
        let mean = match error {
            Error::ReadOnly { .. } | Error::NoConditionalWrites { .. } | Error::Invalid { .. } => {
                REFUSED_PAUSE
            }
            // Nothing is published yet: retried for as long as it takes.
            Error::NotFound { .. } => RETRY_FIRST,
            _ => doubled(RETRY_FIRST, self.progress.failures - 1, self.interval),
        };
        jittered(mean, &mut self.jitter)
    }

    fn log_failure(&self, error: &Error) {
        let model = &self.member.handle.slot.name;
        let why = with_causes(error);
        // A registry without the model has nothing that a replica could serve; that is no failure.
        if !matches!(error, Error::NotFound { .. }) {
            let failed = &self.metrics.lifecycle.replica_errors;
            failed.with_label_values(&[model.as_str()]).inc();
            if self.progress.failures == 1 {
                tracing::warn!(%model, error = why, "heartbeat failed");
            }
        }
        self.member.set_not_reporting(&why);
    }
}
