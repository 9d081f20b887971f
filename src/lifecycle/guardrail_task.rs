//! Evaluates the guardrails of the live arms every few seconds, and proposes to abort a candidate that does
//! worse than its base.
//!
//! It decides nothing itself: [`Judge`] defines a breach, the manager what an abort means. Between two
//! evaluations it holds the tallies and no version.

use super::change::Change;
use super::event::{Proposal, Reply};
use super::handle::{Input, ModelHandle};
use crate::guardrails::{Breach, Guardrails, Judge, Look, Mode, Tallies};
use crate::jitter::doubled;
use crate::metrics::Metrics;
use crate::supervisor::Supervised;
use hotshelf_registry::{ReplicaId, Version};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Longest wait between two attempts to record an abort (chosen: as for loads).
const RETRY_MAX: Duration = Duration::from_secs(60);

/// Watches one model.
pub(super) struct GuardrailTask {
    /// Its arms, and its manager's inputs.
    pub handle: ModelHandle,
    /// Which guardrails are on.
    pub settings: Guardrails,
    /// This server's name in records.
    pub replica: ReplicaId,
    /// Where breaches are counted.
    pub metrics: Arc<Metrics>,
}

/// One reading of a live rollout with several arms.
struct Reading {
    rollout: u64,
    tallies: Arc<Tallies>,
    names: Vec<String>,
    versions: Vec<Version>,
    shares_bp: Vec<u16>,
}

/// One candidate or test, across all its records.
struct Watched {
    tallies: Arc<Tallies>,
    versions: Vec<Version>,
    /// `None`: there is no base to compare with.
    judge: Option<Judge>,
    /// How many breaches were reported.
    reported: usize,
    /// The reply to a pending proposal.
    pending: Option<oneshot::Receiver<Reply>>,
    attempts: Attempts,
}

/// Failed proposals over one rollout.
#[derive(Default)]
struct Attempts {
    rollout: u64,
    failed: u32,
    next: Duration,
}

impl Supervised for GuardrailTask {
    async fn run(&mut self, stop: &CancellationToken) {
        if self.settings.on().next().is_none() {
            return stop.cancelled().await;
        }
        let began = Instant::now();
        let mut watched = None;
        let mut looks = tokio::time::interval(self.settings.interval);
        looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = looks.tick() => self.look(&mut watched, began.elapsed()),
            }
        }
    }
}

impl GuardrailTask {
    fn look(&self, watched: &mut Option<Watched>, now: Duration) {
        let reading = self.read();
        let is_same = |known: &Watched| {
            (reading.as_ref()).is_some_and(|reading| Arc::ptr_eq(&reading.tallies, &known.tallies))
        };
        if !watched.as_ref().is_some_and(is_same) {
            if let Some(past) = watched.take() {
                self.end(&past);
            }
            *watched = reading.map(|reading| self.begin(reading, now));
            return;
        }
        let (Some(reading), Some(watched)) = (reading, watched.as_mut()) else {
            return;
        };
        let Some(mut judge) = watched.judge.take() else {
            return;
        };
        let (shares_bp, counts) = (&reading.shares_bp, watched.tallies.counts());
        let is_epoch_over = judge.look(Look {
            now,
            shares_bp,
            counts: &counts,
        });
        self.show(watched, &judge);
        self.report(watched, judge.breaches());
        if is_epoch_over {
            watched.tallies.forget_people();
            let counts = &watched.tallies.counts();
            judge.renew(Look {
                now,
                shares_bp,
                counts,
            });
        }
        let mut breaches = judge.breaches().iter();
        if let Some(breach) = breaches.find(|one| one.mode == Mode::Abort) {
            self.abort(watched, breach, (reading.rollout, now));
        }
        watched.judge = Some(judge);
    }

    /// Reads the live snapshot without holding it.
    fn read(&self) -> Option<Reading> {
        let snapshot = self.handle.slot.live.load();
        let live = snapshot.as_ref()?;
        let tallies = Arc::clone(live.tallies.as_ref()?);
        let arms = live.arms().iter();
        let shares = live.record.arms_with(live.candidate_bp());
        Some(Reading {
            rollout: live.record.number.get(),
            tallies,
            names: arms.clone().map(|arm| arm.name.clone()).collect(),
            versions: arms.map(|arm| arm.loaded.version).collect(),
            shares_bp: shares.iter().map(|arm| arm.share_bp).collect(),
        })
    }

    fn begin(&self, reading: Reading, now: Duration) -> Watched {
        let first = Look {
            now,
            shares_bp: &reading.shares_bp,
            counts: &reading.tallies.counts(),
        };
        let judge = Judge::new(self.settings.clone(), reading.names, first);
        if judge.is_none() {
            tracing::info!(model = %self.handle.slot.name, rollout = reading.rollout,
                "no arm is named base; guardrails are off for this rollout");
        }
        Watched {
            tallies: reading.tallies,
            versions: reading.versions,
            judge,
            reported: 0,
            pending: None,
            attempts: Attempts::default(),
        }
    }

    fn end(&self, past: &Watched) {
        self.handle.breaches.store(Arc::default());
        let model = self.handle.slot.name.as_str();
        for version in &past.versions {
            self.metrics.guardrails.forget(model, version.get());
        }
    }

    fn show(&self, watched: &Watched, judge: &Judge) {
        let model = self.handle.slot.name.as_str();
        for (arm, guardrail, near) in judge.nearness() {
            let version = watched.versions[arm].get();
            let metrics = &self.metrics.guardrails;
            metrics.show(model, (version, guardrail), near);
        }
    }

    /// Reports each breach once.
    fn report(&self, watched: &mut Watched, breaches: &[Breach]) {
        for breach in &breaches[watched.reported..] {
            let model = self.handle.slot.name.as_str();
            let version = watched.versions[breach.arm];
            tracing::warn!(model, %version, arm = breach.arm_name, action = breach.mode.as_str(),
                why = %breach, "guardrail breached");
            self.metrics.guardrails.breached(model, breach);
        }
        if watched.reported < breaches.len() {
            watched.reported = breaches.len();
            let words = breaches.iter().map(Breach::to_string).collect();
            self.handle.breaches.store(Arc::new(words));
        }
    }

    /// Proposes the abort that a breach calls for, over the live rollout, until it is recorded.
    fn abort(&self, watched: &mut Watched, breach: &Breach, (rollout, now): (u64, Duration)) {
        match watched.pending.as_mut().map(oneshot::Receiver::try_recv) {
            Some(Err(TryRecvError::Empty)) => return,
            Some(Ok(reply)) => self.on_reply(&mut watched.attempts, &reply, now),
            None | Some(Err(TryRecvError::Closed)) => {}
        }
        watched.pending = None;
        if watched.attempts.rollout != rollout {
            watched.attempts = Attempts {
                rollout,
                ..Attempts::default()
            };
        }
        if now < watched.attempts.next {
            return;
        }
        let (reply, asked) = oneshot::channel();
        let proposal = Proposal {
            change: Change::Abort,
            expected_rollout: Some(rollout),
            author: format!("hotshelf guardrail on {}", self.replica),
            reason: breach.to_string(),
        };
        // A full channel is empty by the next evaluation.
        let sent = self.handle.inputs.try_send(Input::Propose(proposal, reply));
        watched.pending = sent.is_ok().then_some(asked);
    }

    /// Backs off after every failed attempt, and logs the first.
    fn on_reply(&self, attempts: &mut Attempts, reply: &Reply, now: Duration) {
        let why = refusal(reply);
        if why.is_empty() {
            return;
        }
        if attempts.failed == 0 {
            tracing::warn!(model = %self.handle.slot.name, why,
                "guardrail abort not recorded; will retry");
        }
        attempts.next = now + doubled(self.settings.interval, attempts.failed, RETRY_MAX);
        attempts.failed += 1;
    }
}

/// Why a proposal failed; empty where it succeeded, or will by another writer's record.
fn refusal(reply: &Reply) -> String {
    match reply {
        Reply::Unchanged | Reply::Changed { .. } => String::new(),
        Reply::NotRecorded { message, .. } => message.clone(),
        Reply::Refused(error) => error.message.clone(),
        Reply::Impossible(why) => why.clone(),
        Reply::NotExpected { newest: None } => "there is no rollout".to_owned(),
        Reply::NotExpected {
            newest: Some(winner),
        }
        | Reply::Aborted { winner } => format!("another writer was first: {}", winner.in_words()),
        Reply::TooMany { limit } => format!("{limit} proposals are waiting already"),
    }
}
