//! Looks at what the live arms have done to people, every few seconds, and takes a candidate out that does
//! worse than its base.
//!
//! It decides nothing itself: what is a breach is [`Judge`]'s business, what an abort comes to the
//! manager's. Between two looks it holds the tallies and no version.

use super::change::Change;
use super::event::{Proposal, Reply};
use super::handle::{Input, ModelHandle};
use crate::guardrails::{Breach, Guardrails, Judge, Look, Mode, Tallies};
use crate::metrics::Metrics;
use hotshelf_registry::{ReplicaId, Version};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// Longest wait between two attempts to record an abort (chosen: as a load's).
const RETRY_MAX: Duration = Duration::from_secs(60);
/// Doublings of the interval up to there.
const DOUBLINGS_MAX: u32 = 16;

/// Watches one model.
pub(super) struct GuardrailTask {
    /// Its arms, and the way to its manager.
    pub handle: ModelHandle,
    /// What is watched.
    pub settings: Guardrails,
    /// By what name records know this server.
    pub replica: ReplicaId,
    /// Where breaches are counted.
    pub metrics: Arc<Metrics>,
}

/// What there is to be seen of a rollout with several arms.
struct Sight {
    rollout: u64,
    tallies: Arc<Tallies>,
    names: Vec<String>,
    versions: Vec<Version>,
    shares_bp: Vec<u16>,
}

/// One candidate or test, for as long as its records go on with it.
struct Watched {
    tallies: Arc<Tallies>,
    versions: Vec<Version>,
    /// `None`: there is no base to compare with.
    judge: Option<Judge>,
    /// Breaches that have been told.
    reported: usize,
    /// The answer to a proposal under way.
    pending: Option<oneshot::Receiver<Reply>>,
    attempts: Attempts,
}

/// Proposals over one rollout that came to nothing.
#[derive(Default)]
struct Attempts {
    rollout: u64,
    failed: u32,
    next: Duration,
}

impl GuardrailTask {
    /// Runs until `stop`, or not at all where all guardrails are off.
    pub(super) async fn run(self, stop: CancellationToken) {
        if self.settings.on().next().is_none() {
            return;
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

    fn look(&self, watched: &mut Option<Watched>, now: Duration) {
        let sight = self.sight();
        let is_same = |known: &Watched| {
            (sight.as_ref()).is_some_and(|sight| Arc::ptr_eq(&sight.tallies, &known.tallies))
        };
        if !watched.as_ref().is_some_and(is_same) {
            if let Some(past) = watched.take() {
                self.end(&past);
            }
            *watched = sight.map(|sight| self.begin(sight, now));
            return;
        }
        let (Some(sight), Some(watched)) = (sight, watched.as_mut()) else {
            return;
        };
        let Some(mut judge) = watched.judge.take() else {
            return;
        };
        let (shares_bp, counts) = (&sight.shares_bp, watched.tallies.counts());
        let is_epoch_over = judge.look(Look {
            now,
            shares_bp,
            counts: &counts,
        });
        self.show(watched, &judge);
        self.tell(watched, judge.breaches());
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
            self.abort(watched, breach, (sight.rollout, now));
        }
        watched.judge = Some(judge);
    }

    /// Looks at the snapshot and lets it go.
    fn sight(&self) -> Option<Sight> {
        let snapshot = self.handle.slot.live.load();
        let live = snapshot.as_ref()?;
        let tallies = Arc::clone(live.tallies.as_ref()?);
        let arms = live.arms().iter();
        let shares = live.record.arms_with(live.candidate_bp());
        Some(Sight {
            rollout: live.record.number.get(),
            tallies,
            names: arms.clone().map(|arm| arm.name.clone()).collect(),
            versions: arms.map(|arm| arm.loaded.version).collect(),
            shares_bp: shares.iter().map(|arm| arm.share_bp).collect(),
        })
    }

    fn begin(&self, sight: Sight, now: Duration) -> Watched {
        let first = Look {
            now,
            shares_bp: &sight.shares_bp,
            counts: &sight.tallies.counts(),
        };
        let judge = Judge::new(self.settings.clone(), sight.names, first);
        if judge.is_none() {
            tracing::info!(model = %self.handle.slot.name, rollout = sight.rollout,
                "no arm is named base; guardrails do not watch this rollout");
        }
        Watched {
            tallies: sight.tallies,
            versions: sight.versions,
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

    /// Says each breach once.
    fn tell(&self, watched: &mut Watched, breaches: &[Breach]) {
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

    /// Proposes what a breach asks for, over the rollout that is live, until one like it is.
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
        // A full channel is emptied by the next look.
        let sent = self.handle.inputs.try_send(Input::Propose(proposal, reply));
        watched.pending = sent.is_ok().then_some(asked);
    }

    /// Waits longer after every attempt that came to nothing, and says so once.
    fn on_reply(&self, attempts: &mut Attempts, reply: &Reply, now: Duration) {
        let why = refusal(reply);
        if why.is_empty() {
            return;
        }
        if attempts.failed == 0 {
            tracing::warn!(model = %self.handle.slot.name, why,
                "the guardrail's abort was not recorded; it is tried again");
        }
        let doubled = self.settings.interval * (1 << attempts.failed.min(DOUBLINGS_MAX));
        attempts.failed += 1;
        attempts.next = now + doubled.min(RETRY_MAX);
    }
}

/// Why a proposal came to nothing; empty where it came to what it asked for, or will by another's record.
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
        | Reply::Aborted { winner } => format!("{} came first", winner.in_words()),
        Reply::TooMany { limit } => format!("{limit} proposals wait already"),
    }
}
