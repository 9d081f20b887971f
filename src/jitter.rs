//! Spreads over time what many replicas would do at once.

use rand::{Rng, RngExt};
use std::time::Duration;

/// Between half and one and a half of a mean wait.
pub(crate) fn jittered(mean: Duration, random: &mut impl Rng) -> Duration {
    mean.mul_f64(random.random_range(0.5..1.5))
}
