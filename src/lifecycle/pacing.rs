//! Keeps a load from being felt by requests: it works in short slices, each followed by a rest of the
//! same length, on a thread of low priority. With nothing live it does neither.

use std::time::{Duration, Instant};

/// Longest stretch of work between two rests (chosen: a request that meets one waits no longer than a
/// scheduler tick).
const SLICE_MAX: Duration = Duration::from_millis(1);
/// Niceness of a paced loader thread: behind every thread that serves.
const PACED_NICE: i32 = 15;

/// Counts the work of one loader thread.
pub(super) struct Pacer {
    is_paced: bool,
    slice_began: Instant,
}

impl Pacer {
    /// Lowers the priority of the calling thread where `is_paced`. The thread must end with the load:
    /// an unprivileged process cannot raise it again.
    pub(super) fn begin(is_paced: bool) -> Self {
        if is_paced {
            let thread = rustix::thread::gettid();
            if let Err(error) = rustix::process::setpriority_process(Some(thread), PACED_NICE) {
                tracing::warn!(%error, "cannot lower the loader's priority; it keeps its rests");
            }
        }
        Self {
            is_paced,
            slice_began: Instant::now(),
        }
    }

    /// Called after every piece of work, at most 1 MiB each; rests where it is time to.
    #[allow(
        clippy::disallowed_methods,
        reason = "this thread loads and does nothing else"
    )]
    pub(super) fn breathe(&mut self) {
        let worked = self.slice_began.elapsed();
        if self.is_paced && worked >= SLICE_MAX {
            std::thread::sleep(worked);
            self.slice_began = Instant::now();
        }
    }
}
