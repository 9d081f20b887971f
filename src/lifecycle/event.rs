//! The manager's inputs and outputs: events, actions, replies.

use super::change::Change;
use super::state::{LoadError, LoadedInfo, Phase, VersionState};
use hotshelf_registry::{
    Parent, RolloutDraft, RolloutNumber, RolloutRecord, Sha256Digest, Version,
};
use std::time::Duration;

/// Identifies the caller of one proposal until it is answered; drawn by the driver.
pub(super) type Ticket = u64;

/// A change that a caller proposes, signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// What is proposed.
    pub change: Change,
    /// The newest rollout as the caller knows it; 0 = none. `None`: any.
    pub expected_rollout: Option<u64>,
    /// Written into the record.
    pub author: String,
    /// Written into the record.
    pub reason: String,
}

/// Where a loader takes a version from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Supply {
    /// The registry; parts that are in the cache are not fetched again.
    Registry,
    /// Only the cache, by the manifests that are persisted there. The store is not called.
    Cache,
}

/// What was live here before, as persisted on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct PersistedRollout {
    /// The record.
    pub record: RolloutRecord,
    /// Since when, RFC 3339.
    pub since: String,
}

/// How an attempt to write a rollout record ended.
#[derive(Clone, Debug, PartialEq)]
pub enum RecordOutcome {
    /// It is the registry's newest record now.
    Created(RolloutRecord),
    /// Another record came first.
    Lost(RolloutRecord),
    /// A version of it is not available any more; nothing was written.
    Refused(LoadError),
    /// The store failed; the caller's arguments were fine.
    Failed {
        /// Can the same call succeed later?
        is_retryable: bool,
        /// For people.
        message: String,
    },
}

/// What happened.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// The registry's rollout chain, newest first. An empty chain unloads nothing.
    Desired {
        /// Every record's parent is the next one.
        chain: Vec<RolloutRecord>,
        /// The record that was the newest, and that the store no longer has as it was read. Only then may an
        /// older one take its place.
        withdrawn: Option<Parent>,
    },
    /// The registry could not be read.
    Unreadable {
        /// For people.
        why: String,
    },
    /// The live set was read from disk.
    Restored {
        /// `None`: nothing. An error says why what is there cannot be used.
        outcome: Result<Option<PersistedRollout>, String>,
    },
    /// The attempt to persist what is live has ended.
    Persisted {
        /// The rollout.
        rollout: RolloutNumber,
        /// How it ended.
        outcome: Result<(), String>,
    },
    /// A loader went one step further.
    Progress {
        /// Which version.
        version: Version,
        /// Verifying or Warming.
        state: VersionState,
    },
    /// A loader is done.
    Loaded {
        /// Which version.
        version: Version,
        /// What it holds, or why it cannot serve.
        outcome: Result<LoadedInfo, LoadError>,
        /// How long each step took, also where it failed.
        phases: Vec<Phase>,
    },
    /// A caller proposes a change.
    Propose {
        /// Whom to answer.
        ticket: Ticket,
        /// The change.
        proposal: Proposal,
    },
    /// The attempt to write a record has ended.
    Recorded {
        /// How it ended.
        outcome: RecordOutcome,
        /// How long it took.
        took: Duration,
    },
    /// A version of this process released memory.
    MemoryFreed,
    /// Whether a version of this process does not fit into the rest of the memory budget.
    Shortage {
        /// False: one was reserved since.
        is_short: bool,
    },
    /// The memory of a retired version is free.
    Freed {
        /// Which version.
        version: Version,
    },
}

/// What the manager asks its driver to do, one at a time.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Action {
    /// Load a version; answer with `Progress` and `Loaded`.
    Load {
        /// Which version.
        version: Version,
        /// Something is live, so the load is paced.
        is_paced: bool,
        /// From where.
        supply: Supply,
        /// The manifest that it must have, where a rollout names one.
        named: Option<Sha256Digest>,
    },
    /// Read from disk what was live here before; answer with `Restored`.
    Restore,
    /// Persist this record as live; answer with `Persisted`.
    Persist {
        /// The live record.
        record: RolloutRecord,
    },
    /// Write this rollout record; answer with `Recorded`. There is one at a time.
    Record {
        /// What to write.
        draft: RolloutDraft,
        /// The newest record that the decision was made over; a newer one means `Lost`.
        over: Option<Parent>,
    },
    /// Make this record what requests see; all its versions are in memory.
    Activate {
        /// The record.
        record: RolloutRecord,
        /// The share of its first arm at this moment, in basis points.
        candidate_bp: u16,
    },
    /// Set the live candidate's share, in basis points.
    Grow {
        /// More than before.
        candidate_bp: u16,
    },
    /// Free a version that no new request may use; answer with `Freed`.
    Retire {
        /// Which version.
        version: Version,
    },
    /// Answer a caller.
    Reply {
        /// Whom.
        ticket: Ticket,
        /// With what.
        reply: Reply,
    },
}

/// The answer to a proposal.
#[derive(Clone, Debug, PartialEq)]
pub enum Reply {
    /// What is proposed is live already.
    Unchanged,
    /// What is proposed is live.
    Changed {
        /// What was live when the proposal was received.
        previous: Option<Version>,
        /// The version that the caller waited for.
        version: Version,
        /// The record that made it live.
        rollout: RolloutNumber,
        /// The steps taken for it.
        phases: Vec<Phase>,
    },
    /// The target cannot serve; the live rollout stays.
    Refused(LoadError),
    /// The change does not apply to the newest rollout; for people, naming it.
    Impossible(String),
    /// The newest rollout is not the one that the caller expected.
    NotExpected {
        /// The newest record; `None`: there is none yet.
        newest: Option<Box<RolloutRecord>>,
    },
    /// Another writer's record came first.
    Aborted {
        /// Theirs.
        winner: Box<RolloutRecord>,
    },
    /// The record could not be written.
    NotRecorded {
        /// Can the same call succeed later?
        is_retryable: bool,
        /// For people.
        message: String,
    },
    /// Too many proposals are waiting.
    TooMany {
        /// The limit.
        limit: usize,
    },
}
