//! Decides from a connection's stats whether to end it: slow frames, unread answers, idleness.

use super::connection_stats::{ConnectionStats, Counts};
use super::end::End;
use super::limits::ConnectionLimits;
use std::time::{Duration, Instant};

/// Progress that is enough for a peer that reads slowly (chosen: one socket buffer's worth).
const PROGRESS_BYTES: u64 = 64 * 1024;
/// Shortest time between two checks (chosen: a check costs far less than this).
const INTERVAL_MIN: Duration = Duration::from_millis(5);

/// See the module; to be asked every [`ConnectionWatch::interval`].
#[derive(Debug)]
pub(super) struct ConnectionWatch {
    stats: ConnectionStats,
    frame_timeout: Duration,
    unread_timeout: Duration,
    idle_timeout: Duration,
    requests: u64,
    active_at: Instant,
    unread: Option<Unread>,
}

/// What must have happened for a peer to count as one that reads.
#[derive(Debug)]
struct Unread {
    since: Instant,
    written: u64,
    sent: u64,
}

impl ConnectionWatch {
    pub(super) fn new(stats: ConnectionStats, limits: &ConnectionLimits, now: Instant) -> Self {
        Self {
            stats,
            frame_timeout: limits.frame_timeout,
            unread_timeout: limits.unread_timeout,
            idle_timeout: limits.idle_timeout,
            requests: 0,
            active_at: now,
            unread: None,
        }
    }

    /// Time between two checks: short compared with every timeout.
    pub(super) fn interval(&self) -> Duration {
        let shortest = self.frame_timeout.min(self.unread_timeout);
        (shortest.min(self.idle_timeout) / 4).max(INTERVAL_MIN)
    }

    /// Why the connection should end, if it should. `in_flight` are its calls that are not done.
    pub(super) fn judge(&mut self, now: Instant, in_flight: usize) -> Option<End> {
        let stats = self.stats.clone();
        let counts = stats.lock();
        let began = counts.unfinished_since;
        if began.is_some_and(|began| now.duration_since(began) >= self.frame_timeout) {
            return Some(End::FrameTimeout);
        }
        if self.is_unread(&counts, now) {
            return Some(End::UnreadAnswers);
        }
        if in_flight > 0 || counts.requests > self.requests {
            self.active_at = now;
            self.requests = counts.requests;
        }
        (now.duration_since(self.active_at) >= self.idle_timeout).then_some(End::Idle)
    }

    fn is_unread(&mut self, counts: &Counts, now: Instant) -> bool {
        let has_unread = counts.unread() > 0 || counts.buffered > 0;
        if let Some(unread) = &self.unread
            && (counts.written < unread.written || counts.sent < unread.sent)
            && has_unread
        {
            return now.duration_since(unread.since) >= self.unread_timeout;
        }
        self.unread = has_unread.then(|| Unread {
            since: now,
            written: counts.written + counts.unread().min(PROGRESS_BYTES),
            sent: counts.sent + (counts.buffered as u64).min(PROGRESS_BYTES),
        });
        false
    }
}
