//! Decides what one model should do next. A pure state machine: events and a passed clock in, one
//! action out, until there is none.
//!
//! It knows no store, no thread and no clock, so that every policy can be tested as a table and every
//! race as a sequence. Its state has three parts: [`Desired`], what the registry wants; [`Versions`], what
//! is in memory; [`Proposals`], who wants a change. The rules, in the order in which
//! [`ModelManager::next_action`] tries them:
//!
//! 1. answer the callers whose outcome is known;
//! 2. retire versions that no new request may use;
//! 3. activate the newest rollout whose versions are all in memory, and increase its candidate's share;
//! 4. write the record of a proposal whose versions are in memory;
//! 5. retire an idle version that neither the live rollout, nor the desired one, nor a rollback needs
//!    (see `loads`);
//! 6. load one version: a proposal's first, then the newest rollout's;
//! 7. persist what is live, or restore what was (see `live_set`).
//!
//! With nothing live, rules 3 and 6 fall back to the newest rollout that can be served. With something
//! live they consider the newest rollout only: a replica that cannot follow stays where it is. While no
//! rollout of the registry is known, the one they consider is the one persisted on disk.

mod desired;
mod goals;
mod live_set;
mod loads;
mod proposals;
mod ramp;
mod resumed;
mod retries;
#[cfg(test)]
mod tests;
mod versions;

use super::event::{Action, Event, Reply};
use super::state::{LoadError, LoadErrorKind, LoadedInfo, Phase, VersionState};
use super::status::ManagerStatus;
use desired::{CHAIN_MAX, Desired, Observed};
use hotshelf_registry::{Parent, RolloutRecord, Version};
use jiff::Timestamp;
use proposals::Proposals;
use std::time::{Duration, SystemTime};
use versions::Versions;

/// Both clocks, read once by the driver.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Now {
    /// Since the server started; orders retries.
    pub monotonic: Duration,
    /// For people.
    pub wall: SystemTime,
}

/// What to do while nothing is live with a version that fails only its golden queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Gate {
    /// Serve it, and report it as degraded.
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
    /// Does the version that had all traffic before stay in memory, for a rollback at once? It is retired
    /// before another version is loaded.
    pub keeps_previous: bool,
    /// Wait before a version is fetched that every replica fetches; each draws its own.
    pub follow_delay: Duration,
}

/// The state of one model on this server.
pub(super) struct ModelManager {
    policy: Policy,
    desired: Desired,
    versions: Versions,
    proposals: Proposals,
}

impl Now {
    /// For people and for ramps, as the registry writes it.
    fn timestamp(self) -> Timestamp {
        // A clock beyond the year 9999, or before -9999, is invalid.
        Timestamp::try_from(self.wall).unwrap_or_default()
    }
}

impl ModelManager {
    /// A model of which nothing is known yet.
    pub(super) fn new(policy: Policy) -> Self {
        Self {
            policy,
            desired: Desired::default(),
            versions: Versions::default(),
            proposals: Proposals::default(),
        }
    }

    /// Takes note of what happened. Decides nothing but what a load's outcome means.
    pub(super) fn handle(&mut self, event: Event, now: Now) {
        match event {
            Event::Desired { chain, withdrawn } => self.observe((chain, withdrawn), now),
            Event::Unreadable { why } => {
                self.desired.live_set.registry_error = why;
                for (ticket, proposal) in self.proposals.take_early() {
                    self.propose(ticket, proposal, now);
                }
            }
            Event::Restored { outcome } => {
                let live_set = &mut self.desired.live_set;
                live_set.restored(outcome, (&self.policy, now));
            }
            Event::Persisted { rollout, outcome } => {
                let live_set = &mut self.desired.live_set;
                live_set.persisted(rollout, outcome, (&self.policy, now));
            }
            Event::Progress { version, state } => self.versions.progress(version, state),
            Event::Loaded {
                version,
                outcome,
                phases,
            } => {
                self.versions.entry(version).phases = phases;
                match outcome {
                    Ok(info) => self.loaded(version, info, now),
                    // What is missing from the cache may exist in the registry.
                    Err(_) if self.is_overtaken(version) => {
                        self.versions.entry(version).state = VersionState::Discovered;
                    }
                    Err(error) => self.failed(version, error, now),
                }
            }
            Event::Propose { ticket, proposal } => self.propose(ticket, proposal, now),
            Event::Recorded { outcome, took } => self.recorded(outcome, took, now),
            Event::MemoryFreed => self.memory_freed(now),
            Event::Shortage { is_short } => self.versions.is_short = is_short,
            Event::Freed { version } => {
                self.versions.freed(version);
                self.forget_past();
            }
        }
    }

    /// The one thing to do next, or `None` until another event or [`Self::next_wakeup`].
    pub(super) fn next_action(&mut self, now: Now) -> Option<Action> {
        if let Some(reply) = self.next_reply() {
            return Some(reply);
        }
        if let Some(version) = self.versions.unwanted.pop_front() {
            return Some(self.versions.retire(version));
        }
        if let Some(record) = self.activatable().cloned() {
            return Some(self.activate(record, now));
        }
        if let Some(increase) = self.versions.next_increase(now) {
            return Some(increase);
        }
        if let Some(record) = self.next_record() {
            return Some(record);
        }
        // Rule 4 may have refused a proposal instead.
        if let Some(reply) = self.next_reply() {
            return Some(reply);
        }
        if let Some(version) = self.superseded(now) {
            self.versions.entry(version).state = VersionState::Draining;
            return Some(self.versions.retire(version));
        }
        if let Some(version) = self.next_load(now) {
            return Some(self.load(version));
        }
        self.next_disk_action(now)
    }

    /// Adds a step that the driver took for this version.
    pub(super) fn note(&mut self, version: Version, phase: Phase) {
        self.versions.entry(version).add(phase);
    }

    /// What `GetModelStatus` shows.
    pub(super) fn status(&self) -> ManagerStatus {
        let Versions { live, entries, .. } = &self.versions;
        let newest = self.desired.newest();
        let desired = newest.filter(|_| !self.desired.is_withdrawn);
        let mut status = ManagerStatus::describe(live.as_ref(), desired, entries);
        status.candidate_bp = self.versions.candidate_bp;
        let withdrawn = newest.filter(|_| self.desired.is_withdrawn);
        status.add_degradations(withdrawn.map(withdrawn_degradation).into_iter().collect());
        status.add_degradations(self.disk_degradations());
        status
    }

    fn observe(&mut self, shown: (Vec<RolloutRecord>, Option<Parent>), now: Now) {
        let is_first = self.desired.chain.is_empty();
        let observed = self.desired.observe(shown);
        if observed == Observed::New && self.versions.live.is_some() {
            self.desired.follow_from = now.monotonic + self.policy.follow_delay;
        }
        if observed != Observed::Stale {
            if is_first {
                self.retry_restored();
            }
            self.reconsider(now);
        }
        for (ticket, proposal) in self.proposals.take_early() {
            self.propose(ticket, proposal, now);
        }
    }

    fn loaded(&mut self, version: Version, info: LoadedInfo, now: Now) {
        let may_serve_degraded = self.versions.live.is_none()
            && self.policy.gate_at_start == Gate::Serve
            && self.is_desired(version);
        match info.golden_query_failure {
            Some(message) if !may_serve_degraded => {
                let error = LoadError {
                    kind: LoadErrorKind::GoldenQueries,
                    message,
                    is_retryable: false,
                };
                self.failed(version, error, now);
                self.versions.unwanted.push_back(version);
            }
            golden_query_failure => {
                let entry = self.versions.entry(version);
                entry.state = VersionState::Ready;
                entry.manifest_sha256 = info.manifest_sha256;
                entry.resident_bytes = info.resident_bytes;
                entry.degraded = golden_query_failure.unwrap_or(info.degraded);
                entry.refetched = info.refetched;
                entry.failure = None;
            }
        }
    }

    fn next_reply(&mut self) -> Option<Action> {
        let (ticket, mut reply) = self.proposals.replies.pop_front()?;
        if let Reply::Changed {
            version, phases, ..
        } = &mut reply
        {
            phases.clone_from(&self.versions.entry(*version).phases);
        }
        Some(Action::Reply { ticket, reply })
    }

    /// The newest rollout that is not live and could be; with nothing live, the next older one where it
    /// failed. A rollout that is loading is waited for.
    fn activatable(&self) -> Option<&RolloutRecord> {
        let versions = &self.versions;
        let has_failed = |record: &&RolloutRecord| {
            let mut arms = record.arms.iter();
            arms.any(|arm| versions.failed(arm.version).is_some())
        };
        let first = self.candidates().find(|record| !has_failed(record))?;
        let mut arms = first.arms.iter();
        arms.all(|arm| versions.can_serve(arm)).then_some(first)
    }

    /// The newest rollout that is not live and worth loading for.
    fn target(&self, now: Now) -> Option<&RolloutRecord> {
        self.candidates().find(|record| {
            let mut arms = record.arms.iter();
            arms.all(|arm| !self.versions.is_blocked(arm.version, now))
        })
    }

    /// Rollouts that could be live instead of the one that is, the most desired first.
    fn candidates(&self) -> impl Iterator<Item = &RolloutRecord> {
        let depth = match self.versions.live {
            Some(_) => 1,
            None => CHAIN_MAX,
        };
        // A number alone does not tell a record of this registry from one persisted of another.
        let live = self.versions.live.as_ref().map(RolloutRecord::as_parent);
        let records = self.desired.records().take(depth);
        records.take_while(move |record| Some(record.as_parent()) != live)
    }

    fn activate(&mut self, record: RolloutRecord, now: Now) -> Action {
        if self.desired.chain.is_empty() {
            self.desired.live_set.is_on_disk(&record);
        }
        let candidate_bp = record.first_share_at(now.timestamp());
        let previous = self.previous();
        self.versions.activate(&record, candidate_bp, previous);
        // A fallback is not what was proposed, and so no answer to a proposal.
        if self.desired.newest_number() == record.number.get() {
            self.proposals.answer_changed(&record);
        }
        Action::Activate {
            record,
            candidate_bp,
        }
    }

    fn next_disk_action(&mut self, now: Now) -> Option<Action> {
        let Desired {
            chain,
            is_read,
            live_set,
            ..
        } = &mut self.desired;
        if let Some(live) = &self.versions.live {
            return live_set.next_persist(live, now);
        }
        let is_unread = !*is_read && live_set.registry_error.is_empty();
        if is_unread || !chain.is_empty() {
            return None;
        }
        live_set.next_restore(now)
    }

    fn live_set_wakeup(&self) -> Option<Duration> {
        let live = self.versions.live.as_ref();
        if live.is_none() && !self.desired.chain.is_empty() {
            return None;
        }
        self.desired.live_set.wakeup(live)
    }

    fn disk_degradations(&self) -> Vec<String> {
        let Desired {
            chain,
            is_read,
            live_set,
            ..
        } = &self.desired;
        let versions = &self.versions;
        let registry = match (is_read, chain.is_empty()) {
            (true, true) => live_set.empty_registry_degradation(versions),
            (true, false) => None,
            (false, _) => live_set.unreadable_degradation(versions),
        };
        let live = versions.live.as_ref();
        let disk = live.and_then(|live| live_set.persist_degradation(live));
        registry.into_iter().chain(disk).collect()
    }

    fn forget_past(&mut self) {
        let desired = self.candidate_versions().collect();
        self.versions.forget_past(&desired);
    }
}

fn withdrawn_degradation(record: &RolloutRecord) -> String {
    format!(
        "rollout {} was withdrawn and no other one counts; what is live stays live",
        record.number
    )
}
