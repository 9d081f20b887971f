//! Bounds of the log.

use std::time::Duration;

/// Largest block, in bytes: one batch (chosen: 1,000 events of the longest ids are 1.1 MB).
pub(crate) const BLOCK_BYTES_MAX: usize = 4 << 20;
/// Batches that may wait for the disk (chosen: half a second of single events at 1,000 syncs a second).
pub(crate) const QUEUE_MAX: usize = 512;
/// Most bytes written before one sync (chosen: a few milliseconds of a plain disk).
pub(crate) const GROUP_BYTES_MAX: usize = 8 << 20;

/// Bounds that a server sets.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// A segment of this size is sealed. It becomes one object, in one PUT.
    pub segment_bytes: u64,
    /// A segment is sealed this long after its first event.
    pub segment_age: Duration,
    /// Bytes of all segments on disk; beyond it events are refused.
    pub disk_bytes: u64,
    /// Newest ids that are remembered for deduplication. Takes some 25 bytes of memory each.
    pub ids: usize,
}

impl Default for Limits {
    /// Chosen: objects of a few MB each minute; an hour of 1,000 events a second while the store is away.
    fn default() -> Self {
        Self {
            segment_bytes: 16 << 20,
            segment_age: Duration::from_secs(60),
            disk_bytes: 1 << 30,
            ids: 10_000_000,
        }
    }
}
