//! Metrics of connections and calls.

use super::families::{Families, LATENCY_BUCKETS};
use prometheus::{Error, HistogramVec, IntCounter, IntCounterVec, IntGaugeVec};

/// Everything that reaches the server, successful or not.
pub struct TrafficMetrics {
    /// gRPC calls by `listener`, `method` and `code`.
    pub calls: IntCounterVec,
    /// Time from the headers of a request to those of its response, by `listener` and `method`.
    pub call_latency: HistogramVec,
    /// Handlers that panicked.
    pub panics: IntCounter,
    /// Calls that were shed.
    pub shed: IntCounter,
    /// Open connections by `listener`.
    pub connections: IntGaugeVec,
    /// Connections that the server closed, by `listener` and `reason`.
    pub connections_refused: IntCounterVec,
    /// Times that accepting paused because the accept rate was exceeded, by `listener`.
    pub accepts_held: IntCounterVec,
    /// Streams that the server reset, by `listener` and HTTP/2 error `code`.
    pub streams_reset: IntCounterVec,
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
                    "Time from the headers of a request to those of its response.",
                ),
                &["listener", "method"],
                LATENCY_BUCKETS,
            )?,
            panics: families.counter("hotshelf_grpc_panics_total", "Handlers that panicked.")?,
            shed: families.counter(
                "hotshelf_grpc_shed_total",
                "Calls rejected because the server shed load.",
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
                "Times that accepting connections paused because the accept rate was exceeded.",
                &["listener"],
            )?,
            streams_reset: families.counters(
                "hotshelf_net_streams_reset_total",
                "Streams that the server reset, by HTTP/2 error code.",
                &["listener", "code"],
            )?,
        })
    }
}
