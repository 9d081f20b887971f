//! Spreads over time what many replicas would do at once.

use rand::{Rng, RngExt};
use std::time::Duration;

/// Between half and one and a half of a mean wait.
pub(crate) fn jittered(mean: Duration, random: &mut impl Rng) -> Duration {
    mean.mul_f64(random.random_range(0.5..1.5))
}

/// Most doublings, so that they stay within 32 bits.
const DOUBLINGS_MAX: u32 = 20;

/// A first wait doubled so many times, and at most `max`.
pub(crate) fn doubled(first: Duration, times: u32, max: Duration) -> Duration {
    first.saturating_mul(1 << times.min(DOUBLINGS_MAX)).min(max)
}
