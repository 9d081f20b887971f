//! Metrics of recents.

use super::families::Families;
use prometheus::{Error, IntCounter};

/// Recents that were kept and used.
pub struct RecentsMetrics {
    /// People evicted for memory.
    pub evicted: IntCounter,
    /// Requests that recents of the request itself steered.
    pub used_request: IntCounter,
    /// Requests that recents of this server's memory steered.
    pub used_memory: IntCounter,
}

impl RecentsMetrics {
    pub(super) fn register(families: &Families<'_>) -> Result<Self, Error> {
        let used = families.counters(
            "hotshelf_recents_used_total",
            "Answers to Recommend whose recent products came from this source.",
            &["source"],
        )?;
        Ok(Self {
            evicted: families.counter(
                "hotshelf_recents_evictions_total",
                "People whose recent products were evicted from memory to make room.",
            )?,
            used_request: used.with_label_values(&["request"]),
            used_memory: used.with_label_values(&["memory"]),
        })
    }
}
