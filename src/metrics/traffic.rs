//! Connections and calls.

use super::families::{Families, LATENCY_BUCKETS};
use prometheus::{Error, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};

/// What reaches the server, whatever becomes of it.
pub struct TrafficMetrics {
    /// gRPC calls by `listener`, `method` and `code`.
    pub calls: IntCounterVec,
    /// Time from a call's headers to its answer's by `listener` and `method`.
    pub call_latency: HistogramVec,
    /// Handlers that panicked.
    pub panics: IntCounter,
    /// Calls refused because too many were under way.
    pub shed: IntCounter,
    /// Open connections by `listener`.
    pub connections: IntGaugeVec,
    /// Connections that the server closed, by `listener` and `reason`.
    pub connections_refused: IntCounterVec,
    /// Times that no connection was accepted for a moment, as too many came, by `listener`.
    pub accepts_held: IntCounterVec,
}

impl TrafficMetrics {
    pub(super) fn register(families: &Families<'_>) -> Result<Self, Error> {
        Ok(Self {
            calls: families.counters(
                "hotshelf_grpc_calls_total",
                "gRPC calls by listener, method and code.",
                &["listener", "method", "code"],
            )?,
            call_latency: families.histograms(
                (
                    "hotshelf_grpc_latency_seconds",
                    "Time from a call's headers to its answer's.",
                ),
                &["listener", "method"],
                LATENCY_BUCKETS,
            )?,
            panics: families.counter("hotshelf_grpc_panics_total", "Handlers that panicked.")?,
            shed: families.counter(
                "hotshelf_grpc_shed_total",
                "Calls refused because too many were under way.",
            )?,
            connections: families.gauges(
                "hotshelf_net_connections",
                "Open connections.",
                &["listener"],
            )?,
            connections_refused: families.counters(
                "hotshelf_net_connections_refused_total",
                "Connections that the server closed, by reason.",
                &["listener", "reason"],
            )?,
            accepts_held: families.counters(
                "hotshelf_net_accepts_held_total",
                "Times that no connection was accepted for a moment, as too many came.",
                &["listener"],
            )?,
        })
    }
}
