//! The frame budget of a peer: requests earn, frames that cause work without a request spend.

use super::frames::{Head, kind};
use std::time::Instant;

/// The budget that a connection begins with and never exceeds (chosen: above what any client spends before its
/// first requests are answered, and little work: some 100 ns for each frame, of which others on the core wait
/// for all that come at once).
const BUDGET_MAX: i64 = 1_000;
/// What comes back with time (chosen: pings and window updates of an idle client are one or two in a second).
const REFILL_PER_S: u128 = 400;
/// What a request earns (chosen: a client may follow it with a ping and two window updates).
const REQUEST_EARNS: i64 = 4;
/// What cancelling a request costs (chosen: a client that cancels up to four calls of five never runs out; one
/// that cancels all of them does).
const RESET_COSTS: i64 = 5;
/// DATA frames below this many bytes that are not the last of their request cost one (inherited: h2 holds
/// them for more overhead than use).
const SMALL_DATA_BYTES: usize = 256;

/// The peer has spent its frame budget.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameFlood;

impl std::fmt::Display for FrameFlood {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(
            "the peer has spent its frame budget: too many control frames or cancelled requests",
        )
    }
}

impl std::error::Error for FrameFlood {}

/// What one connection has left.
#[derive(Debug)]
pub(super) struct FrameBudget {
    left: i64,
    pub(super) refilled: Instant,
}

impl FrameBudget {
    pub(super) fn new() -> Self {
        Self {
            left: BUDGET_MAX,
            refilled: Instant::now(),
        }
    }

    pub(super) fn earn_request(&mut self) {
        self.left = (self.left + REQUEST_EARNS).min(BUDGET_MAX);
    }

    pub(super) fn spend(&mut self, head: Head) {
        self.left -= cost(head);
    }

    /// Refills by the time that has passed.
    ///
    /// # Errors
    /// The budget is spent even so.
    pub(super) fn check(&mut self) -> Result<(), FrameFlood> {
        if self.left >= 0 {
            return Ok(());
        }
        // The clock is read only here: a well-behaved connection never comes this far.
        let now = Instant::now();
        let waited = now.duration_since(self.refilled).as_millis();
        let back = i64::try_from(waited * REFILL_PER_S / 1000).unwrap_or(BUDGET_MAX);
        self.left = (self.left + back).min(BUDGET_MAX);
        self.refilled = now;
        if self.left >= 0 {
            return Ok(());
        }
        Err(FrameFlood)
    }
}

fn cost(head: Head) -> i64 {
    match head.kind {
        kind::DATA if head.ends_stream() || head.len >= SMALL_DATA_BYTES => 0,
        // The trailers of a request, which has them once.
        kind::HEADERS => 0,
        kind::RST_STREAM => RESET_COSTS,
        _ => 1,
    }
}
