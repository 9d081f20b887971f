//! What may be asked of a model's rollout, and what it comes to.

use hotshelf_registry::{Arm, Ramp, RolloutRecord, Version};

/// A caller's wish. Each one that can be granted becomes one new record.
#[derive(Clone, Debug, PartialEq)]
pub enum Change {
    /// One version for everybody, whatever is under way.
    All(Version),
    /// A candidate enters beside the version that everybody has.
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
    /// The candidate under way grows otherwise from now on.
    Set {
        /// How.
        ramp: Ramp,
    },
    /// The candidate under way keeps its share.
    Pause,
    /// It grows on.
    Resume,
    /// Everybody gets the candidate, or this arm of a test.
    Promote {
        /// Named by people; `None`: the candidate.
        arm: Option<String>,
    },
    /// Everybody gets what they had before the candidate or the test.
    Abort,
    /// Everybody gets the version that everybody had before this one.
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

/// What a record has to say for a change to be done.
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
    /// Does this record say it already?
    pub(super) fn is_met_by(&self, record: &RolloutRecord) -> bool {
        match self.arms.as_slice() {
            [all] => record.all_to() == Some(all.version),
            arms => record.arms == arms && record.ramp == self.ramp,
        }
    }

    /// Does it take this version?
    pub(super) fn needs(&self, version: Version) -> bool {
        self.arms.iter().any(|arm| arm.version == version)
    }
}
