//! Tower layers that both gRPC listeners share, from the outside in:
//!
//! ```text
//! call_metrics (count, time, log) ─▶ admission ─▶ details ─▶ panics ─▶ deadline ─▶ dispatch ─▶ service
//! ```
//!
//! Admission decides as soon as a request's headers are read, so that a rejection costs little more
//! than they do.

mod admission;
mod call_metrics;
mod deadline;
mod details;
mod panics;

pub(crate) use admission::{AdmissionLayer, AdmissionService, Rejection};
pub(crate) use call_metrics::{CallLayer, CallMetrics, CallService};
pub(crate) use deadline::{Deadline, DeadlineLayer, DeadlineService};
pub(crate) use details::{DetailsLayer, DetailsService};
pub(crate) use panics::{PanicLayer, PanicService};
