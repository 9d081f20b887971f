//! Opens the event log of a server.

use super::config::EventsConfig;
use super::record::Events;
use super::status::UploadState;
use super::upload::UploadEvents;
use crate::lifecycle::Models;
use crate::metrics::{EventMetrics, RecentsMetrics};
use crate::recents::Recents;
use hotshelf_event_log::{EventLog, Limits, Uploader};
use hotshelf_registry::open_store;
use std::sync::Arc;

/// Why a server cannot take events.
#[derive(Debug, thiserror::Error)]
pub enum EventsError {
    /// The root is no store.
    #[error("events_url")]
    Store(#[source] hotshelf_registry::Error),
    /// The folder cannot be used.
    #[error("events_dir")]
    Log(#[source] hotshelf_event_log::Error),
}

/// What takes events, and what uploads them.
pub struct OpenEvents {
    /// For the edge.
    pub events: Arc<Events>,
    /// For the data path.
    pub recents: Option<Arc<Recents>>,
    /// For the supervisor, and for the end of the drain.
    pub upload: UploadEvents,
}

impl OpenEvents {
    /// Opens folder and store; `None` where no `events_url` is set. Makes no request to the store. BLOCKS on
    /// the folder: after a long run it reads 80 MB of event ids.
    ///
    /// # Errors
    /// See [`EventsError`].
    pub fn open(
        config: &EventsConfig,
        replica: &str,
        models: &Arc<Models>,
        (metrics, recents_metrics): (&Arc<EventMetrics>, &Arc<RecentsMetrics>),
    ) -> Result<Option<Self>, EventsError> {
        if !config.is_on() {
            return Ok(None);
        }
        let (store, root) = open_store(&config.url, &config.s3).map_err(EventsError::Store)?;
        let limits = Limits {
            segment_age: config.segment_age,
            disk_bytes: config.disk_bytes_max,
            // A limit below the usual size would be reached before the first segment is sealed.
            segment_bytes: Limits::default()
                .segment_bytes
                .min(config.disk_bytes_max / 4),
            ..Limits::default()
        };
        let (log, opened) = EventLog::open(&config.folder, limits).map_err(EventsError::Log)?;
        metrics.torn_bytes.inc_by(opened.torn_bytes);
        if opened.segments > 0 || opened.torn_bytes > 0 {
            tracing::info!(
                segments = opened.segments,
                events = opened.events,
                torn_bytes = opened.torn_bytes,
                "found events of an earlier run"
            );
        }
        let recents = config.recents;
        let recents = recents.map(|limits| Recents::new(limits, Arc::clone(recents_metrics)));
        let recents = recents.map(Arc::new);
        let uploads = Arc::new(UploadState::new(&config.url));
        let names = config.types.names().iter();
        let events = Arc::new(Events {
            accepted: names.map(|name| metrics.accepted(name)).collect(),
            types: config.types.clone(),
            models: Arc::clone(models),
            metrics: Arc::clone(metrics),
            uploads: Arc::clone(&uploads),
            log: log.clone(),
            recents: recents.clone(),
        });
        metrics.held_bytes.set(events.held_bytes());
        let uploader = Uploader::new(&log, store, root, replica).map_err(EventsError::Log)?;
        let upload = UploadEvents::new(uploader, Arc::clone(&events));
        Ok(Some(Self {
            events,
            recents,
            upload,
        }))
    }
}
