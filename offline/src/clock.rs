//! The clock by which the model measures its indexes; it has none of its own.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since the first call; never goes back.
pub(crate) fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
