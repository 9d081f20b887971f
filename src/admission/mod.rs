//! Admission: whether a call is served, and when. Knows connections and calls, but neither sockets nor
//! gRPC: the layer that rejects is `crate::grpc`'s.
//!
//! ```text
//! call ─▶ Admission::admit ─▶ no room: rejected, and its connection's reads back off
//!               └▶ Permit ─▶ poll_turn: the connection's quantum, or the fair queue ─▶ one poll of the call
//!                     ▲                                                                     │
//!                     └──────────── it awaited something: the next poll takes a turn ◀──────┘
//! ```
//!
//! - [`ConcurrencyLimit`]: calls in flight on one listener.
//! - [`FairQueue`]: the queued calls of one core, in the order of their turns; [`Flow`] is one
//!   connection's part of it. `queue_delay` measures how long they wait, and says when to shed.
//! - [`Admission`], [`Permit`]: one decision per call, handed on as a value.

mod concurrency;
mod fair_queue;
mod queue_delay;
mod rejection_budget;

pub use concurrency::{Admission, ConcurrencyLimit, Permit};
pub use fair_queue::{FairQueue, Flow, QueueLimits};
