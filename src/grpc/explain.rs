//! How an answer came about, in the wire's words.

use super::proto::{DebugInfo, Retrieval as WireRetrieval};
use hotshelf_model::{Fallbacks, Retrieval, Trace};

/// The names of what an answer did without.
pub(super) fn fallbacks(fallbacks: Fallbacks) -> Vec<String> {
    let names = fallbacks
        .iter()
        .map(|fallback| fallback.as_str().to_owned());
    names.collect()
}

/// How its candidates were found, and what blended them.
pub(super) fn debug_info(trace: Trace, alpha: Option<f64>) -> DebugInfo {
    let retrieval = |side: Retrieval| WireRetrieval {
        plan: side.plan.as_str().to_owned(),
        rows_scored: side.scored as u64,
    };
    DebugInfo {
        collaborative: trace.collaborative.map(retrieval),
        content: trace.content.map(retrieval),
        alpha,
    }
}
