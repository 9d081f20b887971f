//! One decision per call: a permit, or none.

use super::fair_queue::{Flow, Turn};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};

/// Calls in flight on one listener, over all of its cores.
#[derive(Debug)]
pub struct ConcurrencyLimit {
    calls_max: usize,
    in_flight: AtomicUsize,
}

impl ConcurrencyLimit {
    /// At most `calls_max` calls. Two cores that take the last slots at the same moment exceed it by one.
    pub fn new(calls_max: usize) -> Arc<Self> {
        Arc::new(Self {
            calls_max,
            in_flight: AtomicUsize::new(0),
        })
    }
}

/// Admits the calls of one connection.
#[derive(Clone, Debug)]
pub struct Admission {
    limit: Arc<ConcurrencyLimit>,
    flow: Flow,
    /// Calls in flight on this connection.
    own: Arc<AtomicUsize>,
}

impl Admission {
    /// For a new connection, whose part of its core's queue is `flow`.
    pub fn new(limit: Arc<ConcurrencyLimit>, flow: Flow) -> Self {
        Self {
            limit,
            flow,
            own: Arc::default(),
        }
    }

    /// Decides on one call; `None` rejects it. Every connection leaves as many slots of the
    /// concurrency limit to others as it takes itself.
    pub fn admit(&self) -> Option<Permit> {
        let in_flight = self.limit.in_flight.load(Relaxed);
        let free = self.limit.calls_max.saturating_sub(in_flight);
        if self.own.load(Relaxed) >= free || !self.flow.has_room() {
            self.flow.reject();
            return None;
        }
        Some(Permit {
            _slot: Some(Slot::take(self)),
            turn: Turn::new(self.flow.clone()),
        })
    }

    /// A permit for a call that is never rejected; it takes its turns like any other.
    pub fn exempt(&self) -> Permit {
        Permit {
            _slot: None,
            turn: Turn::new(self.flow.clone()),
        }
    }
}

/// An admitted call's slot and its place in the fair queue; both are given back on drop.
#[derive(Debug)]
pub struct Permit {
    turn: Turn,
    _slot: Option<Slot>,
}

impl Permit {
    /// Ready when the call may be polled once. Every poll takes a turn, so that work after an await is charged
    /// to the call's connection too, and an await delays no other call.
    pub fn poll_turn(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        self.turn.poll(cx)
    }
}

#[derive(Debug)]
struct Slot {
    limit: Arc<ConcurrencyLimit>,
    own: Arc<AtomicUsize>,
}

impl Slot {
    fn take(admission: &Admission) -> Self {
        admission.limit.in_flight.fetch_add(1, Relaxed);
        admission.own.fetch_add(1, Relaxed);
        Self {
            limit: Arc::clone(&admission.limit),
            own: Arc::clone(&admission.own),
        }
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.limit.in_flight.fetch_sub(1, Relaxed);
        self.own.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connection_leaves_as_many_slots_to_others_as_it_takes() {
        let limit = ConcurrencyLimit::new(100);
        let connections: Vec<_> = (0..4)
            .map(|_| Admission::new(Arc::clone(&limit), Flow::alone()))
            .collect();
        let mut permits: Vec<_> = std::iter::from_fn(|| connections[0].admit()).collect();
        assert_eq!(permits.len(), 50);
        permits.extend(std::iter::from_fn(|| connections[1].admit()));
        permits.extend(std::iter::from_fn(|| connections[2].admit()));
        assert!(connections[0].admit().is_none());
        assert!(
            connections[3].admit().is_some(),
            "there is room for one more"
        );
        drop(permits);
        assert_eq!(limit.in_flight.load(Relaxed), 0);
    }

    #[test]
    fn exempt_call_is_admitted_beyond_the_limit_and_takes_no_slot() {
        let limit = ConcurrencyLimit::new(1);
        let connection = Admission::new(Arc::clone(&limit), Flow::alone());
        let _only = connection.admit().unwrap();
        assert!(connection.admit().is_none());
        let _health = connection.exempt();
        assert_eq!(limit.in_flight.load(Relaxed), 1);
    }
}
