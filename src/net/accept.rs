//! The accept loop of a listener: limits the rate of new connections, and assigns each to a core.
//!
//! Connections beyond the rate wait in the kernel's queue. Once that is full, the kernel drops them and
//! their peers retry. So a storm of new connections costs open ones no more than the accept rate.

use super::core::{Accepted, Core};
use super::probe_slots::ProbeSlots;
use crate::metrics::Metrics;
use crate::supervisor::Supervised;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

/// Pause after a failed accept, whose usual cause is a lack of descriptors.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// Burst size, as a fraction of the rate (chosen: every client of a server that has just started connects at
/// the same moment; they take a tenth of a core either way).
const BURST_PART: u32 = 10;

/// The accept loop.
pub(super) struct Acceptor {
    /// Label of metrics.
    pub(super) name: &'static str,
    pub(super) listener: TcpListener,
    pub(super) connections_max: usize,
    pub(super) accepts_per_s_max: u32,
    pub(super) cores: Vec<Core>,
    /// Connections beyond the limit.
    pub(super) probes: ProbeSlots,
    pub(super) metrics: Arc<Metrics>,
}

impl Supervised for Acceptor {
    /// Accepts until the drain begins.
    async fn run(&mut self, drain: &CancellationToken) {
        let held = &self.metrics.traffic.accepts_held;
        let held = held.with_label_values(&[self.name]);
        let mut rate = Rate::new(self.accepts_per_s_max, Instant::now());
        loop {
            if let Some(wait) = rate.take(Instant::now()) {
                held.inc();
                tokio::select! {
                    () = drain.cancelled() => return,
                    () = tokio::time::sleep(wait) => {}
                }
            }
            let accepted = tokio::select! {
                () = drain.cancelled() => return,
                accepted = self.listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, _peer)) => self.hand_over(stream),
                Err(error) => {
                    tracing::warn!(listener = self.name, %error, "accept failed");
                    self.refused("accept");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

impl Acceptor {
    /// Gives a connection to the core that has the fewest. Beyond the limit it serves probes alone.
    fn hand_over(&mut self, stream: TcpStream) {
        let load = |core: &Core| core.connections.load(Ordering::Relaxed);
        let is_full = self.cores.iter().map(load).sum::<usize>() >= self.connections_max;
        let probe = match is_full {
            true => {
                self.refused("connections_max");
                Some(self.probes.add(CancellationToken::new()))
            }
            false => None,
        };
        let Some(core) = self.cores.iter().min_by_key(|core| load(core)) else {
            return;
        };
        let counted = usize::from(probe.is_none());
        core.connections.fetch_add(counted, Ordering::Relaxed);
        if core.inbox.try_send(Accepted { stream, probe }).is_err() {
            core.connections.fetch_sub(counted, Ordering::Relaxed);
            self.refused("handover");
        }
    }

    fn refused(&self, reason: &str) {
        let refused = &self.metrics.traffic.connections_refused;
        refused.with_label_values(&[self.name, reason]).inc();
    }
}

/// A token bucket.
struct Rate {
    period: Duration,
    burst: Duration,
    /// When the next one is due; in the past where a burst may follow.
    due: Instant,
}

impl Rate {
    fn new(per_s: u32, now: Instant) -> Self {
        let period = Duration::from_secs(1) / per_s;
        Self {
            period,
            burst: period * (per_s / BURST_PART),
            due: now.checked_sub(Duration::from_secs(1)).unwrap_or(now),
        }
    }

    /// Takes one token, and returns how long to wait for it.
    fn take(&mut self, now: Instant) -> Option<Duration> {
        let earliest = now.checked_sub(self.burst).unwrap_or(now);
        self.due = self.due.max(earliest);
        let wait = self.due.saturating_duration_since(now);
        self.due += self.period;
        (!wait.is_zero()).then_some(wait)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many are accepted within `time` if each comes as early as it may.
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
    fn accept_rate_is_limited_with_a_burst_of_a_tenth() {
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
