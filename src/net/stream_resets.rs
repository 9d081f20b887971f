//! Counts the streams that the server resets, by HTTP/2 error code, and logs those that break HTTP/2.
//!
//! h2 resets most of them before any service sees the call. For the target `ipv4:a:1,b:1` gRPC's C core sends an
//! `:authority` that is a list of addresses. To h2 it is invalid, and such a stream cannot be answered. So this log
//! line is the operator's only sign of it.

use crate::metrics::Metrics;
use prometheus::IntCounter;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Error codes by their number (RFC 9113, section 7).
const CODES: [&str; 14] = [
    "NO_ERROR",
    "PROTOCOL_ERROR",
    "INTERNAL_ERROR",
    "FLOW_CONTROL_ERROR",
    "SETTINGS_TIMEOUT",
    "STREAM_CLOSED",
    "FRAME_SIZE_ERROR",
    "REFUSED_STREAM",
    "CANCEL",
    "COMPRESSION_ERROR",
    "CONNECT_ERROR",
    "ENHANCE_YOUR_CALM",
    "INADEQUATE_SECURITY",
    "HTTP_1_1_REQUIRED",
];
const PROTOCOL_ERROR: u32 = 1;
/// Shortest time between two log lines of a core (chosen: a client that does it does it with every call).
const LOG_INTERVAL: Duration = Duration::from_secs(10);

/// One core's.
#[derive(Debug)]
pub(super) struct StreamResets {
    listener: &'static str,
    by_code: Vec<IntCounter>,
    logged_at: Mutex<Option<Instant>>,
}

impl StreamResets {
    pub(super) fn new(metrics: &Metrics, listener: &'static str) -> Self {
        let resets = &metrics.traffic.streams_reset;
        let counter = |code: &&str| resets.with_label_values(&[listener, code]);
        Self {
            listener,
            by_code: CODES.iter().map(counter).collect(),
            logged_at: Mutex::new(None),
        }
    }

    /// A stream is reset with this code.
    pub(super) fn count(&self, code: u32) {
        let known = usize::try_from(code).ok();
        if let Some(counter) = known.and_then(|code| self.by_code.get(code)) {
            counter.inc();
        }
        if code == PROTOCOL_ERROR && self.is_log_due() {
            tracing::warn!(
                listener = self.listener,
                "stream reset: malformed request headers; a client whose target is a list of addresses must set grpc.default_authority"
            );
        }
    }

    fn is_log_due(&self) -> bool {
        // A plain time: no panic leaves it half changed.
        let mut logged_at = self
            .logged_at
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let is_due = logged_at.is_none_or(|at| at.elapsed() >= LOG_INTERVAL);
        if is_due {
            *logged_at = Some(Instant::now());
        }
        is_due
    }
}
