//! What the manager is told, and what it asks to be done.

use super::change::Change;
use super::state::{LoadError, LoadedInfo, Phase, VersionState};
use hotshelf_registry::{RolloutDraft, RolloutNumber, RolloutRecord, Version};
use std::time::Duration;

/// Identifies one caller who wants a rollout until it is answered.
pub(super) type Ticket = u64;

/// A caller's wish, signed.
#[derive(Clone, Debug, PartialEq)]
pub struct Proposal {
    /// Whom to answer.
    pub ticket: Ticket,
    /// What is wanted.
    pub change: Change,
    /// What the caller believes the newest rollout to be; 0 = none. `None`: whatever is newest.
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
    /// The cache alone, by the manifests that are remembered there. The store is not asked.
    Cache,
}

/// What was live here before, as it is remembered on disk.
#[derive(Clone, Debug, PartialEq)]
pub struct Remembered {
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
    /// A version of it cannot be had any more; nothing was written.
    Refused(LoadError),
    /// The store did not take it; the caller's arguments were fine.
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
    /// The registry's rollout chain, newest first. An empty chain is no order to unload.
    Desired {
        /// Every record's parent is the next one.
        chain: Vec<RolloutRecord>,
    },
    /// The registry could not be read.
    Unreadable {
        /// For people.
        why: String,
    },
    /// The disk was asked what was live here before.
    Recalled {
        /// `None`: nothing. An error says why what is there cannot be used.
        outcome: Result<Option<Remembered>, String>,
    },
    /// The attempt to write down what is live is over.
    Kept {
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
    /// Someone wants a rollout.
    Propose(Proposal),
    /// The attempt to write a record is over.
    Recorded {
        /// How it ended.
        outcome: RecordOutcome,
        /// How long it took.
        took: Duration,
    },
    /// Some version of this process gave memory back.
    MemoryFreed,
    /// Whether some version of this process does not fit into what is left of the memory budget.
    Shortage {
        /// False: one has found room since.
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
    /// Bring a version up; answer with `Progress` and `Loaded`.
    Load {
        /// Which version.
        version: Version,
        /// Something is live, so go gently.
        is_paced: bool,
        /// From where.
        supply: Supply,
    },
    /// Ask the disk what was live here before; answer with `Recalled`.
    Recall,
    /// Write down that this record is live; answer with `Kept`.
    Keep {
        /// The live record.
        record: RolloutRecord,
    },
    /// Write this rollout record; answer with `Recorded`. There is one at a time.
    Record {
        /// What to write.
        draft: RolloutDraft,
        /// The newest record that the decision was made over; a newer one means `Lost`.
        over: Option<RolloutNumber>,
    },
    /// Make this record what requests see; all its versions are in memory.
    Activate {
        /// The record.
        record: RolloutRecord,
        /// The share of its first arm at this moment, in basis points.
        candidate_bp: u16,
    },
    /// Give the live candidate this share, in basis points.
    Grow {
        /// More than before.
        candidate_bp: u16,
    },
    /// Free a version that no request may begin with any more; answer with `Freed`.
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
    /// What is wanted is live already.
    Unchanged,
    /// What is wanted is live.
    Changed {
        /// What was live when the proposal came.
        previous: Option<Version>,
        /// The version that the caller waited for.
        version: Version,
        /// The record that made it live.
        rollout: RolloutNumber,
        /// What was done for it.
        phases: Vec<Phase>,
    },
    /// The target cannot serve; what was live still is.
    Refused(LoadError),
    /// The change makes no sense over the newest rollout; for people, naming it.
    Impossible(String),
    /// A rollout that the caller did not name is under way or is the newest.
    NotExpected {
        /// The newest record; `None`: there is none yet.
        newest: Option<Box<RolloutRecord>>,
    },
    /// Someone else's record came first.
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
    /// Too many proposals wait already.
    TooMany {
        /// The limit.
        limit: usize,
    },
}
