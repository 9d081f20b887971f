//! Recents: the products that a person was last seen with, from events as they come.
//!
//! RecordEvents writes them before it answers; resolve reads them before the cache's key is made, so that one
//! click changes the next answer. They lie in this server's memory and are its alone: behind a balancer a
//! person's next request may meet a server that does not know them. A restart forgets them.

mod person;

pub use person::{Person, RecentProduct};

use crate::evicted::Evicted;
use crate::metrics::RecentsMetrics;
use person::PersonKey;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::hash::BuildHasher;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// Bytes of a usual person: five products, and their overhead. Only decides how many shards are made.
const USUAL_BYTES: u64 = 512;
/// Locks of writers, so that two events of one person do not overwrite each other (chosen: more than cores).
const WRITERS: usize = 64;

/// How much is kept, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct RecentsLimits {
    /// Bytes of all people.
    pub bytes_max: u64,
    /// A person is forgotten this long after their last event.
    pub ttl: Duration,
}

/// The recents of people, in memory.
pub struct Recents {
    people: Cache<PersonKey, Arc<Person>, Weights, DefaultHashBuilder, Evicted>,
    writers: [Mutex<()>; WRITERS],
    hashes: DefaultHashBuilder,
    ttl_us: i64,
    metrics: Arc<RecentsMetrics>,
}

/// One event, as far as recents care.
#[derive(Clone, Copy, Debug)]
pub struct RecentEvent<'a> {
    /// Empty: the session is the person.
    pub user_id: &'a str,
    /// Used where there is no user id.
    pub session_id: &'a str,
    /// The product.
    pub product_id: &'a str,
    /// Microseconds since 1970.
    pub occurred_at: i64,
    /// Whether the person has it now, and did not only look at it.
    pub is_bought: bool,
}

impl Recents {
    /// Nobody yet.
    pub fn new(limits: RecentsLimits, metrics: Arc<RecentsMetrics>) -> Self {
        let usual_len = usize::try_from(limits.bytes_max / USUAL_BYTES).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .weight_capacity(limits.bytes_max)
            .estimated_items_capacity(usual_len.max(1))
            .build()
            .expect("both sizes are given");
        let hashes = DefaultHashBuilder::default();
        Self {
            people: Cache::with_options(options, Weights, hashes.clone(), Evicted),
            writers: std::array::from_fn(|_| Mutex::default()),
            hashes,
            ttl_us: i64::try_from(limits.ttl.as_micros()).unwrap_or(i64::MAX),
            metrics,
        }
    }

    /// Takes an event at `now`, in microseconds since 1970. The same event again changes nothing.
    pub fn record(&self, event: &RecentEvent<'_>, now: i64) {
        let Some(key) = PersonKey::of(event.user_id, event.session_id) else {
            return;
        };
        let writer = self.hashes.hash_one(&key) as usize % WRITERS;
        let mut evicted = Vec::new();
        {
            // What this lock guards is written in one step, so that a poisoned one is as good.
            let writer = self.writers[writer].lock();
            let _writer = writer.unwrap_or_else(PoisonError::into_inner);
            let known = self.people.get(&key);
            let known = known.filter(|person| !self.is_expired(person, now));
            let person = Person::with(known.as_deref(), event, now);
            self.people
                .insert_with_lifecycle(key.clone(), Arc::new(person), &mut evicted);
        }
        // The entry that this one replaces is handed out too.
        let evicted = evicted.iter().filter(|(other, _)| *other != key);
        self.metrics.evicted.inc_by(evicted.count() as u64);
    }

    /// What this person was last seen with, at `now`.
    pub fn of(&self, user_id: &str, session_id: &str, now: i64) -> Option<Arc<Person>> {
        let key = PersonKey::of(user_id, session_id)?;
        let person = self.people.get(&key);
        person.filter(|person| !self.is_expired(person, now))
    }

    /// Forgets a user; returns whether there was something to forget.
    pub fn forget(&self, user_id: &str) -> bool {
        let key = PersonKey::of(user_id, "");
        key.is_some_and(|key| self.people.remove(&key).is_some())
    }

    /// People, expired ones included until they are evicted.
    pub fn len(&self) -> usize {
        self.people.len()
    }

    /// Whether nobody is known.
    pub fn is_empty(&self) -> bool {
        self.people.is_empty()
    }

    /// Bytes of all people.
    pub fn bytes(&self) -> u64 {
        self.people.weight()
    }

    fn is_expired(&self, person: &Person, now: i64) -> bool {
        now.saturating_sub(person.written_at) > self.ttl_us
    }
}

/// Weighs people by their bytes.
#[derive(Clone)]
struct Weights;

impl Weighter<PersonKey, Arc<Person>> for Weights {
    fn weight(&self, key: &PersonKey, person: &Arc<Person>) -> u64 {
        (key.bytes() + person.bytes()) as u64
    }
}

#[cfg(test)]
mod tests;
