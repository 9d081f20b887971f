//! The response cache.

use super::families::Families;
use prometheus::{Error, IntCounter, IntCounterVec, PullingGauge};

/// Which call an answer belongs to.
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

/// Hits, misses and evictions by `call`, and the bytes held.
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
                "Answers that came from the response cache.",
            )?,
            misses: by_call(
                "hotshelf_cache_misses_total",
                "Answers that were not in the response cache, or had expired there.",
            )?,
            evictions: by_call(
                "hotshelf_cache_evictions_total",
                "Answers that made room for others in the response cache, or were too large for it.",
            )?,
        })
    }

    /// One answer came from the cache.
    pub fn hit(&self, call: CallKind) {
        self.hits[call as usize].inc();
    }

    /// One was not there.
    pub fn miss(&self, call: CallKind) {
        self.misses[call as usize].inc();
    }

    /// One made room.
    pub fn evicted(&self, call: CallKind) {
        self.evictions[call as usize].inc();
    }
}

/// A gauge that asks when it is scraped: the cache knows its weight, and telling it at every
/// insertion would cost a lock of every shard.
pub(super) fn bytes_gauge(
    families: &Families<'_>,
    bytes: Box<dyn Fn() -> f64 + Send + Sync>,
) -> Result<(), Error> {
    let gauge = PullingGauge::new(
        "hotshelf_cache_bytes",
        "Bytes that the response cache holds.",
        bytes,
    )?;
    families.0.register(Box::new(gauge))
}
