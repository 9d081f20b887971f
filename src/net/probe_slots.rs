//! Connections for probes, which get through whatever others hold: beyond the limit a new one closes an old
//! one, so that peers who hold connections and send nothing hold none for long.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_util::sync::CancellationToken;

/// The connections whose tasks still hold their slot, oldest first.
pub(super) struct ProbeSlots {
    max: usize,
    slots: VecDeque<Arc<ProbeSlot>>,
}

/// One connection's.
pub(super) struct ProbeSlot {
    /// Cancelled when a newer connection takes its place.
    pub(super) close: CancellationToken,
    has_request: AtomicBool,
}

impl ProbeSlots {
    /// For `max` connections, at least one.
    pub(super) fn new(max: usize) -> Self {
        Self {
            max,
            slots: VecDeque::new(),
        }
    }

    /// Adds one. Closes the oldest that has sent no request yet if there are too many; if all have sent
    /// one, the oldest.
    pub(super) fn add(&mut self, close: CancellationToken) -> Arc<ProbeSlot> {
        self.slots.retain(|slot| Arc::strong_count(slot) > 1);
        if self.slots.len() >= self.max {
            let mut slots = self.slots.iter();
            let silent = slots.position(|slot| !slot.has_request.load(Ordering::Relaxed));
            if let Some(closed) = self.slots.remove(silent.unwrap_or(0)) {
                closed.close.cancel();
            }
        }
        let slot = Arc::new(ProbeSlot {
            close,
            has_request: AtomicBool::new(false),
        });
        self.slots.push_back(Arc::clone(&slot));
        slot
    }
}

impl ProbeSlot {
    /// It has sent a request, and is not the first to go.
    pub(super) fn set_has_request(&self) {
        self.has_request.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn oldest_without_a_request_makes_room_then_the_oldest() {
        let mut slots = ProbeSlots::new(3);
        let mut add = || slots.add(CancellationToken::new());
        let first: Vec<_> = (0..3).map(|_| add()).collect();
        first[0].set_has_request();
        let fourth = add();
        let closed = |slot: &ProbeSlot| slot.close.is_cancelled();
        assert_eq!(
            first.iter().map(|s| closed(s)).collect::<Vec<_>>(),
            [false, true, false]
        );
        first[2].set_has_request();
        fourth.set_has_request();
        let fifth = add();
        assert!(closed(&first[0]) && !closed(&first[2]) && !closed(&fifth));
        drop((first, fourth, fifth));
        let again: Vec<_> = (0..3).map(|_| add()).collect();
        assert!(
            !again.iter().any(|slot| closed(slot)),
            "ended ones hold no slot"
        );
    }
}
