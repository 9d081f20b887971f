//! The response cache: encoded answers, found by everything that decides them.
//!
//! A key is the call, the model, the rollout, arm and version that answer, and the whole canonical
//! request; keys are compared in full. What a retired rollout leaves behind is therefore never found
//! again: it is pushed out by newer answers, and until then it counts towards the bytes that the
//! cache may hold. Computing an answer is cheap, so callers who miss at once all compute.

use crate::metrics::{CallKind, Metrics, Seen};
use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, Lifecycle, OptionsBuilder, Weighter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a usual entry: an answer of ten products, its key, and what surrounds them. Only decides
/// how many shards and ghosts the cache makes.
const USUAL_BYTES: u64 = 1024;

/// What an entry costs beside its key and its message: both handles, the kept answer, the cache's own
/// 21 bytes, and 64 for what the allocator adds to the four blocks.
const ENTRY_BYTES: usize = size_of::<Key>() + size_of::<Arc<Kept>>() + size_of::<Kept>() + 21 + 64;

type Key = Box<[u8]>;

/// An answer as bytes.
#[derive(Debug)]
pub(crate) struct Encoded {
    /// The message, and behind it the field that says that it came from the cache: where a field
    /// stands twice the last one counts, so one encoding serves both.
    message: Bytes,
    /// Where the fresh message ends.
    fresh_bytes: usize,
    /// What is counted whenever it is sent.
    pub(crate) seen: Seen,
}

impl Encoded {
    /// Encodes `answer` once, for now and for the cache. `cached` is an otherwise empty answer whose
    /// cache_hit is true.
    pub(crate) fn new<M: prost::Message>(answer: &M, cached: &M, seen: Seen) -> Self {
        let fresh_bytes = answer.encoded_len();
        let mut message = Vec::with_capacity(fresh_bytes + cached.encoded_len());
        for part in [answer, cached] {
            part.encode(&mut message).expect("a Vec has room");
        }
        Self {
            message: message.into(),
            fresh_bytes,
            seen,
        }
    }

    /// As it is sent when it has just been computed.
    pub(crate) fn fresh(&self) -> Bytes {
        self.message.slice(..self.fresh_bytes)
    }

    /// As it is sent from the cache.
    pub(crate) fn cached(&self) -> Bytes {
        self.message.clone()
    }
}

/// An answer in the cache.
#[derive(Debug)]
pub(crate) struct Kept {
    pub(crate) answer: Encoded,
    expires_at: Instant,
}

/// How much is kept for how long.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Bytes of all entries; 0 = nothing is kept.
    pub bytes_max: u64,
    /// Mean time until an entry expires; each has its own, up to a tenth more or less, so that
    /// answers that were computed together do not expire together.
    pub ttl: Duration,
    /// Of the spread.
    pub seed: u64,
}

/// See the module.
pub struct AnswerCache {
    entries: Cache<Key, Arc<Kept>, Weights, DefaultHashBuilder, Leaving>,
    ttl: Duration,
    spread: AtomicU64,
    metrics: Arc<Metrics>,
}

impl AnswerCache {
    /// An empty cache; `None` where the limits say that nothing is to be kept.
    pub fn new(limits: CacheLimits, metrics: Arc<Metrics>) -> Option<Self> {
        if limits.bytes_max == 0 {
            return None;
        }
        let usual_len = usize::try_from(limits.bytes_max / USUAL_BYTES).unwrap_or(usize::MAX);
        let options = OptionsBuilder::new()
            .weight_capacity(limits.bytes_max)
            .estimated_items_capacity(usual_len.max(1))
            .build()
            .expect("both sizes are given");
        let hashes = DefaultHashBuilder::default();
        Some(Self {
            entries: Cache::with_options(options, Weights, hashes, Leaving),
            ttl: limits.ttl,
            spread: AtomicU64::new(limits.seed),
            metrics,
        })
    }

    /// The answer under this key, unless it has expired by `now`.
    pub(crate) fn find(&self, call: CallKind, key: &[u8], now: Instant) -> Option<Arc<Kept>> {
        let kept = self.entries.get(key).filter(|kept| now < kept.expires_at);
        match &kept {
            Some(_) => self.metrics.cache.hit(call),
            None => self.metrics.cache.miss(call),
        }
        kept
    }

    /// Keeps an answer that was computed at `now`, in the place of an expired one if there is one.
    pub(crate) fn keep(&self, key: &[u8], answer: Encoded, now: Instant) {
        let kept = Kept {
            answer,
            expires_at: now + self.spread_ttl(),
        };
        let mut evicted = Vec::new();
        self.entries
            .insert_with_lifecycle(key.into(), Arc::new(kept), &mut evicted);
        // Freed here, after the shard's lock.
        for (_, kept) in evicted {
            self.metrics.cache.evicted(kept.answer.seen.call());
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// The time to live, a tenth more or less.
    fn spread_ttl(&self) -> Duration {
        // SplitMix64 (Steele, Lea, Flood 2014): one addition between threads, and no lock.
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.spread.fetch_add(GAMMA, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = (mixed >> 32) as f64 / f64::from(u32::MAX);
        self.ttl.mul_f64(0.9 + 0.2 * unit)
    }
}

/// Weighs entries by the bytes that they hold.
#[derive(Clone)]
struct Weights;

impl Weighter<Key, Arc<Kept>> for Weights {
    fn weight(&self, key: &Key, kept: &Arc<Kept>) -> u64 {
        (key.len() + kept.answer.message.len() + ENTRY_BYTES) as u64
    }
}

/// Collects what makes room.
#[derive(Clone)]
struct Leaving;

impl Lifecycle<Key, Arc<Kept>> for Leaving {
    type RequestState = Vec<(Key, Arc<Kept>)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: Key, kept: Arc<Kept>) {
        evicted.push((key, kept));
    }
}

#[cfg(test)]
mod tests;
