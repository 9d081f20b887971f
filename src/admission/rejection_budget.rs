//! How much of a core's time rejections may take. Beyond it, the server delays reads from the peers whose calls
//! were rejected, until their own flow-control windows stop them.

use std::time::Duration;
use tokio::time::Instant;

/// Cost of one rejection (estimated from a profile of `bench/overload`: reading, decoding, the answer and
/// its part of two system calls).
const REJECTION_NANOS: u64 = 4_000;
/// Cost of a read that brought rejected calls, however many (measured, `bench/overload` with 400
/// connections: 38,000 of them in a second filled a core).
const READ_NANOS: u64 = 20_000;
/// Inverse of the share of a core's time that rejections may take (chosen: four fifths are left for answers).
const BUDGET_PART: u32 = 5;
/// What may be spent at once (chosen: the calls that eight connections send at once).
const BURST_NANOS: u64 = 2_000_000;
/// Shortest backoff (chosen: the coarsest step of the timer; rejections then leave by the dozen, and well
/// within 5 ms).
const BACKOFF_MIN: Duration = Duration::from_millis(1);
/// Longest backoff (chosen: such a peer is still read ten times a second).
const BACKOFF_MAX: Duration = Duration::from_millis(100);

/// See the module.
#[derive(Debug)]
pub(super) struct RejectionBudget {
    spent_nanos: u64,
    spent_at: Instant,
}

impl RejectionBudget {
    pub(super) fn new() -> Self {
        Self {
            spent_nanos: 0,
            spent_at: Instant::now(),
        }
    }

    /// Charges the rejections of one connection since its last read, and returns how long to wait before
    /// it is read again.
    pub(super) fn backoff(&mut self, rejections: u64) -> Duration {
        let now = Instant::now();
        let earned = now.duration_since(self.spent_at) / BUDGET_PART;
        let earned = u64::try_from(earned.as_nanos()).unwrap_or(u64::MAX);
        let cost = rejections
            .saturating_mul(REJECTION_NANOS)
            .saturating_add(READ_NANOS);
        let spent = self.spent_nanos.saturating_sub(earned);
        self.spent_nanos = spent.saturating_add(cost);
        self.spent_at = now;
        let debt = self.spent_nanos.saturating_sub(BURST_NANOS);
        let backoff = Duration::from_nanos(debt).saturating_mul(BUDGET_PART);
        backoff.clamp(BACKOFF_MIN, BACKOFF_MAX)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn rejections_take_no_more_than_their_part_of_the_time() {
        let mut budget = RejectionBudget::new();
        assert_eq!(budget.backoff(1), BACKOFF_MIN);
        let began = Instant::now();
        let mut spent = Duration::ZERO;
        for _ in 0..100 {
            // 245 rejections of 4 µs and a read.
            let backoff = budget.backoff(245);
            spent += Duration::from_millis(1);
            tokio::time::advance(backoff).await;
        }
        let share = spent.as_secs_f64() / began.elapsed().as_secs_f64();
        assert!((0.18..0.22).contains(&share), "{share}");
        assert_eq!(budget.backoff(u64::MAX), BACKOFF_MAX);
    }
}
