//! The response cache: encoded responses, found by everything that decides them.
//!
//! `super::key` writes the keys; they are compared in full. A rollout's number is part of the key, so
//! responses of a retired rollout are never found again: newer ones evict them, and until then they
//! count towards the cache's bytes. Computing an answer is cheap, so concurrent misses all compute.

use crate::evicted::Evicted;
use crate::metrics::{AnswerSummary, CallKind, Metrics};
use bytes::Bytes;
use quick_cache::sync::Cache;
use quick_cache::{DefaultHashBuilder, OptionsBuilder, Weighter};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

/// Bytes of a usual entry: an answer of ten products, its key, and their overhead. Only decides how
/// many shards and ghosts the cache makes.
const USUAL_BYTES: u64 = 1024;

/// What an entry costs beside its key and its message: both handles, the cached response, the cache's
/// own 21 bytes, and 64 for what the allocator adds to the four blocks.
const ENTRY_BYTES: usize =
    size_of::<Key>() + size_of::<Arc<CachedResponse>>() + size_of::<CachedResponse>() + 21 + 64;

type Key = Box<[u8]>;

/// A response in the cache.
#[derive(Debug)]
pub(super) struct CachedResponse {
    /// As it is sent.
    pub(super) message: Bytes,
    /// What is counted each time that it is sent.
    pub(super) summary: AnswerSummary,
    expires_at: Instant,
}

/// How much is cached, and for how long.
#[derive(Clone, Copy, Debug)]
pub struct CacheLimits {
    /// Bytes of all entries; 0 disables the cache.
    pub bytes_max: u64,
    /// Mean time to live. Each entry has its own, up to a tenth more or less, so that responses that
    /// were computed together do not expire together.
    pub ttl: Duration,
    /// Seeds that jitter.
    pub seed: u64,
}

/// The cache; see the module.
pub struct ResponseCache {
    entries: Cache<Key, Arc<CachedResponse>, Weights, DefaultHashBuilder, Evicted>,
    ttl: Duration,
    jitter: AtomicU64,
    metrics: Arc<Metrics>,
}

impl ResponseCache {
    /// An empty cache; `None` where the limits disable it.
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
            entries: Cache::with_options(options, Weights, hashes, Evicted),
            ttl: limits.ttl,
            jitter: AtomicU64::new(limits.seed),
            metrics,
        })
    }

    /// The response under this key, unless it has expired by `now`.
    pub(super) fn find(
        &self,
        call: CallKind,
        key: &[u8],
        now: Instant,
    ) -> Option<Arc<CachedResponse>> {
        let found = self.entries.get(key);
        let found = found.filter(|cached| now < cached.expires_at);
        match &found {
            Some(_) => self.metrics.cache.hit(call),
            None => self.metrics.cache.miss(call),
        }
        found
    }

    /// Stores a response that was computed at `now`, and replaces an expired one.
    pub(super) fn insert(
        &self,
        key: &[u8],
        (message, summary): (Bytes, AnswerSummary),
        now: Instant,
    ) {
        let cached = CachedResponse {
            message,
            summary,
            expires_at: now + self.jittered_ttl(),
        };
        let mut evicted = Vec::new();
        self.entries
            .insert_with_lifecycle(key.into(), Arc::new(cached), &mut evicted);
        // Freed here, after the shard's lock.
        for (_, cached) in evicted {
            self.metrics.cache.evicted(cached.summary.call());
        }
    }

    /// Bytes that it holds.
    pub fn bytes(&self) -> u64 {
        self.entries.weight()
    }

    /// The time to live, a tenth more or less.
    fn jittered_ttl(&self) -> Duration {
        // SplitMix64 (Steele, Lea, Flood 2014): one addition between threads, and no lock.
        const GAMMA: u64 = 0x9e37_79b9_7f4a_7c15;
        let mut mixed = self.jitter.fetch_add(GAMMA, Ordering::Relaxed);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let unit = (mixed >> 32) as f64 / f64::from(u32::MAX);
        self.ttl.mul_f64(0.9 + 0.2 * unit)
    }
}

/// Weighs entries by their bytes.
#[derive(Clone)]
struct Weights;

impl Weighter<Key, Arc<CachedResponse>> for Weights {
    fn weight(&self, key: &Key, cached: &Arc<CachedResponse>) -> u64 {
        (key.len() + cached.message.len() + ENTRY_BYTES) as u64
    }
}

#[cfg(test)]
mod tests;
