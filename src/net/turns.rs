//! The line of calls on one core: who may stand in it, and who is next.
//!
//! Calls of one connection begin in the order in which they came; connections take turns, a few
//! calls at a time. So one connection's many calls are no wait of another's few:
//!
//! ```text
//! few calls waiting ───────────────────────────────▶ the runtime's run queue ─▶ begun
//! many ─▶ backlog of the connection ─▶ its turn ─▶ ┘      (one turn at a time)
//! ```
//!
//! How long the line is, in time, is known from the calls that began: [`Line::has_room`] says whether
//! one more may wait. Everything here belongs to one thread; atomics are for the compiler.

use super::calls::DecidedNow;
use hyper::rt::Executor;
use pin_project_lite::pin_project;
use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

/// Calls of one turn, and those that a connection may have in the run queue outside of turns
/// (chosen: enough that their answers share a system call, half a millisecond of computing).
const TURN_CALLS: usize = 8;
/// Calls that may always wait (chosen: a line this short says nothing, however slow its calls are).
const PLACES_MIN: usize = 4 * TURN_CALLS;
/// How long the line may be longer than allowed before calls are turned away. The idea is CoDel's:
/// a burst passes by itself (chosen: what piled up while the processor was away for a fifth of a
/// second is worked off by then at half of the capacity).
const STANDING_AFTER: Duration = Duration::from_millis(500);
/// Weight of the newest call in the mean, as a shift (chosen: some dozen calls decide).
const MEAN_SHIFT: u32 = 4;
/// No single call counts for more (chosen: a thread that was not running says nothing of calls).
const PLACE_NANOS_MAX: u64 = 50_000_000;
/// Until something was measured.
const PLACE_NANOS_FIRST: u64 = 100_000;

type Task = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Limits of a line.
#[derive(Clone, Copy, Debug)]
pub struct LineLimits {
    /// How long a call may have to wait, once the line has been longer for a while.
    pub wait_max: Duration,
}

/// One core's line.
#[derive(Debug)]
pub(super) struct Core {
    limits: LineLimits,
    born: Instant,
    waiting: AtomicUsize,
    /// Connections with a backlog, the next one first.
    ring: Mutex<VecDeque<Arc<Member>>>,
    /// Calls of the present turn that have not begun.
    in_turn: AtomicUsize,
    /// Mean time between two calls that begin while others wait, and when the last one did.
    place_nanos: AtomicU64,
    begun_at: AtomicU64,
    /// Since when the line is too long; 0 where it is not.
    long_since: AtomicU64,
}

/// A connection's part of it.
#[derive(Default)]
struct Member {
    waiting: AtomicUsize,
    in_queue: AtomicUsize,
    is_in_ring: AtomicBool,
    is_gone: AtomicBool,
    backlog: Mutex<VecDeque<Task>>,
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

impl Core {
    pub(super) fn new(limits: LineLimits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            born: Instant::now(),
            waiting: AtomicUsize::new(0),
            ring: Mutex::default(),
            in_turn: AtomicUsize::new(0),
            place_nanos: AtomicU64::new(PLACE_NANOS_FIRST),
            begun_at: AtomicU64::new(0),
            long_since: AtomicU64::new(0),
        })
    }

    fn now(&self) -> u64 {
        u64::try_from(self.born.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// A call begins, `waiting` others still wait.
    fn begun(&self, waiting: usize) {
        let last = self.begun_at.swap(0, Relaxed);
        if waiting == 0 && last == 0 {
            return;
        }
        let now = self.now();
        if last > 0 {
            let took = (now - last).min(PLACE_NANOS_MAX);
            let mean = self.place_nanos.load(Relaxed);
            let mean = mean - (mean >> MEAN_SHIFT) + (took >> MEAN_SHIFT);
            self.place_nanos.store(mean.max(1), Relaxed);
        }
        if waiting > 0 {
            self.begun_at.store(now, Relaxed);
        }
    }

    /// Calls that may wait on this core now.
    fn places(&self, waiting: usize) -> usize {
        let place = u128::from(self.place_nanos.load(Relaxed));
        let (length, max) = (waiting as u128 * place, self.limits.wait_max.as_nanos());
        let since = self.long_since.load(Relaxed);
        // One greedy connection keeps half of the places filled, give or take a turn.
        if length <= max / 8 {
            if since != 0 {
                self.long_since.store(0, Relaxed);
            }
            return usize::MAX;
        }
        if since == 0 {
            if length > max {
                self.long_since.store(self.now().max(1), Relaxed);
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

    /// Puts the next turn into the run queue, unless one is there.
    fn next_turn(self: &Arc<Self>) {
        if self.in_turn.load(Relaxed) > 0 {
            return;
        }
        let Some(member) = lock(&self.ring).pop_front() else {
            return;
        };
        let tasks: Vec<Task> = {
            let mut backlog = lock(&member.backlog);
            let count = backlog.len().min(TURN_CALLS);
            backlog.drain(..count).collect()
        };
        self.in_turn.store(tasks.len(), Relaxed);
        if lock(&member.backlog).is_empty() {
            member.is_in_ring.store(false, Relaxed);
        } else {
            lock(&self.ring).push_back(Arc::clone(&member));
        }
        tasks.into_iter().for_each(|task| drop(tokio::spawn(task)));
    }
}

impl Line {
    /// A new connection's.
    pub(super) fn new(core: &Arc<Core>) -> Self {
        Self {
            core: Arc::clone(core),
            own: Arc::default(),
        }
    }

    /// A line without a core, where there is always room.
    #[cfg(test)]
    pub(crate) fn alone() -> Self {
        let wait_max = Duration::MAX;
        Self::new(&Core::new(LineLimits { wait_max }))
    }

    /// Whether one more call of this connection may wait. Once the line has been too long for a
    /// while it takes no more than can begin in time, and nobody takes more places than are left.
    /// A connection without a waiting call finds as many places again: it is none of those who make
    /// the line long.
    pub fn has_room(&self) -> bool {
        let waiting = self.core.waiting.load(Relaxed);
        let places = self.core.places(waiting);
        match self.own.waiting.load(Relaxed) {
            0 => waiting < places.saturating_mul(2),
            own => own < places.saturating_sub(waiting),
        }
    }

    /// The connection has ended: its calls that wait need not begin.
    pub(super) fn leave(&self) {
        self.own.is_gone.store(true, Relaxed);
    }

    fn join(&self, is_of_turn: bool) -> Ticket {
        self.core.waiting.fetch_add(1, Relaxed);
        self.own.waiting.fetch_add(1, Relaxed);
        Ticket {
            line: self.clone(),
            is_of_turn,
        }
    }
}

/// A call that waits.
#[derive(Debug)]
struct Ticket {
    line: Line,
    is_of_turn: bool,
}

impl Drop for Ticket {
    /// It begins, or will not.
    fn drop(&mut self) {
        let Line { core, own } = &self.line;
        own.waiting.fetch_sub(1, Relaxed);
        let waiting = core.waiting.fetch_sub(1, Relaxed) - 1;
        core.begun(waiting);
        if !self.is_of_turn {
            own.in_queue.fetch_sub(1, Relaxed);
        } else if core.in_turn.fetch_sub(1, Relaxed) == 1 {
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

/// Runs the calls of one connection in their turn, and at once what is decided without computing.
#[derive(Clone, Debug)]
pub(super) struct Turns {
    line: Line,
    decided: DecidedNow,
}

impl Turns {
    pub(super) fn new(line: Line, decided: DecidedNow) -> Self {
        Self { line, decided }
    }
}

impl<F> Executor<F> for Turns
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        if self.decided.take() {
            let mut call = Box::pin(call);
            let mut idle = Context::from_waker(Waker::noop());
            if call.as_mut().poll(&mut idle).is_pending() {
                tokio::spawn(call);
            }
            return;
        }
        let Line { core, own } = &self.line;
        let is_of_turn = own.is_in_ring.load(Relaxed) || own.in_queue.load(Relaxed) >= TURN_CALLS;
        let ticket = Some(self.line.join(is_of_turn));
        let call = Waiting { ticket, call };
        if !is_of_turn {
            own.in_queue.fetch_add(1, Relaxed);
            tokio::spawn(call);
            return;
        }
        lock(&own.backlog).push_back(Box::pin(call));
        if !own.is_in_ring.swap(true, Relaxed) {
            lock(&core.ring).push_back(Arc::clone(own));
        }
        core.next_turn();
    }
}

#[cfg(test)]
mod tests;
