//! The accept loop of a listener: which core gets a connection, and how many come in a second.
//!
//! Connections beyond the rate wait in the system's queue, and once that is full their peers hear
//! nothing and try again: a storm of them costs the connections that are open no more than the rate.

use super::connection::Stages;
use super::plane::{Core, PlaneConfig};
use crate::metrics::Metrics;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

/// Pause after an accept that failed, for want of descriptors as a rule.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Connections that may come at once are those of this part of a second (chosen: every caller of a
/// server that has just started comes at the same moment; a tenth of a core is theirs either way).
const AT_ONCE_PART: u32 = 10;

pub(super) async fn accept(
    config: PlaneConfig,
    cores: Vec<Core>,
    stages: Stages,
    metrics: Arc<Metrics>,
) {
    let refused = |reason| {
        metrics
            .traffic
            .connections_refused
            .with_label_values(&[config.name, reason])
            .inc();
    };
    let held = &metrics.traffic.accepts_held;
    let held = held.with_label_values(&[config.name]);
    let mut rate = Rate::new(config.accepts_per_s_max, Instant::now());
    loop {
        if let Some(wait) = rate.take(Instant::now()) {
            held.inc();
            tokio::select! {
                () = stages.drain.cancelled() => return,
                () = stages.kill.cancelled() => return,
                () = tokio::time::sleep(wait) => {}
            }
        }
        let accepted = tokio::select! {
            () = stages.drain.cancelled() => return,
            () = stages.kill.cancelled() => return,
            accepted = config.listener.accept() => accepted,
        };
        let stream = match accepted {
            Ok((stream, _peer)) => stream,
            Err(error) => {
                tracing::warn!(listener = config.name, %error, "accept failed");
                refused("accept");
                tokio::time::sleep(ACCEPT_PAUSE).await;
                continue;
            }
        };
        let loads = cores
            .iter()
            .map(|core| core.connections.load(Ordering::Relaxed));
        if loads.clone().sum::<usize>() >= config.connections_max {
            refused("connections_max");
            continue;
        }
        let Some((core, _)) = cores.iter().zip(loads).min_by_key(|(_, load)| *load) else {
            return;
        };
        core.connections.fetch_add(1, Ordering::Relaxed);
        if core.inbox.try_send(stream).is_err() {
            core.connections.fetch_sub(1, Ordering::Relaxed);
            refused("handover");
        }
    }
}

/// So many a second, and a few at once after a pause.
struct Rate {
    period: Duration,
    at_once: Duration,
    /// When the next one is due; in the past where some may come at once.
    due: Instant,
}

impl Rate {
    fn new(per_s: u32, now: Instant) -> Self {
        let period = Duration::from_secs(1) / per_s;
        Self {
            period,
            at_once: period * (per_s / AT_ONCE_PART),
            due: now.checked_sub(Duration::from_secs(1)).unwrap_or(now),
        }
    }

    /// Counts one more, and says how long that has to wait.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        let earliest = now.checked_sub(self.at_once).unwrap_or(now);
        self.due = self.due.max(earliest);
        let wait = self.due.saturating_duration_since(now);
        self.due += self.period;
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many come within `time` if each comes as soon as it may.
    fn within(rate: &mut Rate, mut now: Instant, time: Duration) -> u32 {
        let end = now + time;
        let mut count = 0;
        loop {
            now += rate.take(now).unwrap_or_default();
            if now > end {
                return count;
            }
            count += 1;
        }
    }

    #[test]
    fn a_second_lets_so_many_through_and_a_tenth_of_them_at_once() {
        for per_s in [1, 7, 10, 1000] {
            let born = Instant::now();
            let mut rate = Rate::new(per_s, born);
            let first = within(&mut rate, born, Duration::ZERO);
            assert_eq!(first, per_s / 10 + 1, "{per_s} at once");
            let (later, second) = (Duration::from_secs(10), Duration::from_secs(1));
            let mut rate = Rate::new(per_s, born);
            let count = within(&mut rate, born + later, second);
            let most = per_s + per_s / 10 + 1;
            assert!((per_s..=most).contains(&count), "{count} of {per_s}");
        }
    }
}
