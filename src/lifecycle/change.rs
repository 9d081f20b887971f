//! The changes that can be proposed to a model's rollout, and their goals.

use hotshelf_registry::{Arm, Ramp, RolloutRecord, Version};

/// A proposed change. Each one that is accepted becomes one new record.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// One version for all traffic, whatever is in progress.
    All(Version),
    /// A candidate enters beside the version that has all traffic.
    Start {
        /// The candidate.
        version: Version,
        /// How it grows.
        ramp: Ramp,
    },
    /// Versions side by side, with shares that stay.
    Test {
        /// 2 to 8.
        arms: Vec<Arm>,
    },
    /// The current candidate follows another ramp from now on.
    Set {
        /// How.
        ramp: Ramp,
    },
    /// The current candidate's share stays.
    Pause,
    /// Its ramp continues.
    Resume,
    /// All traffic goes to the candidate, or to this arm of a test.
    Promote {
        /// Named by people; `None`: the candidate.
        arm: Option<String>,
    },
    /// All traffic goes back to what it had before the candidate or the test.
    Abort,
    /// All traffic goes back to the version that had it before this one.
    Rollback,
}

impl Change {
    /// The imperative used on the command line and in messages.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::All(_) => "reload",
            Self::Start { .. } | Self::Test { .. } => "start",
            Self::Set { .. } => "set",
            Self::Pause => "pause",
            Self::Resume => "resume",
            Self::Promote { .. } => "promote",
            Self::Abort => "abort",
            Self::Rollback => "rollback",
        }
    }
}

/// What a record has to state for a change to be complete.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Goal {
    pub(super) arms: Vec<Arm>,
    pub(super) ramp: Option<Ramp>,
    /// `None`: a fresh one.
    pub(super) salt: Option<String>,
    /// The version whose loading the caller waits for.
    pub(super) version: Version,
}

impl Goal {
    /// Does this record state it already?
    pub(super) fn is_met_by(&self, record: &RolloutRecord) -> bool {
        match self.arms.as_slice() {
            [all] => record.all_to() == Some(all.version),
            arms => splits_like(arms, &record.arms) && record.ramp == self.ramp,
        }
    }

    /// Does it need this version?
    pub(super) fn needs(&self, version: Version) -> bool {
        self.arms.iter().any(|arm| arm.version == version)
    }
}

fn splits_like(arms: &[Arm], others: &[Arm]) -> bool {
    let mut pairs = arms.iter().zip(others);
    arms.len() == others.len() && pairs.all(|(arm, other)| arm.splits_like(other))
}
