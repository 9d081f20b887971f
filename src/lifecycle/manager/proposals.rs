//! Proposals: from a caller's change to a record, or to the reason why there is none.

use super::{ModelManager, Now};
use crate::lifecycle::change::{Change, Goal};
use crate::lifecycle::event::{Action, Proposal, RecordOutcome, Reply, Ticket};
use crate::lifecycle::state::{Phase, VersionState};
use hotshelf_registry::{Parent, RolloutDraft, RolloutRecord, Version};
use std::collections::VecDeque;
use std::time::Duration;

/// The callers who propose, and how far each has come.
#[derive(Default)]
pub(super) struct Proposals {
    /// Accepted, and waiting until their rollout is live.
    waiting: Vec<Waiting>,
    /// Received before the registry was read.
    early: Vec<(Ticket, Proposal)>,
    /// The record being written.
    recording: Option<Goal>,
    /// Callers whose outcome is known.
    pub(super) replies: VecDeque<(Ticket, Reply)>,
}

/// An accepted proposal.
struct Waiting {
    ticket: Ticket,
    proposal: Proposal,
    goal: Goal,
    /// The newest rollout when it was received.
    over: Option<Parent>,
    previous: Option<Version>,
}

impl Proposals {
    fn len(&self) -> usize {
        self.waiting.len() + self.early.len()
    }

    /// Every version that a proposal waits for.
    pub(super) fn versions(&self) -> impl Iterator<Item = Version> {
        let goals = self.waiting.iter().map(|waiting| &waiting.goal);
        goals.flat_map(|goal| goal.arms.iter().map(|arm| arm.version))
    }

    /// Proposals that were received before the registry was read.
    pub(super) fn take_early(&mut self) -> Vec<(Ticket, Proposal)> {
        std::mem::take(&mut self.early)
    }

    /// Answers every caller who waits for such a goal.
    pub(super) fn answer(&mut self, is_theirs: impl Fn(&Goal) -> bool, reply: &Reply) {
        let answered = self.waiting.extract_if(.., |one| is_theirs(&one.goal));
        let replies = answered.map(|one| (one.ticket, reply.clone()));
        self.replies.extend(replies);
    }

    /// Answers every caller whose goal this record meets, now that it is live and the newest.
    pub(super) fn answer_changed(&mut self, record: &RolloutRecord) {
        let met = self
            .waiting
            .extract_if(.., |one| one.goal.is_met_by(record));
        let replies = met.map(|one| {
            let reply = Reply::Changed {
                previous: one.previous,
                version: one.goal.version,
                rollout: record.number,
                phases: Vec::new(),
            };
            (one.ticket, reply)
        });
        self.replies.extend(replies);
    }
}

impl ModelManager {
    pub(super) fn propose(&mut self, ticket: Ticket, proposal: Proposal, now: Now) {
        let is_full = self.proposals.len() >= self.policy.proposals_max;
        if !self.desired.is_read && !is_full {
            match self.desired.live_set.registry_error.as_str() {
                "" => self.proposals.early.push((ticket, proposal)),
                why => {
                    let reply = Reply::NotRecorded {
                        is_retryable: true,
                        message: format!("the registry cannot be read: {why}"),
                    };
                    self.proposals.replies.push_back((ticket, reply));
                }
            }
            return;
        }
        match self.accept((ticket, proposal), is_full, now) {
            Ok(waiting) => self.proposals.waiting.push(waiting),
            Err(reply) => self.proposals.replies.push_back((ticket, reply)),
        }
    }

    fn accept(
        &mut self,
        (ticket, proposal): (Ticket, Proposal),
        is_full: bool,
        now: Now,
    ) -> Result<Waiting, Reply> {
        let is_reload = matches!(proposal.change, Change::All(_));
        let goal = self.goal(&proposal.change, now);
        let newest = self.desired.newest();
        let is_live = |goal: &Goal| {
            let live = self.versions.live.as_ref();
            live.is_some_and(|live| {
                goal.is_met_by(live) && live.number.get() == self.desired.newest_number()
            })
        };
        // A reload that has nothing to do succeeds whatever the caller expected.
        if is_reload && goal.as_ref().is_ok_and(is_live) {
            return Err(Reply::Unchanged);
        }
        let is_expected = match proposal.expected_rollout {
            Some(expected) => expected == self.desired.newest_number(),
            None => !is_reload || newest.is_none_or(|record| record.arms.len() == 1),
        };
        if !is_expected {
            let newest = newest.cloned().map(Box::new);
            return Err(Reply::NotExpected { newest });
        }
        let goal = goal.map_err(Reply::Impossible)?;
        if is_live(&goal) {
            return Err(Reply::Unchanged);
        }
        if is_full {
            let limit = self.policy.proposals_max;
            return Err(Reply::TooMany { limit });
        }
        for arm in &goal.arms {
            self.allow_another_try(arm.version);
        }
        Ok(Waiting {
            ticket,
            proposal,
            goal,
            over: self.desired.newest().map(RolloutRecord::as_parent),
            previous: self.versions.main_version(),
        })
    }

    /// Gives a version that failed or was retired another try.
    fn allow_another_try(&mut self, version: Version) {
        let entry = self.versions.entry(version);
        if entry.state.is_servable() {
            // It is in memory already: the steps of an earlier caller's load are not this one's.
            entry.phases.clear();
        }
        if matches!(entry.state, VersionState::Failed | VersionState::Retired) {
            entry.state = VersionState::Discovered;
        }
    }

    pub(super) fn recorded(&mut self, outcome: RecordOutcome, took: Duration, now: Now) {
        let Some(goal) = self.proposals.recording.take() else {
            return;
        };
        let phase = Phase {
            name: "rollout",
            duration: took,
        };
        self.versions.entry(goal.version).add(phase);
        let reply = match outcome {
            RecordOutcome::Created(record) => return self.adopt(record, now),
            RecordOutcome::Lost(winner) => {
                // A proposal of one version for all traffic is met, also if another caller proposed it first.
                let is_same = winner.all_to().is_some() && goal.is_met_by(&winner);
                self.adopt(winner.clone(), now);
                if is_same {
                    return;
                }
                let winner = Box::new(winner);
                Reply::Aborted { winner }
            }
            RecordOutcome::Refused(error) => Reply::Refused(error),
            RecordOutcome::Failed {
                is_retryable,
                message,
            } => Reply::NotRecorded {
                is_retryable,
                message,
            },
        };
        self.proposals.answer(|waiting| *waiting == goal, &reply);
    }

    /// Writes the record of the first proposal whose versions are ready, or refuses a proposal that was
    /// made over a rollout that is no longer the newest.
    pub(super) fn next_record(&mut self) -> Option<Action> {
        if self.proposals.recording.is_some() || self.proposals.waiting.is_empty() {
            return None;
        }
        self.answer_what_is_live();
        let newest = self.desired.newest();
        let mut waiting = self.proposals.waiting.iter();
        let index = waiting.position(|Waiting { goal, .. }| {
            let mut arms = goal.arms.iter();
            let is_ready = arms.all(|arm| self.versions.is_servable(arm.version));
            is_ready && !newest.is_some_and(|newest| goal.is_met_by(newest))
        })?;
        if self.proposals.waiting[index].over != newest.map(RolloutRecord::as_parent) {
            let reply = match newest.cloned().map(Box::new) {
                Some(winner) => Reply::Aborted { winner },
                None => Reply::NotExpected { newest: None },
            };
            let waiting = self.proposals.waiting.remove(index);
            self.proposals.replies.push_back((waiting.ticket, reply));
            return None;
        }
        let over = newest.map(RolloutRecord::as_parent);
        let Waiting { proposal, goal, .. } = &self.proposals.waiting[index];
        self.proposals.recording = Some(goal.clone());
        let mut arms = goal.arms.clone();
        for arm in &mut arms {
            let loaded = self.versions.entries.get(&arm.version);
            arm.manifest_sha256 = loaded.and_then(|entry| entry.manifest_sha256);
        }
        Some(Action::Record {
            draft: RolloutDraft {
                arms,
                ramp: goal.ramp.clone(),
                salt: goal.salt.clone(),
                author: proposal.author.clone(),
                reason: proposal.reason.clone(),
            },
            over,
        })
    }

    /// A restored rollout may turn out to be the newest of the registry, and what a caller waits for.
    fn answer_what_is_live(&mut self) {
        let newest = self.desired.newest_number();
        let live = self.versions.live.as_ref();
        if let Some(live) = live.filter(|live| live.number.get() == newest) {
            let is_met = |goal: &Goal| goal.is_met_by(live);
            self.proposals.answer(is_met, &Reply::Unchanged);
        }
    }

    fn adopt(&mut self, record: RolloutRecord, now: Now) {
        if self.desired.push(record) {
            self.reconsider(now);
        }
    }
}
