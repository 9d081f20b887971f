//! The data path: how a request becomes the bytes of its answer, in three phases.
//!
//! ```text
//! request ─▶ resolve (may wait)                    validate, snapshot and arm, defaults, recents, cache key, lookup
//!               │
//!               ▼
//!            compute (never waits)                 cached response, or: model, encode once
//!               │
//!               ▼
//!            record (never waits)                  metrics, guardrail tally, response cache
//! ```
//!
//! `recommend` and `similar` are one file per RPC and read downwards in the order of the phases.
//! Everything that changes an answer is known once resolve returns; compute reads nothing else. The
//! encoding comes from the edge as an [`Encoding`]: this module knows no wire format, no HTTP, no
//! gRPC.

mod arm;
pub mod cache;
mod encoding;
mod evidence;
mod filter;
mod key;
mod recents;
mod recommend;
mod record;
mod resolve;
mod similar;

pub(crate) mod validate;

pub use arm::ServingArm;
pub use encoding::{Encoded, Encoding, Recommendation, SimilarProducts};
pub use filter::ProductFilter;
pub use recommend::{RecentSources, RecommendCall, RecommendFields};
pub use similar::{SimilarCall, SimilarFields};

use crate::lifecycle::Models;
use crate::metrics::RecentsMetrics;
use crate::recents::Recents;
use bytes::Bytes;
use cache::ResponseCache;
use hotshelf_model::Scratch;
use std::cell::RefCell;
use std::sync::Arc;

thread_local! {
    /// Working memory of the model's computations, reused by every request of a thread. Borrowed
    /// only inside compute, so that no borrow spans a wait.
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// Products that a call returns unless it says otherwise.
const N_DEFAULT: u32 = 10;

/// Answers requests from whatever is live.
pub struct DataPath {
    /// Every model's snapshot.
    pub models: Arc<Models>,
    /// `None`: every answer is computed.
    pub cache: Option<Arc<ResponseCache>>,
    /// What people were last seen with; `None`: requests and histories alone say.
    pub recents: Option<Arc<Recents>>,
    /// Where the use of recents is counted.
    pub recents_metrics: Arc<RecentsMetrics>,
    /// Whether callers may pin the version that answers.
    pub may_pin: bool,
}

/// An answer, ready to be sent.
#[derive(Debug)]
pub struct Response {
    /// The encoded message.
    pub message: Bytes,
    /// The version, rollout and arm that answered.
    pub arm: ServingArm,
}
