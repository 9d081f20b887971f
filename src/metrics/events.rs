//! Metrics of events.

use super::families::Families;
use prometheus::{Error, IntCounter, IntCounterVec, IntGauge};

/// Fields that an event is rejected for; any other is a bug and counts as `other`.
const FIELDS: [&str; 9] = [
    "event_id",
    "user_id",
    "session_id",
    "product_id",
    "type",
    "occurred_at",
    "quantity",
    "order_value",
    "answer_id",
];

/// Events taken, refused and uploaded.
pub struct EventMetrics {
    accepted: IntCounterVec,
    rejected: IntCounterVec,
    refused: IntCounterVec,
    /// Events whose id was recorded before.
    pub duplicates: IntCounter,
    /// Accepted events whose product no live version knows.
    pub unknown_products: IntCounter,
    /// Events uploaded.
    pub uploaded: IntCounter,
    /// Objects created.
    pub objects: IntCounter,
    /// Bytes of these objects.
    pub uploaded_bytes: IntCounter,
    /// Uploads that failed and are tried again.
    pub upload_failures: IntCounter,
    /// Bytes of segments on disk.
    pub held_bytes: IntGauge,
    /// Bytes of unfinished blocks cut off at a start.
    pub torn_bytes: IntCounter,
}

impl EventMetrics {
    pub(super) fn register(families: &Families<'_>) -> Result<Self, Error> {
        Ok(Self {
            accepted: families.counters(
                "hotshelf_events_accepted_total",
                "Events recorded, by type.",
                &["type"],
            )?,
            rejected: families.counters(
                "hotshelf_events_rejected_total",
                "Bad fields of rejected events, by field.",
                &["field"],
            )?,
            refused: families.counters(
                "hotshelf_event_batches_refused_total",
                "Batches of which no event was recorded, by reason.",
                &["reason"],
            )?,
            duplicates: families.counter(
                "hotshelf_events_duplicate_total",
                "Events whose event_id was recorded before.",
            )?,
            unknown_products: families.counter(
                "hotshelf_events_unknown_product_total",
                "Recorded events whose product no live version knows.",
            )?,
            uploaded: families.counter(
                "hotshelf_events_uploaded_total",
                "Events in uploaded objects.",
            )?,
            objects: families.counter(
                "hotshelf_event_objects_uploaded_total",
                "Parquet objects of events that were uploaded.",
            )?,
            uploaded_bytes: families.counter(
                "hotshelf_event_uploaded_bytes_total",
                "Bytes of uploaded Parquet objects of events.",
            )?,
            upload_failures: families.counter(
                "hotshelf_event_upload_failures_total",
                "Uploads of events that failed and are tried again.",
            )?,
            held_bytes: families.gauge(
                "hotshelf_events_held_bytes",
                "Bytes of events on this server's disk that are not uploaded yet.",
            )?,
            torn_bytes: families.counter(
                "hotshelf_events_torn_bytes_total",
                "Bytes of unfinished blocks, never acknowledged, that a start cut off.",
            )?,
        })
    }

    /// The counter of a type, which the configuration names.
    pub fn accepted(&self, of_type: &str) -> IntCounter {
        self.accepted.with_label_values(&[of_type])
    }

    /// Counts a bad field.
    pub fn rejected(&self, field: &str) {
        let known = FIELDS.into_iter().find(|known| *known == field);
        let label = known.unwrap_or("other");
        self.rejected.with_label_values(&[label]).inc();
    }

    /// Counts a refused batch.
    pub fn refused(&self, reason: &'static str) {
        self.refused.with_label_values(&[reason]).inc();
    }
}
