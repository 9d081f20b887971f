//! Record: counts the outcome of a request in metrics and guardrails, and caches the response. Never
//! waits.

use super::DataPath;
use super::cache::CachedResponse;
use super::encoding::Encoded;
use super::evidence::{Arms, Judged};
use super::resolve::Resolved;
use crate::error::CallError;
use crate::guardrails::{Answered, Pending, Tally};
use crate::lifecycle::LoadedVersion;
use crate::metrics::AnswerSummary;
use bytes::Bytes;
use std::sync::Arc;
use std::time::Duration;

/// What compute returns.
pub(super) enum Answer {
    /// The response cache had it.
    Cached(Arc<CachedResponse>),
    /// The model gave it.
    Computed(Computed),
}

/// A computed answer, encoded.
pub(super) struct Computed {
    pub(super) encoded: Encoded,
    pub(super) summary: AnswerSummary,
}

/// Counts one request for the guardrails from before compute until it is recorded. One that is dropped
/// in between, as a panic does, counts as an error of the version.
pub(super) struct Recorder<'a> {
    path: &'a DataPath,
    pending: Option<Pending<'a>>,
}

impl DataPath {
    /// Starts counting. From here on every failure is the version's.
    pub(super) fn recorder<'a, C: Judged>(&'a self, resolved: &'a Resolved<C>) -> Recorder<'a> {
        let begin = |tally: &'a Tally| {
            let arms = Arms {
                arms: resolved.arm.all(),
                people: tally.people(),
            };
            tally.begin(resolved.call.split_key(), resolved.call.scope(arms))
        };
        Recorder {
            path: self,
            pending: resolved.arm.tally().map(begin),
        }
    }
}

impl Recorder<'_> {
    /// Records what compute returned, and passes its message on.
    pub(super) fn record<C>(
        self,
        resolved: &Resolved<C>,
        answer: Result<Answer, CallError>,
    ) -> Result<Bytes, CallError> {
        let took = resolved.began.elapsed();
        let loaded = resolved.arm.loaded();
        match answer {
            Err(refused) => {
                count_refusal(loaded, &refused);
                // The pending call is dropped, which counts as an error if the call is evidence.
                Err(refused)
            }
            Ok(Answer::Cached(cached)) => {
                count_answer(loaded, &cached.summary, took);
                count_evidence(self.pending, &cached.summary, None);
                Ok(cached.message.clone())
            }
            Ok(Answer::Computed(Computed { encoded, summary })) => {
                count_answer(loaded, &summary, took);
                if let Some(metrics) = loaded.metrics.get() {
                    metrics.computed(took);
                }
                count_evidence(self.pending, &summary, Some(took));
                if let Some((cache, key)) = self.path.cache.as_ref().zip(resolved.key.as_ref()) {
                    cache.insert(key, (encoded.cached, summary), resolved.began);
                }
                Ok(encoded.fresh)
            }
        }
    }
}

fn count_answer(loaded: &LoadedVersion, summary: &AnswerSummary, took: Duration) {
    if let Some(metrics) = loaded.metrics.get() {
        metrics.answered(summary, took);
    }
}

fn count_refusal(loaded: &LoadedVersion, refused: &CallError) {
    if let Some(metrics) = loaded.metrics.get() {
        metrics.refused(refused.code_name());
    }
}

fn count_evidence(
    pending: Option<Pending<'_>>,
    summary: &AnswerSummary,
    computed_in: Option<Duration>,
) {
    if let Some(pending) = pending {
        pending.answered(Answered {
            is_empty: summary.is_empty(),
            is_fallback: !summary.fallbacks().is_empty(),
            computed_in,
        });
    }
}

#[cfg(test)]
mod tests;
