//! Counts the outcomes of people's calls per arm, as requests make them: no lock, no allocation.
//!
//! People are counted, not calls. Calls are not independent: a person with a problem has it in every call and
//! stays in the same arm, so one unlucky shopper would look like a bad
//! model. In every epoch a person (the key that splits the traffic) counts once for errors, once for
//! empty answers and fallbacks, and once for time. The first call that is evidence for it counts,
//! whichever arm answered: a person whom a raised share moves to the candidate is not counted for both
//! arms.
//!
//! What a call is evidence for ([`Scope`]) is decided before it is answered, from the request and from
//! what all arms know, never from one arm's answer.

use super::evidence::Outcomes;
use super::{Guardrail, Guardrails, People};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Bits of one set of people: 128 KiB (chosen: of a million people of an epoch on one replica, more
/// than a third find their bit taken and are not counted; whom that meets has nothing to do with arms).
const SET_BITS: usize = 1 << 20;

/// What a call is evidence for. A request that only some arms can answer, or that itself excludes every
/// product, must not decide between them: any caller can send it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Nothing.
    Nothing,
    /// Errors and time: the arms may well differ in what they find.
    ErrorsAndTime,
    /// Empty answers and fallbacks, too.
    Everything,
}

/// The outcomes of one arm's people.
pub struct Tally {
    counters: Counters,
    met: Arc<Met>,
    settings: TallySettings,
}

#[derive(Clone, Copy)]
struct TallySettings {
    slow_after: Duration,
    people: People,
}

/// The tallies of all arms of a rollout with more than one.
pub struct Tallies {
    arms: Vec<Arc<Tally>>,
    met: Arc<Met>,
}

/// The outcome of a call that was answered.
#[derive(Clone, Copy, Debug)]
pub struct Answered {
    /// It has no product.
    pub is_empty: bool,
    /// A fallback was taken.
    pub is_fallback: bool,
    /// Time to compute it; `None`: it was cached.
    pub computed_in: Option<Duration>,
}

/// A call in progress. One that is dropped without [`Pending::answered`] is an error, as a panic is.
pub struct Pending<'a> {
    tally: &'a Tally,
    person: u64,
    scope: Scope,
    is_answered: bool,
}

/// Relaxed everywhere: each number is right by itself, and readers tolerate one call in between.
#[derive(Default)]
struct Counters {
    asked: AtomicU64,
    errors: AtomicU64,
    judged: AtomicU64,
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
    /// Who had an answer that is evidence for what it holds.
    pub judged: u64,
    /// Whose first such answer was empty.
    pub empty: u64,
    /// Whose first such answer took a fallback.
    pub fallbacks: u64,
    /// Who had a computed answer.
    pub computed: u64,
    /// Whose first computed answer was slow.
    pub slow: u64,
}

/// Who has counted in this epoch.
struct Met {
    asked: PeopleSet,
    judged: PeopleSet,
    computed: PeopleSet,
}

/// A set that now and then takes one person for another.
struct PeopleSet(Box<[AtomicU64]>);

impl Tallies {
    /// Empty ones for this many arms. Takes 384 KiB.
    pub fn new(arms: usize, settings: &Guardrails) -> Self {
        Self::with_bits(arms, settings, SET_BITS)
    }

    /// `bits` is a power of two, from 64.
    pub(super) fn with_bits(arms: usize, settings: &Guardrails, bits: usize) -> Self {
        let met = Arc::new(Met {
            asked: PeopleSet::new(bits),
            judged: PeopleSet::new(bits),
            computed: PeopleSet::new(bits),
        });
        let arm = |_| {
            Arc::new(Tally {
                counters: Counters::default(),
                met: Arc::clone(&met),
                settings: TallySettings {
                    slow_after: settings.slow_after,
                    people: settings.people,
                },
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
        self.met.judged.clear();
        self.met.computed.clear();
    }
}

impl Tally {
    /// Who counts.
    pub fn people(&self) -> People {
        self.settings.people
    }

    /// A call of the person with this key begins; it is evidence for `scope`. Costs one hash of the key.
    pub fn begin(&self, key: &str, scope: Scope) -> Pending<'_> {
        let mut hasher = DefaultHasher::new();
        key.hash(&mut hasher);
        Pending {
            tally: self,
            person: hasher.finish(),
            scope,
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
            judged: read(&counters.judged),
            asked: read(&counters.asked),
            computed: read(&counters.computed),
        }
    }
}

impl Pending<'_> {
    /// It has an answer.
    pub fn answered(mut self, answer: Answered) {
        self.is_answered = true;
        let Tally {
            counters,
            met,
            settings,
        } = self.tally;
        if self.scope == Scope::Nothing {
            return;
        }
        count(&counters.asked, met.asked.add(self.person));
        if self.scope == Scope::Everything && met.judged.add(self.person) {
            count(&counters.judged, true);
            count(&counters.empty, answer.is_empty);
            count(&counters.fallbacks, answer.is_fallback);
        }
        let Some(took) = answer.computed_in else {
            return;
        };
        if met.computed.add(self.person) {
            count(&counters.computed, true);
            count(&counters.slow, took > settings.slow_after);
        }
    }
}

impl Drop for Pending<'_> {
    fn drop(&mut self) {
        let is_error = !self.is_answered && self.scope != Scope::Nothing;
        if is_error && self.tally.met.asked.add(self.person) {
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
            judged: self.judged.saturating_sub(earlier.judged),
            empty: self.empty.saturating_sub(earlier.empty),
            fallbacks: self.fallbacks.saturating_sub(earlier.fallbacks),
            computed: self.computed.saturating_sub(earlier.computed),
            slow: self.slow.saturating_sub(earlier.slow),
        }
    }

    /// As one guardrail sees it: errors among all people, empty answers and fallbacks among those with an
    /// answer that is evidence for them, slow ones among those with a computed one.
    #[must_use]
    pub fn outcomes(&self, guardrail: Guardrail) -> Outcomes {
        let (events, people) = match guardrail {
            Guardrail::Errors => (self.errors, self.asked),
            Guardrail::Empty => (self.empty, self.judged),
            Guardrail::Fallbacks => (self.fallbacks, self.judged),
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
