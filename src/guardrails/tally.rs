//! Counts of people and the outcomes of their calls, per arm, on the request path: no lock, no allocation.
//!
//! People are counted, not calls. A person who calls repeatedly meets the same trouble repeatedly and stays
//! in the same arm, so calls are not independent: one unlucky shopper would look like a bad model. In every
//! epoch a person (the key that splits the traffic) counts once, by the first call, and once more for
//! latency, by the first computed answer; in whichever arm that was, so that a person whom a raised share
//! moves to the candidate is not counted on both sides.

use super::evidence::Outcomes;
use super::{Guardrail, Guardrails};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bits of one set of people: 128 KiB (chosen: of a million people of an epoch on one replica, more
/// than a third find their bit taken and are not counted; whom that meets has nothing to do with arms).
const SET_BITS: usize = 1 << 20;

/// The outcomes of one arm's people.
pub struct Tally {
    counters: Counters,
    met: Arc<Met>,
    slow_after: Duration,
}

/// The tallies of all arms of a rollout with more than one.
pub struct Tallies {
    arms: Vec<Arc<Tally>>,
    met: Arc<Met>,
}

/// The outcome of a call that has an answer.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// Without a product.
    pub is_empty: bool,
    /// With a fallback.
    pub is_fallback: bool,
    /// Time to compute it; `None`: it came from the response cache.
    pub computed_in: Option<Duration>,
}

/// A call in flight. One that ends without [`Pending::answered`] is an error, also by a panic.
pub struct Pending<'a> {
    tally: &'a Tally,
    person: u64,
    is_answered: bool,
}

/// Relaxed everywhere: each number is right by itself, and readers tolerate one call in between.
#[derive(Default)]
struct Counters {
    asked: AtomicU64,
    errors: AtomicU64,
    empty: AtomicU64,
    fallbacks: AtomicU64,
    computed: AtomicU64,
    slow: AtomicU64,
}

/// What a tally holds at one moment: people, since it was made.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Whose first call ended, well or not.
    pub asked: u64,
    /// Whose first call failed.
    pub errors: u64,
    /// Whose first answer was empty.
    pub empty: u64,
    /// Whose first answer had a fallback.
    pub fallbacks: u64,
    /// Who had a computed answer.
    pub computed: u64,
    /// Whose first computed answer was slow.
    pub slow: u64,
}

/// Who has counted in this epoch.
struct Met {
    asked: PeopleSet,
    computed: PeopleSet,
}

/// A set that now and then takes one person for another.
struct PeopleSet(Box<[AtomicU64]>);

impl Tallies {
    /// Empty ones for this many arms. Takes 256 KiB.
    pub fn new(arms: usize, settings: &Guardrails) -> Self {
        Self::with_bits(arms, settings, SET_BITS)
    }

    /// `bits` is a power of two, from 64.
    pub(super) fn with_bits(arms: usize, settings: &Guardrails, bits: usize) -> Self {
        let met = Arc::new(Met {
            asked: PeopleSet::new(bits),
            computed: PeopleSet::new(bits),
        });
        let arm = |_| {
            Arc::new(Tally {
                counters: Counters::default(),
                met: Arc::clone(&met),
                slow_after: settings.slow_after,
            })
        };
        let arms = (0..arms).map(arm).collect();
        Self { arms, met }
    }

    /// By the arms' places in the record.
    pub fn arms(&self) -> &[Arc<Tally>] {
        &self.arms
    }

    /// What all of them hold.
    pub fn counts(&self) -> Vec<Counts> {
        self.arms.iter().map(|tally| tally.counts()).collect()
    }

    /// Starts an epoch: every person can count once more. Calls in flight may count before or after.
    pub fn forget_people(&self) {
        self.met.asked.clear();
        self.met.computed.clear();
    }
}

impl Tally {
    /// A call of the person with this key begins. Costs one hash of the key.
    pub fn begin(&self, key: &str) -> Pending<'_> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Pending {
            tally: self,
            person: hasher.finish(),
            is_answered: false,
        }
    }

    /// What it holds now.
    pub fn counts(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let counters = &self.counters;
        Counts {
            errors: read(&counters.errors),
            empty: read(&counters.empty),
            fallbacks: read(&counters.fallbacks),
            slow: read(&counters.slow),
            asked: read(&counters.asked),
            computed: read(&counters.computed),
        }
    }
}

impl Pending<'_> {
    /// It has an answer.
    pub fn answered(mut self, answer: Answered) {
        self.is_answered = true;
        let counters = &self.tally.counters;
        if self.tally.met.asked.add(self.person) {
            count(&counters.asked, true);
            count(&counters.empty, answer.is_empty);
            count(&counters.fallbacks, answer.is_fallback);
        }
        let Some(took) = answer.computed_in else {
            return;
        };
        if self.tally.met.computed.add(self.person) {
            count(&counters.computed, true);
            count(&counters.slow, took > self.tally.slow_after);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        if !self.is_answered && self.tally.met.asked.add(self.person) {
            count(&self.tally.counters.asked, true);
            count(&self.tally.counters.errors, true);
        }
    }
}

fn count(counter: &AtomicU64, is_so: bool) {
    if is_so {
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

impl Counts {
    /// What came after `earlier`.
    #[must_use]
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            asked: self.asked.saturating_sub(earlier.asked),
            errors: self.errors.saturating_sub(earlier.errors),
            empty: self.empty.saturating_sub(earlier.empty),
            fallbacks: self.fallbacks.saturating_sub(earlier.fallbacks),
            computed: self.computed.saturating_sub(earlier.computed),
            slow: self.slow.saturating_sub(earlier.slow),
        }
    }

    /// The counts of one guardrail: errors among all people, empty answers and fallbacks among those with an
    /// answer, slow ones among those with a computed one.
    #[must_use]
    pub fn outcomes(&self, guardrail: Guardrail) -> Outcomes {
        let answered = self.asked.saturating_sub(self.errors);
        let (events, people) = match guardrail {
            Guardrail::Errors => (self.errors, self.asked),
            Guardrail::Empty => (self.empty, answered),
            Guardrail::Fallbacks => (self.fallbacks, answered),
            Guardrail::Slow => (self.slow, self.computed),
        };
        Outcomes {
            // A call between two of the reads may have counted in one alone.
            events: events.min(people),
            people,
        }
    }
}

impl PeopleSet {
    fn new(bits: usize) -> Self {
        let words = (0..bits / 64).map(|_| AtomicU64::new(0));
        Self(words.collect())
    }

    /// Whether it is new here.
    fn add(&self, person: u64) -> bool {
        let bit = 1_u64 << (person % 64);
        let words = self.0.len() as u64;
        let at = usize::try_from((person / 64) % words).expect("less than a slice is long");
        let word = &self.0[at];
        // Most calls are of people who have counted: a load costs less than a shared write.
        word.load(Ordering::Relaxed) & bit == 0 && word.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    fn clear(&self) {
        for word in &self.0 {
            word.store(0, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests;
