//! What the settings say about events.

use super::types::EventTypes;
use crate::recents::RecentsLimits;
use hotshelf_registry::S3Options;
use std::path::PathBuf;
use std::time::Duration;

/// Longest upload at the end of a drain (chosen: a hundred segments on a plain link; what is left stays on disk
/// for the next start).
pub const FINAL_UPLOAD_MAX: Duration = Duration::from_secs(10);

/// Parsed settings; an empty `url` means that this server takes no events.
#[derive(Clone, Debug)]
pub struct EventsConfig {
    /// Root of the Parquet objects.
    pub url: String,
    /// How its bucket is reached.
    pub s3: S3Options,
    /// Where segments lie.
    pub folder: PathBuf,
    /// A segment is uploaded this long after its first event.
    pub segment_age: Duration,
    /// Bytes of segments on disk beyond which events are refused.
    pub disk_bytes_max: u64,
    /// How many recents are kept in memory; `None`: none.
    pub recents: Option<RecentsLimits>,
    /// The types that the shop has.
    pub types: EventTypes,
}

impl EventsConfig {
    /// Whether this server takes events.
    pub fn is_on(&self) -> bool {
        !self.url.is_empty()
    }
}
