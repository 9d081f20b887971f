//! A breach in figures, and in words.

use super::evidence::Block;
use super::{Guardrail, Mode};
use std::fmt;

/// One arm was found to be worse than the base by more than is tolerated.
#[derive(Clone, Debug, PartialEq)]
pub struct Breach {
    /// In what.
    pub guardrail: Guardrail,
    /// What it leads to.
    pub mode: Mode,
    /// Which arm, by its place in the record.
    pub arm: usize,
    /// That arm's name.
    pub arm_name: String,
    /// Counts since the epoch began.
    pub counts: Block,
    /// As set.
    pub tolerance: f64,
    /// Natural logarithm of the e-value.
    pub ln_e: f64,
    /// Natural logarithm of what it had to reach.
    pub ln_bound: f64,
}

impl fmt::Display for Breach {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.guardrail {
            Guardrail::Errors => "people met a server error",
            Guardrail::Empty => "people were answered without a product",
            Guardrail::Fallbacks => "people's answers fell back",
            Guardrail::Slow => "people waited beyond the limit for a computed answer",
        };
        let (candidate, base) = (self.counts.candidate, self.counts.base);
        write!(
            f,
            "guardrail {}: {} of {} {what} on {} ({:.2} %), {} of {} on base ({:.2} %); tolerated {:.2} \
             points more; e-value 10^{:.1}, bound 10^{:.1}",
            self.guardrail.as_str(),
            candidate.events,
            candidate.people,
            self.arm_name,
            candidate.rate() * 100.0,
            base.events,
            base.people,
            base.rate() * 100.0,
            self.tolerance * 100.0,
            self.ln_e / std::f64::consts::LN_10,
            self.ln_bound / std::f64::consts::LN_10,
        )
    }
}
