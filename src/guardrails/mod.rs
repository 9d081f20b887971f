//! Guardrails: does a candidate do worse than the base? Tested on what both answered.
//!
//! ```text
//! request ─▶ Tally (one per arm: people, and the outcomes of their calls)
//!               │ read every few seconds
//!               ▼
//!            Judge ─▶ Evidence (one per guardrail and candidate arm) ─▶ Breach, or nothing
//! ```
//!
//! Knows no store, no clock, no thread and no wire: counts and durations come in, breaches go out. The
//! lifecycle acts on a breach.

mod breach;
mod evidence;
mod judge;
mod tally;

#[cfg(test)]
pub(crate) mod simulation;

pub use breach::Breach;
pub use evidence::{Block, Evidence, Outcomes};
pub use judge::{Judge, Look};
pub use tally::{Answered, Counts, Pending, Scope, Tallies, Tally};

use std::time::Duration;

/// Upper bound of the false alarm rate of a whole ramp, over all guardrails, arms and replicas (chosen; see
/// docs/guardrails.md).
pub const ALPHA: f64 = 0.01;

/// What a guardrail counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Guardrail {
    /// People whose call failed by a server error.
    Errors,
    /// People whose answer was empty.
    Empty,
    /// People whose answer had a fallback.
    Fallbacks,
    /// People whose answer was computed, and took longer than a limit.
    Slow,
}

impl Guardrail {
    /// All of them, in the order of their numbers.
    pub const ALL: [Self; 4] = [Self::Errors, Self::Empty, Self::Fallbacks, Self::Slow];

    /// Label and setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Errors => "errors",
            Self::Empty => "empty",
            Self::Fallbacks => "fallbacks",
            Self::Slow => "slow",
        }
    }
}

/// What a breach leads to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Not evaluated.
    Off,
    /// It is reported.
    Warn,
    /// It is reported, and the candidate is aborted.
    Abort,
}

impl Mode {
    /// Label and setting.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Warn => "warn",
            Self::Abort => "abort",
        }
    }
}

/// One guardrail's setting.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rule {
    /// What a breach leads to.
    pub mode: Mode,
    /// By how much the candidate's rate may lie above the base's, as a share of people: 0.01 = one in a
    /// hundred more.
    pub tolerance: f64,
}

/// Who counts as evidence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum People {
    /// Everybody: callers are trusted not to invent people.
    All,
    /// People whom every arm's version knows by their user id. An invented id is no evidence.
    Known,
}

/// All settings.
#[derive(Clone, Debug, PartialEq)]
pub struct Guardrails {
    /// By [`Guardrail`], in its order.
    pub rules: [Rule; 4],
    /// Who counts.
    pub people: People,
    /// A computed answer that takes longer is slow.
    pub slow_after: Duration,
    /// No breach before each side has this many people.
    pub people_min: u64,
    /// Replicas, including restarted ones, among which the false alarms are divided.
    pub replicas_max: u32,
    /// Between two evaluations of the tallies.
    pub interval: Duration,
}

impl Guardrails {
    /// The setting of one.
    pub fn rule(&self, guardrail: Guardrail) -> Rule {
        self.rules[guardrail as usize]
    }

    /// The guardrails that are not off.
    pub fn on(&self) -> impl Iterator<Item = (Guardrail, Rule)> + '_ {
        let all = Guardrail::ALL.into_iter().zip(self.rules);
        all.filter(|(_, rule)| rule.mode != Mode::Off)
    }
}
