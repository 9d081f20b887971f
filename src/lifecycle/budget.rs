//! How much memory the versions of this process may hold, all models together.
//!
//! Memory is reserved before the first part is fetched, by what the manifest states, and released when the
//! version's memory is free: draining versions count. Response cache, connections and the program itself
//! are not part of the budget; see `memory_bytes_max`.

use super::state::{LoadError, LoadErrorKind};
use prometheus::IntGauge;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::watch;

/// The budget of the process.
pub struct MemoryBudget {
    limit_bytes: u64,
    reserved_bytes: AtomicU64,
    shown: IntGauge,
    freed: watch::Sender<()>,
    is_short: watch::Sender<bool>,
}

/// What one version needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Need {
    /// Its parts.
    pub parts_bytes: u64,
    /// What unpacking allocates beside them.
    pub working_bytes: u64,
}

/// Reserved memory; released when dropped.
pub struct Reservation {
    budget: Arc<MemoryBudget>,
    bytes: u64,
}

impl MemoryBudget {
    /// Nothing is reserved yet. `shown` follows what is.
    pub fn new(limit_bytes: u64, shown: IntGauge) -> Arc<Self> {
        Arc::new(Self {
            limit_bytes,
            reserved_bytes: AtomicU64::new(0),
            shown,
            freed: watch::Sender::new(()),
            is_short: watch::Sender::new(false),
        })
    }

    /// Notified whenever memory was released.
    pub(super) fn freed(&self) -> watch::Receiver<()> {
        self.freed.subscribe()
    }

    /// True from the refusal of a version that would fit if others were retired until a reservation succeeds.
    pub(super) fn shortage(&self) -> watch::Receiver<bool> {
        self.is_short.subscribe()
    }

    fn set_shortage(&self, now: bool) {
        self.is_short
            .send_if_modified(|is_short| std::mem::replace(is_short, now) != now);
    }

    /// Reserves memory for a version, all of it or none.
    ///
    /// # Errors
    /// Kind `memory_budget`: need, limit, and what holds the rest. Retrying helps once memory is freed,
    /// unless the need is over the whole limit.
    pub(super) fn reserve(
        self: &Arc<Self>,
        version: hotshelf_registry::Version,
        need: Need,
    ) -> Result<Reservation, LoadError> {
        let grown = self.grow(need.bytes());
        grown.map_err(|held_bytes| self.refusal(version, need, held_bytes))?;
        self.set_shortage(false);
        Ok(Reservation {
            budget: Arc::clone(self),
            bytes: need.bytes(),
        })
    }

    /// Adds to what is reserved; the error is how much is reserved already.
    fn grow(&self, bytes: u64) -> Result<(), u64> {
        let fits = |held: u64| {
            held.checked_add(bytes)
                .filter(|sum| *sum <= self.limit_bytes)
        };
        let grown = self
            .reserved_bytes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, fits);
        self.show();
        grown.map(drop)
    }

    fn release(&self, bytes: u64) {
        self.reserved_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.show();
        self.freed.send_replace(());
    }

    fn show(&self) {
        let reserved = self.reserved_bytes.load(Ordering::Relaxed);
        self.shown.set(i64::try_from(reserved).unwrap_or(i64::MAX));
    }

    fn refusal(
        &self,
        version: hotshelf_registry::Version,
        need: Need,
        held_bytes: u64,
    ) -> LoadError {
        let free = self.limit_bytes.saturating_sub(held_bytes);
        let fits_alone = need.bytes() <= self.limit_bytes;
        if fits_alone {
            self.set_shortage(true);
        }
        let why = if fits_alone {
            format!(
                "versions in memory hold {}; it would fit by itself, but a swap holds the old and the new \
                 version at once, which takes memory_bytes_max of at least {}",
                in_words(held_bytes),
                in_words(held_bytes.saturating_add(need.bytes())),
            )
        } else {
            "it would not fit even by itself".to_owned()
        };
        let message = format!(
            "version {version} needs {} ({} parts + {} working memory); {} of memory_bytes_max {} are \
             free: {why}",
            in_words(need.bytes()),
            in_words(need.parts_bytes),
            in_words(need.working_bytes),
            in_words(free),
            in_words(self.limit_bytes),
        );
        LoadError {
            kind: LoadErrorKind::MemoryBudget,
            message,
            is_retryable: fits_alone,
        }
    }
}

impl Need {
    fn bytes(self) -> u64 {
        self.parts_bytes.saturating_add(self.working_bytes)
    }
}

impl Reservation {
    /// Sets it to what a loaded version actually holds.
    ///
    /// # Errors
    /// It holds more than was reserved and the budget has no room for the difference.
    pub(super) fn settle(
        &mut self,
        version: hotshelf_registry::Version,
        held_bytes: u64,
    ) -> Result<(), LoadError> {
        if held_bytes > self.bytes {
            let more = held_bytes - self.bytes;
            tracing::warn!(%version, held_bytes, reserved_bytes = self.bytes, "version uses more memory than its manifest states");
            let need = Need {
                parts_bytes: self.bytes,
                working_bytes: more,
            };
            let grown = self.budget.grow(more);
            grown.map_err(|held| self.budget.refusal(version, need, held))?;
        } else if held_bytes < self.bytes {
            self.budget.release(self.bytes - held_bytes);
        }
        self.bytes = held_bytes;
        Ok(())
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.budget.release(self.bytes);
    }
}

/// `812 MB`, `1.2 GB`: at most three digits.
fn in_words(bytes: u64) -> String {
    let units = [("GB", 1e9), ("MB", 1e6), ("kB", 1e3)];
    let value = bytes as f64;
    match units.into_iter().find(|(_, size)| value >= *size) {
        None => format!("{bytes} bytes"),
        Some((unit, size)) if value / size >= 100.0 => format!("{:.0} {unit}", value / size),
        Some((unit, size)) => format!("{:.1} {unit}", value / size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use hotshelf_registry::Version;

    fn budget(limit_bytes: u64) -> Arc<MemoryBudget> {
        MemoryBudget::new(limit_bytes, IntGauge::new("x", "x").unwrap())
    }

    fn v(number: u64) -> Version {
        Version::new(number).unwrap()
    }

    fn need(parts_bytes: u64, working_bytes: u64) -> Need {
        Need {
            parts_bytes,
            working_bytes,
        }
    }

    #[test]
    fn version_over_the_budget_is_refused_with_need_limit_and_reason() {
        let budget = budget(1_200_000_000);
        let held = budget.reserve(v(6), need(850_000_000, 50_000_000)).unwrap();
        let error = budget
            .reserve(v(7), need(700_000_000, 112_000_000))
            .map(drop)
            .unwrap_err();
        assert_eq!(
            (error.kind.as_str(), error.is_retryable),
            ("memory_budget", true)
        );
        assert_eq!(
            error.message,
            "version 7 needs 812 MB (700 MB parts + 112 MB working memory); 300 MB of \
             memory_bytes_max 1.2 GB are free: versions in memory hold 900 MB; it would fit by itself, \
             but a swap holds the old and the new version at once, which takes memory_bytes_max of \
             at least 1.7 GB"
        );
        drop(held);
        assert!(budget.reserve(v(7), need(700_000_000, 112_000_000)).is_ok());
    }

    #[test]
    fn version_that_can_never_fit_is_not_retried() {
        for huge in [1_001, u64::MAX] {
            let error = budget(1_000).reserve(v(7), need(huge, 1)).map(drop);
            let error = error.unwrap_err();
            assert!(!error.is_retryable);
            assert!(
                error.message.ends_with("it would not fit even by itself"),
                "{}",
                error.message
            );
        }
    }

    #[test]
    fn reservations_follow_usage_and_announce_freed_memory() {
        let budget = budget(1_000);
        let mut freed = budget.freed();
        let mut one = budget.reserve(v(1), need(300, 300)).unwrap();
        assert!(!freed.has_changed().unwrap());
        assert!(budget.reserve(v(2), need(500, 0)).is_err());
        assert!(!freed.has_changed().unwrap(), "a refusal frees nothing");
        one.settle(v(1), 400).unwrap();
        assert!(freed.has_changed().unwrap());
        freed.mark_unchanged();
        let two = budget.reserve(v(2), need(500, 0)).unwrap();
        assert_eq!(budget.shown.get(), 900);
        one.settle(v(1), 500).unwrap();
        assert!(one.settle(v(1), 501).is_err());
        drop(one);
        assert!(freed.has_changed().unwrap());
        drop(two);
        assert_eq!(budget.shown.get(), 0);
    }
}
