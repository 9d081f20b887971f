//! The connection abuse guard: sees all bytes of a connection, reads the frame headers in both directions, and counts.
//!
//! - **Frame budget.** Requests earn; PING, SETTINGS, WINDOW_UPDATE, PRIORITY, CONTINUATION and unknown frames,
//!   nearly empty DATA, and cancelled requests spend. A connection that has spent its budget ends here.
//! - **Slow frames, unread answers, idleness** are counted here and checked periodically by
//!   `super::connection_watch`.

mod unanswered;

use super::connection_stats::ConnectionStats;
use super::end::End;
use super::frame_budget::{FrameBudget, FrameFlood};
use super::frames::{Frames, kind};
use super::stream_resets::StreamResets;
use std::sync::Arc;
use std::time::Instant;
use unanswered::Unanswered;

/// See the module.
#[derive(Debug)]
pub(super) struct AbuseGuard {
    incoming: Frames,
    outgoing: Frames,
    is_in_headers: bool,
    last_stream: u32,
    unanswered: Unanswered,
    budget: FrameBudget,
    stats: ConnectionStats,
    resets: Arc<StreamResets>,
}

impl AbuseGuard {
    pub(super) fn new(stats: ConnectionStats, resets: Arc<StreamResets>) -> Self {
        Self {
            incoming: Frames::default(),
            outgoing: Frames::default(),
            is_in_headers: false,
            last_stream: 0,
            unanswered: Unanswered::default(),
            budget: FrameBudget::new(),
            stats,
            resets,
        }
    }

    /// Counts what was read.
    ///
    /// # Errors
    /// The frame budget is spent.
    pub(super) fn read(&mut self, bytes: &[u8]) -> Result<(), FrameFlood> {
        let (mut requests, mut resets, mut units) = (0, 0, 0);
        let (mut is_in_headers, mut last_stream) = (self.is_in_headers, self.last_stream);
        let (unanswered, budget) = (&mut self.unanswered, &mut self.budget);
        self.incoming.read(bytes, |head, _| {
            is_in_headers = head.leaves_headers_open();
            units += u32::from(!is_in_headers);
            if head.kind == kind::HEADERS && head.stream > last_stream {
                last_stream = head.stream;
                requests += 1;
                unanswered.asked();
                budget.earn_request();
            } else {
                if head.kind == kind::RST_STREAM {
                    resets += 1;
                    unanswered.end(head.stream);
                }
                budget.spend(head);
            }
        });
        (self.is_in_headers, self.last_stream) = (is_in_headers, last_stream);
        let is_unfinished = is_in_headers || self.incoming.is_within_frame();
        let checked = self.budget.check();
        let mut counts = self.stats.lock();
        counts.requests += requests;
        (0..resets).for_each(|_| counts.forget_one());
        if !is_unfinished {
            counts.unfinished_since = None;
        } else if units > 0 || counts.unfinished_since.is_none() {
            counts.unfinished_since = Some(Instant::now());
        }
        checked.inspect_err(|_| counts.end = Some(End::FrameFlood))
    }

    /// Counts what is about to be written.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        let (mut data, mut resets) = (0, 0);
        let (unanswered, counters) = (&mut self.unanswered, &self.resets);
        self.outgoing.read(bytes, |head, payload| {
            unanswered.wrote(head);
            match head.kind {
                kind::DATA => data += head.len as u64,
                kind::RST_STREAM => {
                    resets += 1;
                    // h2 writes such a frame in one piece.
                    if let Some(code) = payload.first_chunk() {
                        counters.count(u32::from_be_bytes(*code));
                    }
                }
                _ => {}
            }
        });
        if data > 0 || resets > 0 {
            let mut counts = self.stats.lock();
            counts.written += data;
            (0..resets).for_each(|_| counts.forget_one());
        }
    }

    /// Whether every request that was read has its answer, or the beginning of it.
    pub(super) fn is_all_answered(&self) -> bool {
        self.unanswered.is_none()
    }

    /// Counts what the socket took, and how many bytes wait for it.
    pub(super) fn sent(&mut self, bytes: usize, buffered: usize) {
        let mut counts = self.stats.lock();
        counts.sent += bytes as u64;
        counts.buffered = buffered;
    }
}

#[cfg(test)]
mod tests;
