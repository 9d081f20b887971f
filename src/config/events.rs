//! The settings of events, parsed.

use super::layers::{Layers, Problems, Resolved};
use crate::events::{EventTypes, EventsConfig};
use crate::recents::RecentsLimits;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Below the cache folder where `events_dir` names none; no model's folder starts with a dot.
const FOLDER: &str = ".events";

/// What checked settings say about events.
pub(super) fn events(layers: &Layers, resolved: &Resolved) -> Result<EventsConfig, Problems> {
    let url = resolved.url("events_url");
    let folder = match resolved.text("events_dir") {
        "" => Path::new(resolved.text("cache_dir")).join(FOLDER),
        folder => PathBuf::from(folder),
    };
    Ok(EventsConfig {
        s3: layers.s3("events_url", &url)?,
        url,
        folder,
        segment_age: Duration::from_millis(resolved.number("events_segment_age_ms")),
        disk_bytes_max: resolved.number("events_disk_bytes_max"),
        recents: (resolved.text("recents") == "memory").then(|| RecentsLimits {
            bytes_max: resolved.number("recents_bytes_max"),
            ttl: Duration::from_millis(resolved.number("recents_ttl_ms")),
        }),
        types: EventTypes::parse(resolved.text("event_types"))
            .expect("resolve() checked the types"),
    })
}
