//! Decides what one model should do next. A pure state machine: events and a passed clock in, one
//! action out, until there is none.
//!
//! It knows no store, no thread and no clock, so that every policy can be tested as a table and every
//! race as a sequence. The rules, in the order in which [`ModelManager::next_action`] tries them:
//!
//! 1. answer the callers whose outcome is known;
//! 2. free what nobody may begin with any more;
//! 3. activate the newest rollout whose versions are all in memory, and let its candidate grow;
//! 4. write the record of a proposal whose versions are in memory;
//! 5. let a version in memory make way that neither what is live, nor what is wanted, nor going back needs
//!    (see `loads`);
//! 6. load one version: a proposal's first, then the newest rollout's;
//! 7. write down what is live, or ask the disk what was (see `recall`).
//!
//! With nothing live, rules 3 and 6 walk back to the newest rollout that can be served. With something
//! live they look at the newest rollout only: a replica that cannot follow stays where it is. While no
//! rollout of the registry is known, the one they look at is the one remembered on disk.

mod goals;
mod live_set;
mod loads;
mod proposals;
mod ramp;
mod retries;
#[cfg(test)]
mod tests;

use super::change::Goal;
use super::event::{Action, Event, Proposal, Reply, Ticket};
use super::state::{Failure, LoadError, LoadedInfo, Phase, VersionEntry, VersionState};
use super::status::ManagerStatus;
use hotshelf_registry::{RolloutRecord, Version};
use jiff::Timestamp;
use live_set::Memory;
use proposals::Waiting;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::{Duration, SystemTime};

/// Records remembered for walking back at a cold start.
const CHAIN_MAX: usize = 32;
/// Retired and failed versions remembered for status.
const PAST_VERSIONS_MAX: usize = 16;

/// Both clocks, read once by the driver.
#[derive(Clone, Copy, Debug)]
pub(super) struct Now {
    /// Since the server started; orders retries.
    pub monotonic: Duration,
    /// For people.
    pub wall: SystemTime,
}

/// What to do with a version whose probes alone failed while nothing is live.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Serve it and say so.
    Serve,
    /// Serve nothing.
    Refuse,
}

/// The manager's settings.
#[derive(Clone, Debug)]
pub struct Policy {
    /// See [`Gate`].
    pub gate_at_start: Gate,
    /// Wait before the second attempt at a load; doubles from there.
    pub retry_first: Duration,
    /// Longest wait between attempts.
    pub retry_max: Duration,
    /// Callers that may wait for a rollout at once.
    pub proposals_max: usize,
    /// Does the version that everybody had before stay in memory, to be gone back to at once? It makes
    /// way before another version is loaded.
    pub keeps_previous: bool,
    /// Wait before a version is fetched that every replica fetches; each draws its own.
    pub follow_delay: Duration,
}

/// The state of one model on this server.
pub(super) struct ModelManager {
    policy: Policy,
    /// Desired state, newest first; empty until the registry was read or while it has no rollout.
    chain: Vec<RolloutRecord>,
    has_heard: bool,
    /// When what was heard last may be fetched; a proposal's versions wait for nothing.
    follow_from: Duration,
    memory: Memory,
    live: Option<RolloutRecord>,
    /// The share of the live record's first arm, where it has a ramp.
    candidate_bp: u16,
    versions: BTreeMap<Version, VersionEntry>,
    waiting: Vec<Waiting>,
    /// Proposals that came before the registry was read.
    unheard: Vec<Proposal>,
    /// Versions given to be freed and not free yet.
    freeing: BTreeSet<Version>,
    recording: Option<Goal>,
    /// Some version wants memory, so nothing stays that does not serve.
    is_short: bool,
    /// Memory was freed since the load under way began: what that is refused may be there by now.
    was_freed: bool,
    replies: VecDeque<(Ticket, Reply)>,
    unwanted: VecDeque<Version>,
}

impl Now {
    /// For people and for ramps, as the registry writes it.
    fn timestamp(self) -> Timestamp {
        // A clock beyond the year 9999, or before -9999, is none to follow.
        Timestamp::try_from(self.wall).unwrap_or_default()
    }
}

impl ModelManager {
    /// A model of which nothing is known yet.
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            chain: Vec::new(),
            has_heard: false,
            follow_from: Duration::ZERO,
            memory: Memory::default(),
            live: None,
            candidate_bp: 0,
            is_short: false,
            was_freed: false,
            versions: BTreeMap::new(),
            waiting: Vec::new(),
            unheard: Vec::new(),
            freeing: BTreeSet::new(),
            recording: None,
            replies: VecDeque::new(),
            unwanted: VecDeque::new(),
        }
    }

    /// Takes note of what happened. Decides nothing but what a load's outcome means.
    pub(super) fn handle(&mut self, event: Event, now: Now) {
        match event {
            Event::Desired { chain } => self.hear(chain, now),
            Event::Unreadable { why } => self.memory.unreadable = why,
            Event::Recalled { outcome } => self.recalled(outcome, now),
            Event::Kept { rollout, outcome } => self.kept(rollout, outcome, now),
            Event::Progress { version, state } => self.progress(version, state),
            Event::Loaded {
                version,
                outcome,
                phases,
            } => {
                self.entry(version).phases = phases;
                match outcome {
                    Ok(info) => self.loaded(version, info, now),
                    // What the cache lacks says nothing of what the registry has.
                    Err(_) if self.is_overtaken(version) => {
                        self.entry(version).state = VersionState::Discovered;
                    }
                    Err(error) => self.failed(version, error, now),
                }
            }
            Event::Propose(proposal) => self.propose(proposal, now),
            Event::Recorded { outcome, took } => self.recorded(outcome, took, now),
            Event::MemoryFreed => self.memory_freed(now),
            Event::Shortage { is_short } => self.is_short = is_short,
            Event::Freed { version } => self.freed(version),
        }
    }

    /// The one thing to do next, or `None` until another event or [`Self::next_wakeup`].
    pub(super) fn next_action(&mut self, now: Now) -> Option<Action> {
        if let Some((ticket, mut reply)) = self.replies.pop_front() {
            if let Reply::Changed {
                version, phases, ..
            } = &mut reply
            {
                phases.clone_from(&self.entry(*version).phases);
            }
            return Some(Action::Reply { ticket, reply });
        }
        if let Some(version) = self.unwanted.pop_front() {
            return Some(self.retire(version));
        }
        if let Some(record) = self.activatable().cloned() {
            self.activate(&record, now);
            let candidate_bp = self.candidate_bp;
            return Some(Action::Activate {
                record,
                candidate_bp,
            });
        }
        if let Some(growth) = self.next_growth(now) {
            return Some(growth);
        }
        if let Some(action) = self.next_record() {
            return Some(action);
        }
        if !self.replies.is_empty() {
            return self.next_action(now);
        }
        if let Some(version) = self.superseded(now) {
            self.entry(version).state = VersionState::Draining;
            return Some(self.retire(version));
        }
        if let Some(version) = self.next_load(now) {
            return Some(self.load(version));
        }
        self.next_memory(now)
    }

    fn load(&mut self, version: Version) -> Action {
        let is_paced = self.live.is_some();
        let supply = self.supply(version);
        self.was_freed = false;
        let entry = self.entry(version);
        entry.state = VersionState::Loading;
        entry.phases.clear();
        Action::Load {
            version,
            is_paced,
            supply,
        }
    }

    /// Adds a step that the driver took for this version.
    pub(super) fn note(&mut self, version: Version, phase: Phase) {
        self.entry(version).add(phase);
    }

    /// What `GetModelStatus` shows.
    pub(super) fn status(&self) -> ManagerStatus {
        let mut status =
            ManagerStatus::describe(self.live.as_ref(), self.chain.first(), &self.versions);
        status.candidate_bp = self.candidate_bp;
        status.without(self.said_of_memory());
        status
    }

    fn hear(&mut self, chain: Vec<RolloutRecord>, now: Now) {
        self.has_heard = true;
        let is_newer = match (chain.first(), self.chain.first()) {
            (Some(heard), Some(known)) => heard.number >= known.number,
            (Some(_), None) => true,
            (None, _) => false,
        };
        if is_newer {
            if self.chain.is_empty() {
                self.try_again_from_the_registry();
            }
            let is_news = chain.first().map(RolloutRecord::as_parent)
                != self.chain.first().map(RolloutRecord::as_parent);
            if is_news && self.live.is_some() {
                self.follow_from = now.monotonic + self.policy.follow_delay;
            }
            self.chain = chain;
            self.chain.truncate(CHAIN_MAX);
            self.reconsider(now);
        }
        for proposal in std::mem::take(&mut self.unheard) {
            self.propose(proposal, now);
        }
    }

    fn retire(&mut self, version: Version) -> Action {
        self.freeing.insert(version);
        Action::Retire { version }
    }

    fn progress(&mut self, version: Version, state: VersionState) {
        let entry = self.entry(version);
        if entry.state.is_loading() && state.is_loading() {
            entry.state = state;
        }
    }

    fn loaded(&mut self, version: Version, info: LoadedInfo, now: Now) {
        let may_serve_degraded = self.live.is_none()
            && self.policy.gate_at_start == Gate::Serve
            && self.is_desired(version);
        match info.probe_failure {
            Some(message) if !may_serve_degraded => {
                self.failed(
                    version,
                    LoadError {
                        kind: "probes",
                        message,
                        is_retryable: false,
                    },
                    now,
                );
                self.unwanted.push_back(version);
            }
            probe_failure => {
                let entry = self.entry(version);
                entry.state = VersionState::Ready;
                entry.resident_bytes = info.resident_bytes;
                entry.degraded = probe_failure.unwrap_or_default();
                entry.mended = info.mended;
                entry.failure = None;
            }
        }
    }

    fn freed(&mut self, version: Version) {
        self.freeing.remove(&version);
        let entry = self.entry(version);
        entry.resident_bytes = 0;
        if entry.state == VersionState::Draining {
            entry.state = VersionState::Retired;
        }
        self.forget_past();
    }

    /// The newest rollout that is not live and could be; with nothing live, behind those that were tried
    /// and failed. One that is on its way is waited for.
    fn activatable(&self) -> Option<&RolloutRecord> {
        let states = |record: &RolloutRecord| {
            let arms = record.arms.iter();
            arms.map(|arm| self.state(arm.version)).collect::<Vec<_>>()
        };
        let has_failed =
            |record: &&RolloutRecord| states(record).contains(&Some(VersionState::Failed));
        let is_loaded = |state: &Option<VersionState>| state.is_some_and(VersionState::is_servable);
        let first = self.candidates().find(|record| !has_failed(record))?;
        states(first).iter().all(is_loaded).then_some(first)
    }

    /// The newest rollout that is not live and worth loading for.
    fn target(&self, now: Now) -> Option<&RolloutRecord> {
        self.candidates().find(|record| {
            record
                .arms
                .iter()
                .all(|arm| !self.is_blocked(arm.version, now))
        })
    }

    /// Rollouts that could be live instead of the one that is, the most wanted first.
    fn candidates(&self) -> impl Iterator<Item = &RolloutRecord> {
        let depth = if self.live.is_some() { 1 } else { CHAIN_MAX };
        // A number alone does not tell a record of this registry from one remembered of another.
        let live = self.live.as_ref().map(RolloutRecord::as_parent);
        self.chain
            .iter()
            .chain(self.stand_in())
            .take(depth)
            .take_while(move |record| Some(record.as_parent()) != live)
    }

    fn activate(&mut self, record: &RolloutRecord, now: Now) {
        self.note_live(record);
        let past = self.live.replace(record.clone());
        self.candidate_bp = record.first_share_at(now.timestamp());
        let previous = self.previous();
        for arm in past.iter().flat_map(|past| &past.arms) {
            if record.arms.iter().any(|new| new.version == arm.version) {
                continue;
            }
            if Some(arm.version) == previous {
                self.entry(arm.version).state = VersionState::Ready;
                continue;
            }
            self.entry(arm.version).state = VersionState::Draining;
            self.unwanted.push_back(arm.version);
        }
        for arm in &record.arms {
            self.entry(arm.version).state = VersionState::Live;
        }
        // What was walked back to is not what everybody wants, and so no answer to a proposal.
        let is_newest = self.newest_number() == record.number.get();
        let (done, waiting): (Vec<_>, Vec<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|waiting| is_newest && waiting.goal.is_met_by(record));
        self.waiting = waiting;
        for waiting in done {
            let reply = Reply::Changed {
                previous: waiting.previous,
                version: waiting.goal.version,
                rollout: record.number,
                phases: Vec::new(),
            };
            self.replies.push_back((waiting.proposal.ticket, reply));
        }
    }

    fn forget_past(&mut self) {
        let is_past =
            |e: &VersionEntry| matches!(e.state, VersionState::Retired | VersionState::Failed);
        let past: Vec<Version> = self
            .versions
            .iter()
            .filter(|(_, e)| is_past(e))
            .map(|(v, _)| *v)
            .collect();
        let surplus = past.len().saturating_sub(PAST_VERSIONS_MAX);
        for version in past
            .iter()
            .filter(|v| !self.is_desired(**v))
            .take(surplus)
            .copied()
            .collect::<Vec<_>>()
        {
            self.versions.remove(&version);
        }
    }

    fn newest_number(&self) -> u64 {
        self.chain.first().map_or(0, |record| record.number.get())
    }

    fn state(&self, version: Version) -> Option<VersionState> {
        self.versions.get(&version).map(|entry| entry.state)
    }

    fn failure(&self, version: Version) -> Option<&Failure> {
        self.versions.get(&version)?.failure.as_ref()
    }

    fn entry(&mut self, version: Version) -> &mut VersionEntry {
        self.versions
            .entry(version)
            .or_insert_with(VersionEntry::discovered)
    }
}

/// The version with the largest share while a candidate has `candidate_bp`, the first among equals.
pub(crate) fn main_version(record: &RolloutRecord, candidate_bp: u16) -> Option<Version> {
    let arms = record.arms_with(candidate_bp).into_iter().rev();
    arms.max_by_key(|arm| arm.share_bp).map(|arm| arm.version)
}
