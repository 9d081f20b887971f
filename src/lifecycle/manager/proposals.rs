//! Proposals: from a caller's wish to a record, or to the reason why there is none.

use super::{CHAIN_MAX, ModelManager, is_all, main_version};
use crate::lifecycle::event::{Action, Proposal, RecordOutcome, Reply};
use crate::lifecycle::state::VersionState;
use hotshelf_registry::{RolloutRecord, Version};

/// A proposal that is not answered yet.
pub(super) struct Waiting {
    pub(super) proposal: Proposal,
    /// The newest rollout when it came; 0 = none.
    pub(super) over: u64,
    pub(super) previous: Option<Version>,
}

impl ModelManager {
    pub(super) fn propose(&mut self, proposal: Proposal) {
        let is_full = self.waiting.len() + self.unheard.len() >= self.policy.proposals_max;
        if !self.has_heard && !is_full {
            self.unheard.push(proposal);
            return;
        }
        let newest = self.chain.first();
        let newest_number = self.newest_number();
        let live = self.live.as_ref();
        let is_live =
            live.is_some_and(|l| is_all(l, proposal.version) && l.number.get() == newest_number);
        let is_expected = match proposal.expected_rollout {
            Some(expected) => expected == newest_number,
            None => newest.is_none_or(|record| record.arms.len() == 1),
        };
        let reply = if is_live {
            Some(Reply::Unchanged)
        } else if !is_expected {
            Some(Reply::NotExpected {
                newest: newest.cloned().map(Box::new),
            })
        } else if is_full {
            Some(Reply::TooMany {
                limit: self.policy.proposals_max,
            })
        } else {
            None
        };
        if let Some(reply) = reply {
            self.replies.push_back((proposal.ticket, reply));
            return;
        }
        let previous = live.and_then(main_version);
        let entry = self.entry(proposal.version);
        if entry.state.is_servable() {
            // It is in memory already: what was done for an earlier caller is not this one's.
            entry.phases.clear();
        }
        if matches!(entry.state, VersionState::Failed | VersionState::Retired) {
            entry.state = VersionState::Discovered;
        }
        self.waiting.push(Waiting {
            proposal,
            over: newest_number,
            previous,
        });
    }

    pub(super) fn recorded(&mut self, version: Version, outcome: RecordOutcome) {
        self.recording = None;
        match outcome {
            RecordOutcome::Created(record) => self.adopt(record),
            RecordOutcome::Lost(winner) => {
                let is_same = is_all(&winner, version);
                self.adopt(winner.clone());
                if !is_same {
                    self.answer(
                        version,
                        &Reply::Aborted {
                            winner: Box::new(winner),
                        },
                    );
                }
            }
            RecordOutcome::Failed {
                is_retryable,
                message,
            } => {
                self.answer(
                    version,
                    &Reply::NotRecorded {
                        is_retryable,
                        message,
                    },
                );
            }
        }
    }

    /// Writes the record of the first proposal whose version is ready, or refuses the proposals that
    /// were made over a rollout that is no longer the newest.
    pub(super) fn next_record(&mut self) -> Option<Action> {
        if self.recording.is_some() {
            return None;
        }
        let newest = self.newest_number();
        let index = self.waiting.iter().position(|waiting| {
            self.state(waiting.proposal.version)
                .is_some_and(VersionState::is_servable)
                && !self
                    .chain
                    .first()
                    .is_some_and(|first| is_all(first, waiting.proposal.version))
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
        let proposal = &self.waiting[index].proposal;
        self.recording = Some(proposal.version);
        Some(Action::Record {
            version: proposal.version,
            over: self.chain.first().map(|record| record.number),
            author: proposal.author.clone(),
            reason: proposal.reason.clone(),
        })
    }

    /// Answers every caller who waits for this version.
    pub(super) fn answer(&mut self, version: Version, reply: &Reply) {
        let replies = &mut self.replies;
        self.waiting.retain(|waiting| {
            let is_other = waiting.proposal.version != version;
            if !is_other {
                replies.push_back((waiting.proposal.ticket, reply.clone()));
            }
            is_other
        });
    }

    pub(super) fn adopt(&mut self, record: RolloutRecord) {
        if record.number.get() > self.newest_number() {
            self.chain.insert(0, record);
            self.chain.truncate(CHAIN_MAX);
        }
    }
}
