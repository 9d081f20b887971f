//! Proposals: from a caller's wish to a record, or to the reason why there is none.

use super::{CHAIN_MAX, ModelManager, Now};
use crate::lifecycle::change::{Change, Goal};
use crate::lifecycle::event::{Action, Proposal, RecordOutcome, Reply};
use crate::lifecycle::state::{Phase, VersionState};
use hotshelf_registry::{RolloutDraft, RolloutRecord, Version};
use std::time::Duration;

/// A proposal that is not answered yet.
pub(super) struct Waiting {
    pub(super) proposal: Proposal,
    pub(super) goal: Goal,
    /// The newest rollout when it came; 0 = none.
    pub(super) over: u64,
    pub(super) previous: Option<Version>,
}

impl ModelManager {
    pub(super) fn propose(&mut self, proposal: Proposal, now: Now) {
        let is_full = self.waiting.len() + self.unheard.len() >= self.policy.proposals_max;
        if !self.has_heard && !is_full {
            self.unheard.push(proposal);
            return;
        }
        let ticket = proposal.ticket;
        match self.begin(proposal, is_full, now) {
            Ok(waiting) => self.waiting.push(waiting),
            Err(reply) => self.replies.push_back((ticket, reply)),
        }
    }

    fn begin(&mut self, proposal: Proposal, is_full: bool, now: Now) -> Result<Waiting, Reply> {
        let is_reload = matches!(proposal.change, Change::All(_));
        let goal = self.goal(&proposal.change, now);
        let newest = self.chain.first();
        let is_live = |goal: &Goal| {
            let live = self.live.as_ref();
            live.is_some_and(|live| {
                goal.is_met_by(live) && live.number.get() == self.newest_number()
            })
        };
        // A reload that has nothing to do is fine whatever the caller expected.
        if is_reload && goal.as_ref().is_ok_and(is_live) {
            return Err(Reply::Unchanged);
        }
        let is_expected = match proposal.expected_rollout {
            Some(expected) => expected == self.newest_number(),
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
            self.want(arm.version);
        }
        Ok(Waiting {
            proposal,
            goal,
            over: self.newest_number(),
            previous: self.main_version(),
        })
    }

    /// Gives a version that was given up another try.
    fn want(&mut self, version: Version) {
        let entry = self.entry(version);
        if entry.state.is_servable() {
            // It is in memory already: what was done for an earlier caller is not this one's.
            entry.phases.clear();
        }
        if matches!(entry.state, VersionState::Failed | VersionState::Retired) {
            entry.state = VersionState::Discovered;
        }
    }

    pub(super) fn recorded(&mut self, outcome: RecordOutcome, took: Duration, now: Now) {
        let Some(goal) = self.recording.take() else {
            return;
        };
        let phase = Phase {
            name: "rollout",
            duration: took,
        };
        self.entry(goal.version).add(phase);
        let reply = match outcome {
            RecordOutcome::Created(record) => return self.adopt(record, now),
            RecordOutcome::Lost(winner) => {
                // Whoever wants one version for everybody has it, whoever asked for it first.
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
        self.answer(|waiting| *waiting == goal, &reply);
    }

    /// Writes the record of the first proposal whose versions are ready, or refuses the proposals that
    /// were made over a rollout that is no longer the newest.
    pub(super) fn next_record(&mut self) -> Option<Action> {
        if self.recording.is_some() || self.waiting.is_empty() {
            return None;
        }
        self.answer_what_is_live();
        let newest = self.newest_number();
        let is_ready = |version| self.state(version).is_some_and(VersionState::is_servable);
        let index = self.waiting.iter().position(|waiting| {
            let goal = &waiting.goal;
            goal.arms.iter().all(|arm| is_ready(arm.version))
                && !self
                    .chain
                    .first()
                    .is_some_and(|first| goal.is_met_by(first))
        })?;
        if self.waiting[index].over != newest {
            let waiting = self.waiting.remove(index);
            let reply = match self.chain.first() {
                Some(winner) => Reply::Aborted {
                    winner: Box::new(winner.clone()),
                },
                None => Reply::NotExpected { newest: None },
            };
            self.replies.push_back((waiting.proposal.ticket, reply));
            return None;
        }
        let Waiting { proposal, goal, .. } = &self.waiting[index];
        self.recording = Some(goal.clone());
        Some(Action::Record {
            draft: RolloutDraft {
                arms: goal.arms.clone(),
                ramp: goal.ramp.clone(),
                salt: goal.salt.clone(),
                author: proposal.author.clone(),
                reason: proposal.reason.clone(),
            },
            over: self.chain.first().map(|record| record.number),
        })
    }

    /// What was live from the disk may turn out to be the newest record of the registry, and what somebody
    /// waits for.
    fn answer_what_is_live(&mut self) {
        let newest = self.newest_number();
        let live = self.live.as_ref();
        if let Some(live) = live.filter(|live| live.number.get() == newest).cloned() {
            self.answer(|goal| goal.is_met_by(&live), &Reply::Unchanged);
        }
    }

    /// Answers every caller who waits for such a goal.
    pub(super) fn answer(&mut self, is_theirs: impl Fn(&Goal) -> bool, reply: &Reply) {
        let replies = &mut self.replies;
        self.waiting.retain(|waiting| {
            let is_theirs = is_theirs(&waiting.goal);
            if is_theirs {
                replies.push_back((waiting.proposal.ticket, reply.clone()));
            }
            !is_theirs
        });
    }

    pub(super) fn adopt(&mut self, record: RolloutRecord, now: Now) {
        if record.number.get() > self.newest_number() {
            self.chain.insert(0, record);
            self.chain.truncate(CHAIN_MAX);
            self.reconsider(now);
        }
    }
}
