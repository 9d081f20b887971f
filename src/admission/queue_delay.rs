//! How long a core's line of calls and each turn are, in time, and how much of that time turning calls away
//! may take.
//!
//! Everything here belongs to one thread; atomics are for the compiler.

use super::fair_queue::LineLimits;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant};

/// Calls that may always wait (chosen: a line this short says nothing, however slow its calls are).
pub(super) const PLACES_MIN: usize = 32;
/// Longest turn, in calls (chosen: enough that the answers of those that stood in line share a system call)
/// and, by the time that calls took lately, in nanoseconds (chosen: others wait for one turn, and for two
/// looks at the sockets).
pub(super) const TURN_CALLS_MAX: usize = 8;
const TURN_NANOS: u64 = 400_000;
/// How long the line may be longer than allowed before calls are turned away. The idea is CoDel's:
/// a burst passes by itself (chosen: what piled up while the processor was away for a fifth of a
/// second is worked off by then at half of the capacity).
const STANDING_AFTER: Duration = Duration::from_millis(500);
/// What the time of a place is measured over, at least, and how many calls must have begun (chosen:
/// refusals come in batches between two calls, some milliseconds of them in a row).
const WINDOW_NANOS: u64 = 5_000_000;
const WINDOW_CALLS: usize = 4;
/// Weight of the newest window in the mean, as a shift (chosen: a quarter, so that four windows, some
/// 20 ms, carry two thirds of a change, and no single one much).
const MEAN_SHIFT: u32 = 2;
/// No single window says more (chosen: a thread that was not running says nothing of calls).
const PLACE_NANOS_MAX: u64 = 50_000_000;
/// Until something was measured (chosen: the time of an answer).
const PLACE_NANOS_FIRST: u64 = 50_000;
/// Reads of a connection whose calls were turned away are held back for this long (chosen: the
/// coarsest step of the timer; refusals then leave by the dozen, and well within 5 ms).
const HOLD_MIN: Duration = Duration::from_millis(1);
/// And no longer than this, however much was turned away (chosen: who is held is still read ten times
/// a second). So each of them costs some time yet, and with many of them the part below is passed:
/// with how many is reckoned in decision 0011.
const HOLD_MAX: Duration = Duration::from_millis(100);
/// Turning away may take one part in so many of a core's time (chosen: four fifths stay for answers).
const TURNING_AWAY_PART: u64 = 5;
/// What may be spent at once, in nanoseconds (chosen: the calls that eight connections send at once).
const AT_ONCE_NANOS: u64 = 2_000_000;

/// See the module.
#[derive(Debug)]
pub(super) struct Pace {
    limits: LineLimits,
    pub(super) born: Instant,
    /// Mean time between two calls that begin while others wait, and the window that is open: since
    /// when, 0 for none, and the calls that began in it.
    pub(super) place_nanos: AtomicU64,
    pub(super) window_since: AtomicU64,
    window_calls: AtomicUsize,
    /// Since when the line is too long; 0 where it is not.
    pub(super) long_since: AtomicU64,
    /// Time that turning away took and was not made up for, and as of when.
    spent_nanos: AtomicU64,
    pub(super) spent_at: AtomicU64,
}

impl Pace {
    pub(super) fn new(limits: LineLimits) -> Self {
        Self {
            limits,
            born: Instant::now(),
            place_nanos: AtomicU64::new(PLACE_NANOS_FIRST),
            window_since: AtomicU64::new(0),
            window_calls: AtomicUsize::new(0),
            long_since: AtomicU64::new(0),
            spent_nanos: AtomicU64::new(0),
            spent_at: AtomicU64::new(0),
        }
    }

    /// Never 0.
    pub(super) fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).map_or(u64::MAX, |nanos| nanos.max(1))
    }

    /// A call begins, `waiting` others still wait.
    pub(super) fn begun(&self, waiting: usize) {
        let since = self.window_since.load(Relaxed);
        if waiting == 0 {
            self.window_since.store(0, Relaxed);
            return;
        }
        if since == 0 {
            self.window_since.store(self.now(), Relaxed);
            self.window_calls.store(0, Relaxed);
            return;
        }
        let calls = self.window_calls.load(Relaxed) + 1;
        self.window_calls.store(calls, Relaxed);
        // The clock is read for every fourth call.
        if !calls.is_multiple_of(WINDOW_CALLS) {
            return;
        }
        let now = self.now();
        if now - since < WINDOW_NANOS {
            return;
        }
        let took = ((now - since) / calls as u64).min(PLACE_NANOS_MAX);
        let mean = self.place_nanos.load(Relaxed);
        let mean = mean - (mean >> MEAN_SHIFT) + (took >> MEAN_SHIFT);
        self.place_nanos.store(mean.max(1), Relaxed);
        self.window_since.store(now, Relaxed);
        self.window_calls.store(0, Relaxed);
    }

    /// Calls of one turn.
    pub(super) fn turn_calls(&self) -> usize {
        let calls = TURN_NANOS / self.place_nanos.load(Relaxed).max(1);
        usize::try_from(calls).map_or(TURN_CALLS_MAX, |calls| calls.clamp(1, TURN_CALLS_MAX))
    }

    /// Calls that may wait on this core now.
    pub(super) fn places(&self, waiting: usize) -> usize {
        let place = u128::from(self.place_nanos.load(Relaxed));
        let (length, max) = (waiting as u128 * place, self.limits.wait_max.as_nanos());
        let since = self.long_since.load(Relaxed);
        // Those who are turned away keep most of the places filled, give or take a turn.
        if length <= max / 8 {
            if since != 0 {
                self.long_since.store(0, Relaxed);
            }
            return usize::MAX;
        }
        if since == 0 {
            if length > max {
                self.long_since.store(self.now(), Relaxed);
            }
            return usize::MAX;
        }
        if u128::from(self.now().saturating_sub(since)) < STANDING_AFTER.as_nanos() {
            return usize::MAX;
        }
        usize::try_from(max / place)
            .unwrap_or(usize::MAX)
            .max(PLACES_MIN)
    }

    /// Calls were turned away, which took so many nanoseconds: how long to read no more from whoever
    /// sent them.
    pub(super) fn hold(&self, nanos: u64) -> Duration {
        let now = self.now();
        let made_up = (now - self.spent_at.swap(now, Relaxed).min(now)) / TURNING_AWAY_PART;
        let spent = self.spent_nanos.load(Relaxed).saturating_sub(made_up) + nanos;
        self.spent_nanos.store(spent, Relaxed);
        let debt = spent.saturating_sub(AT_ONCE_NANOS);
        Duration::from_nanos(debt.saturating_mul(TURNING_AWAY_PART)).clamp(HOLD_MIN, HOLD_MAX)
    }
}
