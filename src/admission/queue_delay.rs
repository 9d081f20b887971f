//! How long calls wait on a core, and how long its queue may become.
//!
//! The delay is not measured per call. It is the length of the queue times the mean interval between
//! two calls that start while others are queued, so it is known before a call has waited.

use std::time::Duration;
use tokio::time::Instant;

/// Calls that may always queue (chosen: a queue this short is no sign of overload, however slow its calls are).
pub(super) const QUEUE_LEN_MIN: usize = 32;
/// Longest quantum, in calls (chosen: enough that the answers of one turn share a system call).
pub(super) const QUANTUM_CALLS_MAX: usize = 8;
/// Longest quantum, in time (chosen: others wait for one quantum, and for two polls of the sockets).
const QUANTUM_NANOS: u64 = 400_000;
/// How long the delay must exceed its limit before calls are shed. The idea is CoDel's: a burst passes by
/// itself (chosen: what piled up while the processor was away for a fifth of a second is worked off by
/// then at half of the capacity).
pub(super) const SUSTAINED: Duration = Duration::from_millis(500);
/// The interval is measured over at least this time and so many calls (chosen: rejections come in
/// batches between two calls, some milliseconds of them in a row).
const WINDOW: Duration = Duration::from_millis(5);
const WINDOW_CALLS: u32 = 4;
/// Weight of the newest window in the mean, as a shift (chosen: a quarter, so that four windows, some
/// 20 ms, carry two thirds of a change, and no single one much).
const MEAN_SHIFT: u32 = 2;
/// Longest interval that one window may report (chosen: a thread that was not running tells nothing about calls).
const INTERVAL_NANOS_MAX: u64 = 50_000_000;
/// Until something was measured (chosen: the time of an answer).
const INTERVAL_NANOS_FIRST: u64 = 50_000;

/// See the module.
#[derive(Debug)]
pub(super) struct QueueDelay {
    delay_max: Duration,
    /// Mean interval between two starts while others wait.
    pub(super) interval_nanos: u64,
    window: Option<Window>,
    /// Since when the delay exceeds its limit.
    pub(super) exceeded_since: Option<Instant>,
}

#[derive(Debug)]
struct Window {
    since: Instant,
    calls: u32,
}

impl QueueDelay {
    pub(super) fn new(delay_max: Duration) -> Self {
        Self {
            delay_max,
            interval_nanos: INTERVAL_NANOS_FIRST,
            window: None,
            exceeded_since: None,
        }
    }

    /// A call starts; `queued` others wait.
    pub(super) fn started(&mut self, queued: usize) {
        if queued == 0 {
            self.window = None;
            return;
        }
        let Some(window) = &mut self.window else {
            let since = Instant::now();
            self.window = Some(Window { since, calls: 0 });
            return;
        };
        window.calls += 1;
        // The clock is read for every fourth call.
        if !window.calls.is_multiple_of(WINDOW_CALLS) {
            return;
        }
        let now = Instant::now();
        let took = now.duration_since(window.since);
        if took < WINDOW {
            return;
        }
        let interval = nanos(took / window.calls).min(INTERVAL_NANOS_MAX);
        let mean = self.interval_nanos;
        let mean = mean - (mean >> MEAN_SHIFT) + (interval >> MEAN_SHIFT);
        self.interval_nanos = mean.max(1);
        self.window = Some(Window {
            since: now,
            calls: 0,
        });
    }

    /// Calls that a connection may start before others have their turn.
    pub(super) fn quantum_calls(&self) -> usize {
        let calls = QUANTUM_NANOS / self.interval_nanos;
        usize::try_from(calls).map_or(QUANTUM_CALLS_MAX, |calls| calls.clamp(1, QUANTUM_CALLS_MAX))
    }

    /// How long the queue may be, given how long it is.
    pub(super) fn queue_len_max(&mut self, queued: usize) -> usize {
        let interval = u128::from(self.interval_nanos);
        let (delay, max) = (queued as u128 * interval, self.delay_max.as_nanos());
        // Peers whose calls are shed keep most of the queue filled, give or take a quantum.
        if delay <= max / 8 {
            self.exceeded_since = None;
            return usize::MAX;
        }
        let Some(since) = self.exceeded_since else {
            self.exceeded_since = (delay > max).then(Instant::now);
            return usize::MAX;
        };
        if since.elapsed() < SUSTAINED {
            return usize::MAX;
        }
        let len = usize::try_from(max / interval).unwrap_or(usize::MAX);
        len.max(QUEUE_LEN_MIN)
    }
}

fn nanos(time: Duration) -> u64 {
    u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn delay() -> QueueDelay {
        QueueDelay::new(Duration::from_millis(10))
    }

    #[tokio::test(start_paused = true)]
    async fn interval_follows_the_calls_that_start_while_others_wait() {
        let mut delay = delay();
        delay.started(1);
        for _ in 0..50 {
            (0..3).for_each(|_| delay.started(1));
            tokio::time::advance(40 * MS).await;
            delay.started(1);
        }
        let interval = delay.interval_nanos;
        assert!((9_900_000..=10_000_000).contains(&interval), "{interval}");
        delay.started(0);
        assert!(delay.window.is_none(), "an idle core measures nothing");
    }

    #[tokio::test(start_paused = true)]
    async fn one_gap_between_two_calls_changes_little() {
        let mut delay = delay();
        delay.started(1);
        delay.interval_nanos = 100_000;
        // A hundred calls in 8 ms, among them one that waited 3 ms for rejections.
        (0..99).for_each(|_| delay.started(1));
        tokio::time::advance(8 * MS).await;
        delay.started(1);
        assert_eq!(delay.interval_nanos, 95_000);
    }

    #[test]
    fn quantum_is_as_long_as_calls_took_lately() {
        let mut delay = delay();
        for (interval, calls) in [
            (1, 8),
            (1_000, 8),
            (50_000, 8),
            (111_000, 3),
            (300_000, 1),
            (9_000_000, 1),
        ] {
            delay.interval_nanos = interval;
            assert_eq!(delay.quantum_calls(), calls, "{interval} ns");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn burst_may_wait_and_a_sustained_delay_bounds_the_queue() {
        let mut delay = delay();
        delay.interval_nanos = 100_000;
        assert_eq!(delay.queue_len_max(500), usize::MAX, "50 ms, as a burst");
        tokio::time::advance(SUSTAINED - MS).await;
        assert_eq!(delay.queue_len_max(500), usize::MAX);
        tokio::time::advance(MS).await;
        assert_eq!(delay.queue_len_max(500), 100, "10 ms of calls");
        assert_eq!(delay.queue_len_max(60), 100, "until it is nearly empty");
        assert_eq!(delay.queue_len_max(12), usize::MAX);
        assert_eq!(delay.queue_len_max(500), usize::MAX, "a burst again");
    }

    #[tokio::test(start_paused = true)]
    async fn short_queue_has_room_however_slow_its_calls_are() {
        let mut delay = delay();
        delay.interval_nanos = 10_000_000;
        delay.queue_len_max(QUEUE_LEN_MIN);
        tokio::time::advance(SUSTAINED).await;
        assert_eq!(delay.queue_len_max(QUEUE_LEN_MIN), QUEUE_LEN_MIN);
    }
}
