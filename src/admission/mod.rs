//! Admission: whether a call is served, and when.

mod fair_queue;
mod queue_delay;

pub(crate) use fair_queue::{Core, Turns};
pub use fair_queue::{Decided, DecidedNow, Line, LineLimits};
