//! A load generator that costs next to nothing beside what it measures: one thread, frames encoded
//! beforehand, no client library.
//!
//! In an open loop requests are due on a schedule whether or not earlier ones were answered, and a latency counts
//! from the moment when its request was due: a server that stalls cannot hide it. In a closed loop a fixed number
//! of calls is in flight, which finds the capacity. (`hotshelf::demo::open_loop` paces tasks of a runtime; here
//! one thread alternates between the schedule and its sockets.)

#![allow(
    dead_code,
    reason = "each bench uses what it measures of this; the compiler sees one bench at a time"
)]

mod connection;
pub(crate) mod frames;

use connection::Connection;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Longest wait for a socket (chosen: how soon a stop is seen).
const WAIT_MAX: Duration = Duration::from_millis(5);
/// Wait for answers that are still missing once the schedule has ended.
const LINGER: Duration = Duration::from_secs(10);

/// When requests are sent.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// A fixed rate, whatever the server does.
    Open {
        /// Requests per second over all connections.
        rate: f64,
    },
    /// The same, and each call adds a header to the HPACK table of its connection.
    OpenAdding {
        /// Requests per second over all connections.
        rate: f64,
    },
    /// A fixed number in flight on each connection.
    Closed {
        /// Calls in flight on one connection.
        in_flight: usize,
    },
}

/// What is sent, where and how.
#[derive(Clone)]
pub(crate) struct Plan {
    pub(crate) to: SocketAddr,
    pub(crate) connections: usize,
    pub(crate) pace: Pace,
    /// Encoded requests for Recommend, sent in turn.
    pub(crate) messages: Arc<Vec<Vec<u8>>>,
}

/// The outcome of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// A message came back.
    Answered,
    /// A status without a message.
    Refused,
    /// Reset, or the connection ended, or nothing came.
    Lost,
}

/// One request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// When it was due, since the load began.
    pub(crate) due: Duration,
    /// Latency from then to the end of its answer.
    pub(crate) took: Duration,
    /// The part of it after the request was sent: before, it waited here for a stream.
    pub(crate) took_sent: Duration,
    pub(crate) outcome: Outcome,
}

/// Sends until it `is_over`, then waits for what is still in flight; returns everything that was sent. Runs on
/// the calling thread.
pub(crate) fn run(plan: &Plan, is_over: impl Fn() -> bool) -> anyhow::Result<Vec<Sample>> {
    let mut connections = Vec::new();
    let adds = matches!(plan.pace, Pace::OpenAdding { .. });
    for _ in 0..plan.connections {
        connections.push(Connection::open(plan.to, adds)?);
    }
    let began = Instant::now();
    let mut run = Run {
        plan,
        connections,
        began,
        samples: Vec::new(),
        turn: 0,
    };
    let mut due = Duration::ZERO;
    while !is_over() {
        let next = run.send_due(&mut due);
        run.exchange(next)?;
    }
    let end = Instant::now() + LINGER;
    while run.is_waiting() && Instant::now() < end {
        run.exchange(WAIT_MAX)?;
    }
    let now = began.elapsed();
    for connection in &mut run.connections {
        connection.lose_all(now, &mut run.samples);
    }
    Ok(run.samples)
}

/// The same for a fixed time.
pub(crate) fn run_for(plan: &Plan, time: Duration) -> anyhow::Result<Vec<Sample>> {
    let end = Instant::now() + time;
    run(plan, || Instant::now() >= end)
}

struct Run<'a> {
    plan: &'a Plan,
    connections: Vec<Connection>,
    began: Instant,
    samples: Vec<Sample>,
    turn: usize,
}

impl Run<'_> {
    /// Sends what is due; returns the time until more will be.
    fn send_due(&mut self, due: &mut Duration) -> Duration {
        match self.plan.pace {
            Pace::Open { rate } | Pace::OpenAdding { rate } => {
                let period = Duration::from_secs_f64(1.0 / rate);
                let now = self.began.elapsed();
                while *due <= now {
                    let at = self.turn % self.connections.len();
                    self.send(at, *due);
                    *due += period;
                }
                *due - now
            }
            Pace::Closed { in_flight } => {
                for at in 0..self.connections.len() {
                    while self.connections[at].waiting() < in_flight {
                        self.send(at, self.began.elapsed());
                    }
                }
                WAIT_MAX
            }
        }
    }

    fn send(&mut self, at: usize, due: Duration) {
        let messages = &self.plan.messages;
        let message = &messages[self.turn % messages.len()];
        let now = self.began.elapsed();
        self.connections[at].ask(message, (due, now));
        self.turn += 1;
    }

    fn is_waiting(&self) -> bool {
        self.connections.iter().any(|one| one.waiting() > 0)
    }

    /// Writes what can be written, waits for at most `limit`, reads what has come.
    fn exchange(&mut self, limit: Duration) -> anyhow::Result<()> {
        for connection in &mut self.connections {
            connection.write()?;
        }
        let limit = limit.min(WAIT_MAX);
        let wait = Timespec {
            tv_sec: 0,
            tv_nsec: limit.as_nanos() as i64,
        };
        let mut sockets: Vec<PollFd<'_>> = self
            .connections
            .iter()
            .map(|one| {
                let write = if one.has_unsent() {
                    PollFlags::OUT
                } else {
                    PollFlags::empty()
                };
                PollFd::from_borrowed_fd(one.socket(), PollFlags::IN | write)
            })
            .collect();
        poll(&mut sockets, Some(&wait))?;
        let ready: Vec<bool> = sockets
            .iter()
            .map(|one| !one.revents().is_empty())
            .collect();
        drop(sockets);
        for (connection, _) in self.connections.iter_mut().zip(ready).filter(|(_, is)| *is) {
            connection.read(self.began, &mut self.samples)?;
        }
        Ok(())
    }
}

/// The quantile of the samples by this share; zero of none. Sorts them.
pub(crate) fn quantile(took: &mut [Duration], share: f64) -> Duration {
    took.sort_unstable();
    let rank = (share * took.len() as f64).ceil() as usize;
    match took.len() {
        0 => Duration::ZERO,
        len => took[rank.clamp(1, len) - 1],
    }
}
