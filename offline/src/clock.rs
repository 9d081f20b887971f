//! The clock that measures the speed of indexes; the model has none of its own.

use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Time since the first call; never decreases.
pub(crate) fn monotonic() -> Duration {
    static START: OnceLock<Instant> = OnceLock::new();
    START.get_or_init(Instant::now).elapsed()
}
