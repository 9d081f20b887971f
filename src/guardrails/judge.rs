//! Evaluates tallies and decides: blocks, epochs, and the bound that evidence has to reach.
//!
//! A *block* is what was counted between two evaluations. Rates may change from one block to the next, as between
//! day and night, if they change for both arms alike. A block within which the shares changed is ignored,
//! because people reached the arms at different times.
//!
//! An *epoch* is a period in which a person counts once. A new one begins after an hour, and when a
//! candidate's share has doubled, so that the people it gained count. Evidence is reset then:
//! the same people may have the same problem again, so the evidence of two epochs must not be multiplied.
//! Instead, epoch k = 1, 2, … of an arm has α / (k (k + 1)) of false alarms to spend, which add up to α.
//! One arm's guardrail on one replica has α = 0.01 / (enabled guardrails × arms other than the base ×
//! replicas_max).

use super::breach::Breach;
use super::evidence::{Block, Evidence};
use super::tally::Counts;
use super::{ALPHA, Guardrail, Guardrails, Rule};
use std::time::Duration;

/// Longest epoch (chosen: long enough to count most people of a shop's evening, short enough to detect a
/// candidate that degrades after hours).
const EPOCH_MAX: Duration = Duration::from_secs(3600);

/// The input of one evaluation, by the arms' positions in the record.
#[derive(Clone, Copy, Debug)]
pub struct Look<'a> {
    /// On any clock that does not go backwards.
    pub now: Duration,
    /// Basis points.
    pub shares_bp: &'a [u16],
    /// What the tallies hold.
    pub counts: &'a [Counts],
}

/// Watches one candidate or test while its arms stay the same.
#[derive(Clone, Debug)]
pub struct Judge {
    settings: Guardrails,
    arms: Vec<String>,
    base: usize,
    trials: Vec<Trial>,
    epoch: Epoch,
    last_shares_bp: Vec<u16>,
    last_counts: Vec<Counts>,
    breaches: Vec<Breach>,
}

/// One guardrail of one arm.
#[derive(Clone, Debug)]
struct Trial {
    arm: usize,
    guardrail: Guardrail,
    rule: Rule,
    evidence: Evidence,
    /// Of this epoch.
    counts: Block,
    is_breached: bool,
}

#[derive(Clone, Debug)]
struct Epoch {
    /// From 1.
    number: u32,
    began: Duration,
    shares_bp: Vec<u16>,
}

impl Judge {
    /// Begins with the first epoch. The arm named `base` is what all others are compared with; `None`
    /// where there is none or no other one, or where all guardrails are off.
    pub fn new(settings: Guardrails, arms: Vec<String>, first: Look<'_>) -> Option<Self> {
        let base = arms.iter().position(|name| name == "base")?;
        let others = (0..arms.len()).filter(|arm| *arm != base);
        let trials = others.flat_map(|arm| {
            let trial = move |(guardrail, rule): (Guardrail, Rule)| Trial {
                arm,
                guardrail,
                rule,
                evidence: Evidence::new(rule.tolerance),
                counts: Block::default(),
                is_breached: false,
            };
            settings.on().map(trial)
        });
        let trials: Vec<Trial> = trials.collect();
        if trials.is_empty() {
            return None;
        }
        Some(Self {
            arms,
            base,
            trials,
            epoch: Epoch {
                number: 1,
                began: first.now,
                shares_bp: first.shares_bp.to_vec(),
            },
            last_shares_bp: first.shares_bp.to_vec(),
            last_counts: first.counts.to_vec(),
            breaches: Vec::new(),
            settings,
        })
    }

    /// Takes in what came since the last look. Returns whether a new epoch is due: then the tallies have
    /// to forget people, and [`Judge::renew`] to be told.
    pub fn look(&mut self, look: Look<'_>) -> bool {
        let is_comparable = look.shares_bp == self.last_shares_bp;
        let ln_bound = self.ln_bound();
        let blocks = look.counts.iter().zip(&self.last_counts);
        let blocks: Vec<Counts> = blocks.map(|(now, before)| now.since(before)).collect();
        for trial in &mut self.trials {
            let of = |arm: usize| blocks[arm].outcomes(trial.guardrail);
            let block = Block {
                candidate: of(trial.arm),
                base: of(self.base),
            };
            if is_comparable {
                trial.take(block);
            } else {
                trial.evidence.learn(block);
            }
            if trial.is_found(ln_bound, self.settings.people_min) {
                trial.is_breached = true;
                let name = &self.arms[trial.arm];
                self.breaches.push(trial.breach(name, ln_bound));
            }
        }
        self.last_shares_bp = look.shares_bp.to_vec();
        self.last_counts = look.counts.to_vec();
        self.is_epoch_over(look)
    }

    /// Begins a new epoch; `counts` were read after the tallies forgot people.
    pub fn renew(&mut self, first: Look<'_>) {
        self.epoch = Epoch {
            number: self.epoch.number + 1,
            began: first.now,
            shares_bp: first.shares_bp.to_vec(),
        };
        self.last_shares_bp = first.shares_bp.to_vec();
        self.last_counts = first.counts.to_vec();
        for trial in &mut self.trials {
            trial.evidence.renew();
            trial.counts = Block::default();
        }
    }

    /// All so far, oldest first; each guardrail of each arm once.
    pub fn breaches(&self) -> &[Breach] {
        &self.breaches
    }

    /// Natural logarithm of what evidence has to reach in this epoch.
    pub fn ln_bound(&self) -> f64 {
        let tests = self.trials.len() as f64 * f64::from(self.settings.replicas_max);
        let epoch = f64::from(self.epoch.number);
        (tests * epoch * (epoch + 1.0) / ALPHA).ln()
    }

    /// How near each guardrail of each arm is to a breach in this epoch: 0 = nothing speaks against the
    /// arm, 1 = as much as is needed.
    pub fn nearness(&self) -> impl Iterator<Item = (usize, Guardrail, f64)> + '_ {
        let bound = self.ln_bound();
        let one = move |trial: &Trial| {
            let near = (trial.evidence.ln() / bound).clamp(0.0, 1.0);
            (trial.arm, trial.guardrail, near)
        };
        self.trials.iter().map(one)
    }

    fn is_epoch_over(&self, look: Look<'_>) -> bool {
        let is_old = look.now.saturating_sub(self.epoch.began) >= EPOCH_MAX;
        let mut shares = look.shares_bp.iter().zip(&self.epoch.shares_bp).enumerate();
        let has_doubled = |(arm, (now, then)): (usize, (&u16, &u16))| {
            arm != self.base && *now > 0 && u32::from(*now) >= 2 * u32::from(*then)
        };
        is_old || shares.any(has_doubled)
    }
}

impl Trial {
    fn take(&mut self, block: Block) {
        self.evidence.add(block);
        self.counts = Block {
            candidate: self.counts.candidate.with(block.candidate),
            base: self.counts.base.with(block.base),
        };
    }

    fn is_found(&self, ln_bound: f64, people_min: u64) -> bool {
        let people = self.counts.candidate.people.min(self.counts.base.people);
        !self.is_breached && people >= people_min && self.evidence.ln() >= ln_bound
    }

    fn breach(&self, arm_name: &str, ln_bound: f64) -> Breach {
        Breach {
            guardrail: self.guardrail,
            mode: self.rule.mode,
            arm: self.arm,
            arm_name: arm_name.to_owned(),
            counts: self.counts,
            tolerance: self.rule.tolerance,
            ln_e: self.evidence.ln(),
            ln_bound,
        }
    }
}

#[cfg(test)]
mod tests;
