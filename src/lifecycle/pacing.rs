//! Limits what a load costs requests: it works in short slices, each followed by a rest as long as the
//! slice, at most 1 ms, on a thread of low priority. With nothing live it does neither.
//!
//! The scheduler's idle policy (SCHED_IDLE) was rejected: waking threads no longer wait, but a load makes no
//! progress while the cores are busy, which is when a rollback is needed most.

use std::time::{Duration, Instant};

/// Longest stretch of work between two rests (measured, traces of the scheduler with `perf sched` on one
/// core at half of its capacity: a thread that wakes may wait for the end of the stretch, up to a scheduler
/// tick of 4 ms, whatever its priority; per second of a load the serving thread waited longer than 1 ms
/// after a wake 5.7 times with stretches of 1 ms, 1.4 times with these).
const SLICE_MAX: Duration = Duration::from_micros(250);
/// Longest rest (chosen: a stretch longer than four slices was itself preempted, and on a nearly busy core
/// a load would otherwise take arbitrarily long).
const REST_MAX: Duration = Duration::from_millis(1);
/// Niceness of a paced loader thread: behind every thread that serves.
const PACED_NICE: i32 = 15;

/// Paces one loader thread.
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
                tracing::warn!(%error, "cannot lower the loader's priority; the load is still paced");
            }
        }
        Self {
            is_paced,
            slice_began: Instant::now(),
        }
    }

    /// Called after every piece of work, 64 to 128 KiB each; rests once a slice is used up.
    #[allow(
        clippy::disallowed_methods,
        reason = "this thread loads and does nothing else"
    )]
    pub(super) fn breathe(&mut self) {
        let worked = self.slice_began.elapsed();
        if self.is_paced && worked >= SLICE_MAX {
            std::thread::sleep(worked.min(REST_MAX));
            self.slice_began = Instant::now();
        }
    }
}
