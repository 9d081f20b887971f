//! What one connection may do, and for how long.

use std::time::Duration;

/// Limits of one connection.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// From accept to the last byte of the preface.
    pub preface_timeout: Duration,
    /// From the first to the last byte of a frame or header block.
    pub frame_timeout: Duration,
    /// For the peer to read more of its answers.
    pub unread_timeout: Duration,
    /// Without a call in flight or a request; then the connection is shut down gracefully.
    pub idle_timeout: Duration,
    /// Streams open at once.
    pub streams_max: u32,
    /// Bytes of the headers of one request.
    pub header_list_bytes_max: u32,
    /// Silence after which the peer is pinged, and then the wait for its answer.
    pub keepalive: Duration,
    /// Age at which the connection is shut down gracefully, so that load spreads over new replicas.
    pub age: Duration,
    /// Time for calls in flight from then on; what is left is closed.
    pub grace: Duration,
}

/// Age of a connection that is for probes alone, and grace after it (chosen: what probes wait at most).
const PROBE_AGE: Duration = Duration::from_secs(1);

impl ConnectionLimits {
    /// Of a connection that is for probes alone: long enough for one, and no watch holds it.
    pub(super) fn of_probes(&self) -> Self {
        Self {
            preface_timeout: self.preface_timeout.min(PROBE_AGE),
            age: PROBE_AGE,
            grace: PROBE_AGE,
            ..self.clone()
        }
    }

    /// For tests of other things than limits: none is reached.
    #[cfg(test)]
    pub(crate) fn patient() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            preface_timeout: hour,
            frame_timeout: hour,
            unread_timeout: hour,
            idle_timeout: hour,
            streams_max: 100,
            header_list_bytes_max: 16_384,
            keepalive: hour,
            age: hour,
            grace: hour,
        }
    }
}
