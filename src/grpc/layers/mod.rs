//! Tower layers that both gRPC listeners share, from the outside in:
//!
//! ```text
//! calls (count, time, log) ─▶ details ─▶ catch panics ─▶ deadline ─▶ dispatch ─▶ admission ─▶ service
//! ```
//!
//! Admission stands behind dispatch, so that health and reflection answer under overload too.

mod admission;
mod calls;
mod deadline;
mod details;
mod panics;

pub(crate) use admission::AdmissionLayer;
pub(crate) use calls::{CallLayer, CallMetrics};
pub(crate) use deadline::{Deadline, DeadlineLayer};
pub(crate) use details::DetailsLayer;
pub(crate) use panics::PanicLayer;
