//! Whether one arm's rate of events is above another's, from two growing samples: an
//! anytime-valid, one-sided test of two Bernoulli rates.
//!
//! The test is the e-process of R. J. Turner, A. Ly and P. D. Grünwald, "Generic E-variables for exact
//! sequential k-sample tests that allow for optional stopping", Journal of Statistical Planning and
//! Inference 230 (2024), with its section on null hypotheses that are convex sets.
//!
//! Notation: a *block* is what was counted between two evaluations: n_c people of the candidate and n_b of the
//! base, n = n_c + n_b, each with an event or without. Within a block the probabilities are p_c and p_b;
//! the next block may have others. The null hypothesis is, in every block,
//!
//! ```text
//! H0: p_c ≤ p_b + δ           δ: the tolerated excess rate
//! ```
//!
//! For a guess (θ_c, θ_b) of the true chances with θ_c > θ_b + δ, let (ν_c, ν_b) be the point of H0 that
//! minimises n_c KL(θ_c‖ν_c) + n_b KL(θ_b‖ν_b); it lies on the border, ν_c = ν_b + δ. The block's factor is
//!
//! ```text
//! S = Π over the candidate's people of P_θc(y)/P_νc(y)  ×  Π over the base's of P_θb(y)/P_νb(y)
//! ```
//!
//! Its mean is at most 1 under every (p_c, p_b) of H0, for any n_c and n_b, equal or not: by the inequality
//! of means, ln E[S] / n ≤ ln f with f = n_c/n·E[P_θc/P_νc] + n_b/n·E[P_θb/P_νb]; f is linear in
//! (p_c, p_b) and 1 at (ν_c, ν_b), and there its slope is minus that of the minimised sum, so that f ≤ 1
//! on all of the half-plane H0.
//!
//! Guesses use earlier blocks only, so the product of the factors is a test supermartingale, whatever
//! the shares do and however the common rate drifts from block to block. By Ville's inequality the probability that
//! it ever reaches 1/α is at most α, so the test may be evaluated after every block and stopped at any time.

/// By how much of what is left up to 1 the candidate may be worse; one process for each, and the evidence
/// is their mean, which is an e-process again. Chosen: a factor of some three apart, as a guess that is
/// wrong by less than two loses little.
const LIFTS: [f64; 6] = [0.002, 0.006, 0.02, 0.06, 0.2, 0.6];

/// Base's people that the guess of its rate rests on at most; older ones fade (chosen: minutes of a busy
/// replica, so that the guess follows the day).
const MEMORY_PEOPLE: f64 = 20_000.0;
/// Base's people before the first guess; a guess from fewer may cost more evidence than it finds.
const LEARN_PEOPLE: f64 = 100.0;
/// The part of the evidence that no block can remove. If the common rate jumps, a guess from calmer blocks could
/// cost all evidence; with this floor it costs at most 6.9 of its logarithm. Chosen: an evaluation loses at most
/// 0.001, so an hour of evaluations every 5 s at most 0.7.
const KEPT: f64 = 0.001;
/// Its natural logarithm.
const LN_KEPT: f64 = -6.907_755_278_982_137;
/// A last step of Newton's, as a share of the point, after which the next is below what an f64 can tell.
const CLOSE: f64 = 1e-8;

/// How many people one arm answered, and how many of them had the event.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Outcomes {
    /// Those with the event, at most `people`.
    pub events: u64,
    /// All.
    pub people: u64,
}

impl Outcomes {
    /// From 0 to 1; 0 of nobody.
    pub fn rate(self) -> f64 {
        if self.people == 0 {
            return 0.0;
        }
        self.events as f64 / self.people as f64
    }

    /// Sum of both.
    #[must_use]
    pub fn with(self, more: Self) -> Self {
        Self {
            events: self.events + more.events,
            people: self.people + more.people,
        }
    }
}

/// What both arms did between two looks, or over a longer time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Block {
    /// The arm under suspicion.
    pub candidate: Outcomes,
    /// What it is compared with.
    pub base: Outcomes,
}

/// Chances of an event.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Chances {
    candidate: f64,
    base: f64,
}

/// The growing evidence that the candidate's rate lies above the base's by more than the tolerance.
#[derive(Clone, Debug)]
pub struct Evidence {
    tolerance: f64,
    base: BaseRate,
    /// Of each lift's process.
    ln: [f64; LIFTS.len()],
}

impl Evidence {
    /// None yet. `tolerance` is δ, from 0 to below 1.
    pub fn new(tolerance: f64) -> Self {
        Self {
            tolerance,
            base: BaseRate::default(),
            ln: [0.0; LIFTS.len()],
        }
    }

    /// Takes in one block. Costs some microseconds at most.
    pub fn add(&mut self, block: Block) {
        self.bet(block);
        self.base.learn(block.base);
    }

    /// Takes in a block that proves nothing, because the arms' people in it are not comparable.
    pub fn learn(&mut self, block: Block) {
        self.base.learn(block.base);
    }

    /// Resets the evidence, and keeps what is known of the base's rate.
    pub fn renew(&mut self) {
        self.ln = [0.0; LIFTS.len()];
    }

    /// Natural logarithm of the e-value: 0 to begin with, and of mean e^0 while nothing is wrong.
    pub fn ln(&self) -> f64 {
        let top = self.ln.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let sum: f64 = self.ln.iter().map(|ln| (ln - top).exp()).sum();
        top + (sum / LIFTS.len() as f64).ln()
    }

    fn bet(&mut self, block: Block) {
        let [candidate, base] = [block.candidate, block.base].map(|arm| arm.people as f64);
        // With one arm alone the nearest point of H0 is the guess itself, and the factor 1.
        if candidate == 0.0 || base == 0.0 {
            return;
        }
        let Some(rate) = self.base.guess() else {
            return;
        };
        let tolerated = rate + self.tolerance;
        if tolerated >= 1.0 {
            return;
        }
        let weight = candidate / (candidate + base);
        for (ln, lift) in self.ln.iter_mut().zip(LIFTS) {
            let guess = Chances {
                candidate: tolerated + lift * (1.0 - tolerated),
                base: rate,
            };
            let nearest = nearest_harmless(guess, weight, self.tolerance);
            *ln += kept_back(ln_factor(block, guess, nearest));
        }
    }
}

/// What is known of the base's rate; recent people count more.
#[derive(Clone, Copy, Debug, Default)]
struct BaseRate {
    events: f64,
    people: f64,
}

impl BaseRate {
    fn learn(&mut self, seen: Outcomes) {
        self.events += seen.events as f64;
        self.people += seen.people as f64;
        let fade = (MEMORY_PEOPLE / self.people).min(1.0);
        if self.people > 0.0 {
            self.events *= fade;
            self.people *= fade;
        }
    }

    /// Strictly between 0 and 1, as Jeffreys' prior makes it.
    fn guess(self) -> Option<f64> {
        (self.people >= LEARN_PEOPLE).then(|| (self.events + 0.5) / (self.people + 1.0))
    }
}

/// The point of H0 that is hardest to tell from `guess`; `weight` is the candidate's share of the people.
fn nearest_harmless(guess: Chances, weight: f64, tolerance: f64) -> Chances {
    let (mut low, mut high) = (guess.base, guess.candidate - tolerance);
    let mut base = low + weight * (high - low);
    let at = |base: f64| Chances {
        candidate: base + tolerance,
        base,
    };
    // Without a tolerance that is the answer. With one, the slope of the sum along the border is 0
    // there; it grows from `low` to `high`, so Newton's steps are kept between them.
    if tolerance == 0.0 {
        return at(base);
    }
    for _ in 0..60 {
        let point = at(base);
        let (slope_c, growth_c) = slope(guess.candidate, point.candidate);
        let (slope_b, growth_b) = slope(guess.base, point.base);
        let value = weight * slope_c + (1.0 - weight) * slope_b;
        if value < 0.0 {
            low = base;
        } else {
            high = base;
        }
        let before = base;
        base -= value / (weight * growth_c + (1.0 - weight) * growth_b);
        if base < low || base > high {
            base = f64::midpoint(low, high);
        }
        if (base - before).abs() < CLOSE * base {
            break;
        }
    }
    at(base)
}

/// First and second derivative of KL(θ‖ν) by ν.
fn slope(theta: f64, nu: f64) -> (f64, f64) {
    let rest = 1.0 - nu;
    let first = (nu - theta) / (nu * rest);
    let second = theta / (nu * nu) + (1.0 - theta) / (rest * rest);
    (first, second)
}

/// ln S of a block.
fn ln_factor(block: Block, guess: Chances, nearest: Chances) -> f64 {
    ln_ratio(block.candidate, guess.candidate, nearest.candidate)
        + ln_ratio(block.base, guess.base, nearest.base)
}

/// The factor of a bettor who keeps a little back: bounded below, and of mean at most 1 as before.
fn kept_back(ln_factor: f64) -> f64 {
    if ln_factor.abs() < 1.0 {
        return (KEPT + (1.0 - KEPT) * ln_factor.exp()).ln();
    }
    // Beyond what exp can hold, too.
    let staked = ln_factor + (-KEPT).ln_1p();
    let (more, less) = (staked.max(LN_KEPT), staked.min(LN_KEPT));
    more + (less - more).exp().ln_1p()
}

fn ln_ratio(seen: Outcomes, guess: f64, nearest: f64) -> f64 {
    let others = (seen.people - seen.events) as f64;
    let mut ln = others * ((1.0 - guess) / (1.0 - nearest)).ln();
    if seen.events > 0 {
        ln += seen.events as f64 * (guess / nearest).ln();
    }
    ln
}

#[cfg(test)]
mod tests;
