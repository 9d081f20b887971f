//! The queued calls of one core, and which of them is next.
//!
//! Every poll of a call takes a turn. The turns of one connection (a flow) are granted in the order of the
//! requests for them. Connections are served round robin, a quantum of a few calls at a time (deficit round robin
//! with a call as the unit). So one connection's many calls do not delay another's few:
//!
//! ```text
//! some of the quantum left ───────────────────────────────────────────────────────────▶ started
//! quantum used up ─▶ backlog of the connection ─▶ its turn ─▶ the runtime's run queue ─▶ ┘
//!                                             (one connection at a time)
//! ```
//!
//! A connection with quantum left starts its calls where they are read, in its own task. It is served before
//! connections without quantum (like new flows in FQ-CoDel). The quantum refills when the connection's turn comes
//! and, if no call is queued, whenever its task runs. All connections together start at most four quanta in this
//! way until every ready task has run, so calls on many connections at once are queued as well.
//!
//! A call that awaits something holds no turn: it delays no other call, and its await counts neither as
//! queueing nor as service time. Before it continues, it takes another turn.
//!
//! Everything here belongs to one thread, so the lock is never contended.

use super::queue_delay::QueueDelay;
use super::rejection_budget::RejectionBudget;
use slab::Slab;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// Quanta that start where they are read until everything that is ready has run (chosen: a caller with few
/// calls gets in beside three connections that have just begun to ask for many; in time, at most 1.6 ms, as
/// long as a quantum is not one slow call).
const INLINE_QUANTA: usize = 4;

/// Limits of a queue.
#[derive(Clone, Copy, Debug)]
pub struct QueueLimits {
    /// Longest sustained queueing delay.
    pub delay_max: Duration,
}

/// One core's queue.
#[derive(Debug)]
pub struct FairQueue(Mutex<State>);

#[derive(Debug)]
struct State {
    flows: Slab<FlowState>,
    waiters: Slab<Waiter>,
    /// Flows with a backlog and some of their quantum left.
    unspent: VecDeque<usize>,
    /// Flows that have started calls since their last turn, in the order of the next one.
    ring: VecDeque<usize>,
    /// Queued calls: in a backlog, or granted a turn and not polled since.
    queued: usize,
    granted: usize,
    /// Flows with a queued call.
    flows_queued: usize,
    /// Calls that started without waiting since everything that was ready then has run.
    inline: usize,
    delay: QueueDelay,
    rejections: RejectionBudget,
}

#[derive(Debug)]
struct FlowState {
    /// Waiters without a turn.
    backlog: VecDeque<usize>,
    queued: usize,
    /// Calls that may start before the flow's next turn.
    quantum: usize,
    is_unspent: bool,
    is_in_ring: bool,
    /// Calls rejected since the connection's last read.
    rejected: u64,
}

#[derive(Debug)]
struct Waiter {
    waker: Waker,
    is_granted: bool,
}

impl FairQueue {
    /// An empty queue.
    pub fn new(limits: QueueLimits) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            flows: Slab::new(),
            waiters: Slab::new(),
            unspent: VecDeque::new(),
            ring: VecDeque::new(),
            queued: 0,
            granted: 0,
            flows_queued: 0,
            inline: 0,
            delay: QueueDelay::new(limits.delay_max),
            rejections: RejectionBudget::new(),
        })))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// After everything that is ready now has run, calls may start without waiting again.
    fn reset_inline(self: &Arc<Self>) {
        let queue = Arc::clone(self);
        tokio::spawn(async move { queue.lock().inline = 0 });
    }
}

impl State {
    /// Whether a call of this flow starts without waiting; if so it is charged.
    fn start_inline(&mut self, flow: usize) -> bool {
        let is_full = self.inline >= INLINE_QUANTA * self.delay.quantum_calls();
        let own = &mut self.flows[flow];
        if own.quantum == 0 || own.queued > 0 || is_full {
            return false;
        }
        own.quantum -= 1;
        self.inline += 1;
        if self.queued > 0 {
            self.enter_ring(flow);
        }
        self.delay.started(self.queued);
        true
    }

    /// Returns the waiter's key. With no backlog before it, it is granted its turn at once and its task is
    /// to be woken.
    fn enqueue(&mut self, flow: usize, waker: Waker) -> usize {
        self.queued += 1;
        let own = &mut self.flows[flow];
        own.queued += 1;
        self.flows_queued += usize::from(own.queued == 1);
        let has_backlog = self.queued > self.granted + 1;
        let is_granted = !has_backlog && self.granted < self.delay.quantum_calls();
        let key = self.waiters.insert(Waiter { waker, is_granted });
        if is_granted {
            self.granted += 1;
            return key;
        }
        own.backlog.push_back(key);
        if own.quantum == 0 {
            self.enter_ring(flow);
        } else if !own.is_unspent {
            own.is_unspent = true;
            self.unspent.push_back(flow);
        }
        key
    }

    fn enter_ring(&mut self, flow: usize) {
        let own = &mut self.flows[flow];
        if !own.is_in_ring {
            own.is_in_ring = true;
            self.ring.push_back(flow);
        }
    }

    /// A waiter is gone: it starts, or was dropped. Returns who is next.
    fn leave(&mut self, flow: usize, key: usize) -> Vec<Waker> {
        let waiter = self.waiters.remove(key);
        let own = &mut self.flows[flow];
        own.queued -= 1;
        self.flows_queued -= usize::from(own.queued == 0);
        self.queued -= 1;
        if !waiter.is_granted {
            own.backlog.retain(|waiting| *waiting != key);
            return Vec::new();
        }
        self.granted -= 1;
        self.delay.started(self.queued);
        if self.queued == 0 {
            self.forget_order();
        }
        if self.granted > 0 {
            return Vec::new();
        }
        self.grant_next()
    }

    /// No call is queued: every quantum refills when its connection's task runs next.
    fn forget_order(&mut self) {
        for flow in self.ring.drain(..) {
            self.flows[flow].is_in_ring = false;
        }
        for flow in self.unspent.drain(..) {
            self.flows[flow].is_unspent = false;
        }
    }

    /// Grants the next connection its turn.
    fn grant_next(&mut self) -> Vec<Waker> {
        while let Some(flow) = self.next_flow() {
            let own = &mut self.flows[flow];
            let count = own.backlog.len().min(own.quantum);
            if count == 0 {
                continue;
            }
            own.quantum -= count;
            self.granted = count;
            let keys = own.backlog.drain(..count);
            let waiters = &mut self.waiters;
            let grant = |key| {
                let waiter: &mut Waiter = &mut waiters[key];
                waiter.is_granted = true;
                waiter.waker.clone()
            };
            return keys.map(grant).collect();
        }
        Vec::new()
    }

    /// Whose turn it is; its quantum says for how many calls.
    fn next_flow(&mut self) -> Option<usize> {
        if let Some(flow) = self.unspent.pop_front() {
            self.flows[flow].is_unspent = false;
            self.enter_ring(flow);
            return Some(flow);
        }
        loop {
            let flow = self.ring.pop_front()?;
            let own = &mut self.flows[flow];
            own.quantum = self.delay.quantum_calls();
            if own.backlog.is_empty() {
                own.is_in_ring = false;
                continue;
            }
            self.ring.push_back(flow);
            return Some(flow);
        }
    }

    /// Whether one more call of this flow may wait. Once the delay has exceeded its limit for a while
    /// the queue takes no more calls than can start in time. Then each connection that has calls
    /// waiting may have an equal part of it, and what others leave of theirs.
    fn has_room(&mut self, flow: usize) -> bool {
        let len_max = self.delay.queue_len_max(self.queued);
        let own = self.flows[flow].queued;
        let flows = self.flows_queued + usize::from(own == 0);
        own < len_max / flows.max(1) || own < len_max.saturating_sub(self.queued)
    }
}

/// One connection's part of its core's queue; clones are the same.
#[derive(Clone, Debug)]
pub struct Flow(Arc<Registered>);

#[derive(Debug)]
struct Registered {
    queue: Arc<FairQueue>,
    key: usize,
}

impl Drop for Registered {
    fn drop(&mut self) {
        let mut state = self.queue.lock();
        let flow = state.flows.remove(self.key);
        // A key is used again.
        if flow.is_in_ring {
            state.ring.retain(|key| *key != self.key);
        }
        if flow.is_unspent {
            state.unspent.retain(|key| *key != self.key);
        }
    }
}

impl Flow {
    /// A new connection's.
    pub fn new(queue: &Arc<FairQueue>) -> Self {
        let mut state = queue.lock();
        let quantum = state.delay.quantum_calls();
        let key = state.flows.insert(FlowState {
            backlog: VecDeque::new(),
            queued: 0,
            quantum,
            is_unspent: false,
            is_in_ring: false,
            rejected: 0,
        });
        let queue = Arc::clone(queue);
        Self(Arc::new(Registered { queue, key }))
    }

    /// The only one of a queue that always has room.
    #[cfg(test)]
    pub(crate) fn alone() -> Self {
        let delay_max = Duration::MAX;
        Self::new(&FairQueue::new(QueueLimits { delay_max }))
    }

    /// The connection's task runs: where no call waits, it gets a whole quantum for what it reads.
    pub fn refill(&self) {
        let mut state = self.0.queue.lock();
        if state.queued == 0 {
            let quantum = state.delay.quantum_calls();
            state.flows[self.0.key].quantum = quantum;
        }
    }

    /// How long to wait before the connection is read again; `None` where no call was rejected since
    /// the last time.
    pub fn read_backoff(&self) -> Option<Duration> {
        let mut state = self.0.queue.lock();
        match std::mem::take(&mut state.flows[self.0.key].rejected) {
            0 => None,
            rejected => Some(state.rejections.backoff(rejected)),
        }
    }

    pub(super) fn has_room(&self) -> bool {
        self.0.queue.lock().has_room(self.0.key)
    }

    pub(super) fn reject(&self) {
        self.0.queue.lock().flows[self.0.key].rejected += 1;
    }
}

/// A call's place in the queue; dropped, it leaves.
#[derive(Debug)]
pub(super) struct Turn {
    flow: Flow,
    waiter: Option<usize>,
}

impl Turn {
    pub(super) fn new(flow: Flow) -> Self {
        Self { flow, waiter: None }
    }

    /// Ready once for every turn.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Registered { queue, key: flow } = &*self.flow.0;
        let mut state = queue.lock();
        let Some(key) = self.waiter else {
            if state.start_inline(*flow) {
                if state.inline == 1 {
                    queue.reset_inline();
                }
                return Poll::Ready(());
            }
            let key = state.enqueue(*flow, cx.waker().clone());
            self.waiter = Some(key);
            let is_granted = state.waiters[key].is_granted;
            drop(state);
            if is_granted {
                cx.waker().wake_by_ref();
            }
            return Poll::Pending;
        };
        let waiter = &mut state.waiters[key];
        if !waiter.is_granted {
            waiter.waker.clone_from(cx.waker());
            return Poll::Pending;
        }
        self.waiter = None;
        let next = state.leave(*flow, key);
        // A woken task may be dropped at once, and with it a place in this queue.
        drop(state);
        next.into_iter().for_each(Waker::wake);
        Poll::Ready(())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(key) = self.waiter.take() {
            let Registered { queue, key: flow } = &*self.flow.0;
            let next = queue.lock().leave(*flow, key);
            next.into_iter().for_each(Waker::wake);
        }
    }
}

#[cfg(test)]
mod tests;
