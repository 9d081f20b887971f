//! Metrics of the response cache.

use super::families::Families;
use prometheus::{Error, IntCounter, IntCounterVec, PullingGauge};

/// The RPC that an answer belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallKind {
    /// Recommend.
    Recommend = 0,
    /// SimilarProducts.
    Similar = 1,
}

impl CallKind {
    const ALL: [Self; 2] = [Self::Recommend, Self::Similar];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Recommend => "recommend",
            Self::Similar => "similar",
        }
    }
}

/// Hits, misses and evictions by `call`.
pub struct CacheMetrics {
    hits: [IntCounter; 2],
    misses: [IntCounter; 2],
    evictions: [IntCounter; 2],
}

impl CacheMetrics {
    pub(super) fn register(families: &Families<'_>) -> Result<Self, Error> {
        let by_call = |name, help| -> Result<[IntCounter; 2], Error> {
            let family: IntCounterVec = families.counters(name, help, &["call"])?;
            Ok(CallKind::ALL.map(|call| family.with_label_values(&[call.as_str()])))
        };
        Ok(Self {
            hits: by_call(
                "hotshelf_cache_hits_total",
                "Responses served from the response cache.",
            )?,
            misses: by_call(
                "hotshelf_cache_misses_total",
                "Lookups that found no response in the cache, or an expired one.",
            )?,
            evictions: by_call(
                "hotshelf_cache_evictions_total",
                "Responses evicted from the cache to make room, or too large for it.",
            )?,
        })
    }

    /// Counts a hit.
    pub fn hit(&self, call: CallKind) {
        self.hits[call as usize].inc();
    }

    /// Counts a miss.
    pub fn miss(&self, call: CallKind) {
        self.misses[call as usize].inc();
    }

    /// Counts an eviction.
    pub fn evicted(&self, call: CallKind) {
        self.evictions[call as usize].inc();
    }
}

/// A gauge that is read when it is scraped: the cache knows its weight, and updating a gauge at every
/// insertion would lock every shard.
pub(super) fn bytes_gauge(
    families: &Families<'_>,
    bytes: Box<dyn Fn() -> f64 + Send + Sync>,
) -> Result<(), Error> {
    let gauge = PullingGauge::new(
        "hotshelf_cache_bytes",
        "Bytes in the response cache.",
        bytes,
    )?;
    families.0.register(Box::new(gauge))
}
