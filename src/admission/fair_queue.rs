//! The line of calls on one core: who may stand in it, and who is next.
//!
//! Calls of one connection begin in the order in which they came; connections take turns, a few
//! calls at a time. So one connection's many calls are no wait of another's few:
//!
//! ```text
//! some of its turn left ──────────────────────────────────────────────────────────▶ begun
//! all of its turn had   ─▶ backlog of the connection ─▶ its turn ─▶ the runtime's ─▶ ┘
//!                                                (one at a time)     run queue
//! ```
//!
//! A connection that has some of its turn left begins its calls where they are read, in its own task:
//! they wait for nothing but the look at its socket. A turn is had anew whenever it is the connection's,
//! and where nobody waits, with each look. All connections together begin no more than four turns so
//! until everything that is ready has run: what comes on many connections at once stands in line as well.
//!
//! How long the line is, in time, is known from the calls that began: [`Line::has_room`] says whether
//! one more may wait. Everything here belongs to one thread; atomics are for the compiler.

use super::queue_delay::Pace;
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

/// What it costs to turn away a call whose headers were read (estimated from a profile of
/// `bench/overload`: reading, decoding, the answer and its part of two system calls).
const REFUSAL_NANOS: u64 = 4_000;
/// And each read that brought such calls, however many (measured, `bench/overload` with 400 connections: 38,000
/// of them in a second filled a core).
const REFUSING_READ_NANOS: u64 = 20_000;
/// Turns that begin where they are read until everything that is ready has run (chosen: a caller with few calls
/// is let in beside three connections that have just begun to ask for many; in time, at most 1.6 ms, as long as
/// a turn is not one slow call).
const AT_ONCE_TURNS: usize = 4;

/// Says of a call whether its answer is known before anything was computed. Such a call need not
/// wait for its turn.
pub trait Decided {
    /// True where the first poll answers, at next to no cost.
    fn is_decided(&self) -> bool;
}

/// Set by the call that was just made, taken by whoever runs it.
#[derive(Clone, Debug, Default)]
pub struct DecidedNow(Arc<AtomicBool>);

impl DecidedNow {
    pub(crate) fn set(&self, is_decided: bool) {
        self.0.store(is_decided, Relaxed);
    }

    pub(crate) fn take(&self) -> bool {
        self.0.swap(false, Relaxed)
    }
}

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Limits of a line.
#[derive(Clone, Copy, Debug)]
pub struct LineLimits {
    /// How long a call may have to wait, once the line has been longer for a while.
    pub wait_max: Duration,
}

/// One core's line.
#[derive(Debug)]
pub(crate) struct Core {
    pace: Pace,
    waiting: AtomicUsize,
    /// Connections with a call that waits.
    askers: AtomicUsize,
    /// Calls in the run queue that have not begun.
    in_queue: AtomicUsize,
    /// Calls that began where they were read, since all that was ready then has run.
    at_once: AtomicUsize,
    order: Mutex<Order>,
}

/// Connections with a backlog, in the order of their turns.
#[derive(Debug, Default)]
struct Order {
    /// Those that have some of their last turn left.
    first: VecDeque<Arc<Member>>,
    /// All that had a turn since the last time that it was theirs.
    ring: VecDeque<Arc<Member>>,
}

/// A connection's part of it.
struct Member {
    waiting: AtomicUsize,
    /// Calls of a turn that are left until it is its turn in the ring.
    left: AtomicUsize,
    is_first: AtomicBool,
    is_in_ring: AtomicBool,
    is_gone: AtomicBool,
    backlog: Mutex<VecDeque<Task>>,
    /// Nanoseconds that turning away its calls took.
    turned_away: AtomicU64,
}

/// A connection's place in its core's line.
#[derive(Clone, Debug)]
pub struct Line {
    core: Arc<Core>,
    own: Arc<Member>,
}

impl std::fmt::Debug for Member {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Member")
            .field("waiting", &self.waiting)
            .finish_non_exhaustive()
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing panics while it holds one.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Order {
    /// Whose turn it is, and how many of its calls may begin, in a turn of `calls`.
    fn next(&mut self, calls: usize) -> Option<(Arc<Member>, usize)> {
        if let Some(member) = self.first.pop_front() {
            member.is_first.store(false, Relaxed);
            let left = member.left.load(Relaxed);
            if !member.is_in_ring.swap(true, Relaxed) {
                self.ring.push_back(Arc::clone(&member));
            }
            return Some((member, left));
        }
        loop {
            let member = self.ring.pop_front()?;
            member.left.store(calls, Relaxed);
            if lock(&member.backlog).is_empty() {
                member.is_in_ring.store(false, Relaxed);
                continue;
            }
            self.ring.push_back(Arc::clone(&member));
            return Some((member, calls));
        }
    }
}

impl Member {
    /// What it has had of its turn comes back when it is its turn again.
    fn enter_ring(self: &Arc<Self>, core: &Core) {
        if !self.is_in_ring.swap(true, Relaxed) {
            lock(&core.order).ring.push_back(Arc::clone(self));
        }
    }
}

impl Core {
    pub(crate) fn new(limits: LineLimits) -> Arc<Self> {
        Arc::new(Self {
            pace: Pace::new(limits),
            waiting: AtomicUsize::new(0),
            askers: AtomicUsize::new(0),
            in_queue: AtomicUsize::new(0),
            at_once: AtomicUsize::new(0),
            order: Mutex::default(),
        })
    }

    /// Whether no more calls may begin where they are read, for now.
    fn is_full(&self, at_once: usize) -> bool {
        at_once >= AT_ONCE_TURNS * self.pace.turn_calls()
    }

    /// Nobody waits: all have their whole turn again, with their next look.
    fn forget_turns(&self) {
        for member in lock(&self.order).ring.drain(..) {
            member.is_in_ring.store(false, Relaxed);
        }
    }

    /// Puts the next turn into the run queue.
    fn next_turn(&self) {
        loop {
            let next = lock(&self.order).next(self.pace.turn_calls());
            let Some((member, calls_max)) = next else {
                return;
            };
            let tasks: Vec<Task> = {
                let mut backlog = lock(&member.backlog);
                let count = backlog.len().min(calls_max);
                backlog.drain(..count).collect()
            };
            if tasks.is_empty() {
                continue;
            }
            member.left.fetch_sub(tasks.len(), Relaxed);
            self.in_queue.store(tasks.len(), Relaxed);
            tasks.into_iter().for_each(|task| drop(tokio::spawn(task)));
            return;
        }
    }
}

impl Line {
    /// A new connection's.
    pub(crate) fn new(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            own: Arc::new(Member {
                waiting: AtomicUsize::new(0),
                left: AtomicUsize::new(core.pace.turn_calls()),
                is_first: AtomicBool::new(false),
                is_in_ring: AtomicBool::new(false),
                is_gone: AtomicBool::new(false),
                backlog: Mutex::default(),
                turned_away: AtomicU64::new(0),
            }),
        }
    }

    /// A line without a core, where there is always room.
    #[cfg(test)]
    pub(crate) fn alone() -> Self {
        let wait_max = Duration::MAX;
        Self::new(&Core::new(LineLimits { wait_max }))
    }

    /// Whether one more call of this connection may wait. Once the line has been too long for a
    /// while it takes no more than can begin in time. Then a connection has its part of the places,
    /// the same for all with a call that waits, and what others leave of theirs.
    pub fn has_room(&self) -> bool {
        let waiting = self.core.waiting.load(Relaxed);
        let places = self.core.pace.places(waiting);
        let own = self.own.waiting.load(Relaxed);
        let askers = self.core.askers.load(Relaxed) + usize::from(own == 0);
        own < places / askers.max(1) || own < places.saturating_sub(waiting)
    }

    /// One of its calls had no room.
    pub fn turned_away(&self) {
        self.own.turned_away.fetch_add(REFUSAL_NANOS, Relaxed);
    }

    /// How long not to read on, after calls were turned away; `None` where none were since the last
    /// time. The longer, the more of the core's time that takes.
    pub(crate) fn hold(&self) -> Option<Duration> {
        match self.own.turned_away.load(Relaxed) {
            0 => None,
            nanos => {
                self.own.turned_away.store(0, Relaxed);
                Some(self.core.pace.hold(nanos + REFUSING_READ_NANOS))
            }
        }
    }

    /// The connection's task runs: where nobody waits, it has a whole turn for what it reads.
    pub(crate) fn looks(&self) {
        if self.core.waiting.load(Relaxed) == 0 {
            self.own.left.store(self.core.pace.turn_calls(), Relaxed);
        }
    }

    /// Whether a call of this connection begins here and now.
    fn begins_at_once(&self) -> bool {
        let Self { core, own } = self;
        let left = own.left.load(Relaxed);
        let at_once = core.at_once.load(Relaxed);
        if left == 0 || own.waiting.load(Relaxed) > 0 || core.is_full(at_once) {
            return false;
        }
        if at_once == 0 {
            // Runs behind everything that is ready now.
            let core = Arc::clone(core);
            tokio::spawn(async move { core.at_once.store(0, Relaxed) });
        }
        core.at_once.store(at_once + 1, Relaxed);
        own.left.store(left - 1, Relaxed);
        let waiting = core.waiting.load(Relaxed);
        if waiting > 0 {
            own.enter_ring(core);
        }
        core.pace.begun(waiting);
        true
    }

    /// The connection has ended: its calls that wait need not begin.
    pub(crate) fn leave(&self) {
        self.own.is_gone.store(true, Relaxed);
    }

    fn join(&self) -> Ticket {
        self.core.waiting.fetch_add(1, Relaxed);
        if self.own.waiting.fetch_add(1, Relaxed) == 0 {
            self.core.askers.fetch_add(1, Relaxed);
        }
        Ticket { line: self.clone() }
    }
}

/// A call that waits.
#[derive(Debug)]
struct Ticket {
    line: Line,
}

impl Drop for Ticket {
    /// It begins, or will not.
    fn drop(&mut self) {
        let Line { core, own } = &self.line;
        if own.waiting.fetch_sub(1, Relaxed) == 1 {
            core.askers.fetch_sub(1, Relaxed);
        }
        let waiting = core.waiting.fetch_sub(1, Relaxed) - 1;
        core.pace.begun(waiting);
        let in_queue = core.in_queue.load(Relaxed).saturating_sub(1);
        core.in_queue.store(in_queue, Relaxed);
        if waiting == 0 {
            core.forget_turns();
        } else if in_queue == 0 {
            core.next_turn();
        }
    }
}

pin_project! {
    /// A call on its way to its beginning, and then the call.
    struct Waiting<F> {
        ticket: Option<Ticket>,
        #[pin]
        call: F,
    }
}

impl<F: Future<Output = ()>> Future for Waiting<F> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let this = self.project();
        if let Some(ticket) = this.ticket.take()
            && ticket.line.own.is_gone.load(Relaxed)
        {
            return Poll::Ready(());
        }
        this.call.poll(cx)
    }
}

/// Runs the calls of one connection in their turn: at once while some of that is left, and what is decided
/// without computing in any case.
#[derive(Clone, Debug)]
pub(crate) struct Turns {
    line: Line,
    decided: DecidedNow,
}

impl Turns {
    pub(crate) fn new(line: Line, decided: DecidedNow) -> Self {
        Self { line, decided }
    }
}

impl<F> Executor<F> for Turns
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        if self.decided.take() || self.line.begins_at_once() {
            let mut call = Box::pin(call);
            let mut idle = Context::from_waker(Waker::noop());
            if call.as_mut().poll(&mut idle).is_pending() {
                tokio::spawn(call);
            }
            return;
        }
        let Line { core, own } = &self.line;
        let ticket = Some(self.line.join());
        let call = Waiting { ticket, call };
        let waiting = core.waiting.load(Relaxed);
        let in_queue = core.in_queue.load(Relaxed);
        // All that wait are in the queue, and there are few of them.
        if waiting == in_queue + 1 && in_queue < core.pace.turn_calls() {
            core.in_queue.store(in_queue + 1, Relaxed);
            tokio::spawn(call);
            return;
        }
        lock(&own.backlog).push_back(Box::pin(call));
        if own.left.load(Relaxed) == 0 {
            own.enter_ring(core);
        } else if !own.is_first.swap(true, Relaxed) {
            lock(&core.order).first.push_back(Arc::clone(own));
        }
    }
}

#[cfg(test)]
mod tests;
