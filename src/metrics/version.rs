//! Metric handles of one live version: looked up once when it goes live, then only incremented.

use super::{CallKind, Metrics};
use hotshelf_model::{Basis, Fallback, Fallbacks};
use prometheus::{Histogram, IntCounter};
use std::sync::Arc;
use std::time::Duration;

/// The scores that an answer was ranked by: label `model_type`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ModelType {
    /// Both scores.
    Hybrid,
    /// ALS factors.
    Collaborative,
    /// Product embeddings.
    Content,
    /// Every side that has weight.
    Blended,
    /// Popularity alone.
    Popular,
}

impl ModelType {
    const COUNT: usize = 5;
    const ALL: [Self; Self::COUNT] = [
        Self::Hybrid,
        Self::Collaborative,
        Self::Content,
        Self::Blended,
        Self::Popular,
    ];

    /// The label.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Collaborative => "collaborative",
            Self::Content => "content",
            Self::Blended => "blended",
            Self::Popular => "popular",
        }
    }
}

/// What metrics and guardrails need to know about an answer, whether it is computed or cached.
#[derive(Debug)]
pub enum AnswerSummary {
    /// An answer to Recommend.
    Recommended {
        /// The scores that were used.
        model_type: ModelType,
        /// The user's segment.
        segment: Box<str>,
        /// Fallbacks that were taken.
        fallbacks: Fallbacks,
        /// Recent products that the version does not know.
        recents_unknown: usize,
        /// No product at all.
        is_empty: bool,
    },
    /// An answer to SimilarProducts.
    Similar {
        /// The basis of similarity.
        basis: Basis,
        /// Fallbacks that were taken.
        fallbacks: Fallbacks,
        /// No product at all.
        is_empty: bool,
    },
}

impl AnswerSummary {
    /// The RPC that it answers.
    pub fn call(&self) -> CallKind {
        match self {
            Self::Recommended { .. } => CallKind::Recommend,
            Self::Similar { .. } => CallKind::Similar,
        }
    }

    /// Whether it has no product at all.
    pub fn is_empty(&self) -> bool {
        match self {
            Self::Recommended { is_empty, .. } | Self::Similar { is_empty, .. } => *is_empty,
        }
    }

    /// Fallbacks that were taken.
    pub fn fallbacks(&self) -> Fallbacks {
        match self {
            Self::Recommended { fallbacks, .. } | Self::Similar { fallbacks, .. } => *fallbacks,
        }
    }
}

/// Handles of one live version. Dropping them removes the version's series.
pub struct VersionMetrics {
    metrics: Arc<Metrics>,
    model: String,
    version: String,
    requests: IntCounter,
    latency: Histogram,
    computed: Histogram,
    empty: IntCounter,
    type_latency: [Histogram; ModelType::COUNT],
    /// By basis: content, collaborative, sequence.
    similar: [(IntCounter, Histogram); 3],
    recents_unknown: IntCounter,
    /// By segment name, then by model type.
    answers: Vec<(String, [IntCounter; ModelType::COUNT])>,
    fallbacks: Vec<(Fallback, IntCounter)>,
}

impl VersionMetrics {
    /// Creates the version's series. `segments` are all the names an answer may carry.
    pub fn new(metrics: &Arc<Metrics>, model: &str, version: u64, segments: &[String]) -> Self {
        let version = version.to_string();
        let labels = [model, version.as_str()];
        let answers = |segment: &String| {
            let label = metrics.answers.segment_label(segment);
            let of = |t: ModelType| {
                metrics
                    .answers
                    .recommendations
                    .with_label_values(&[t.as_str(), label])
            };
            (segment.clone(), ModelType::ALL.map(of))
        };
        let fallback = |reason: Fallback| {
            let family = &metrics.answers.version_fallbacks;
            (
                reason,
                family.with_label_values(&[model, version.as_str(), reason.as_str()]),
            )
        };
        Self {
            requests: metrics.answers.version_requests.with_label_values(&labels),
            latency: metrics.answers.version_latency.with_label_values(&labels),
            computed: metrics.answers.version_computed.with_label_values(&labels),
            empty: metrics.answers.version_empty.with_label_values(&labels),
            type_latency: ModelType::ALL
                .map(|t| metrics.answers.latency.with_label_values(&[t.as_str()])),
            similar: ["content", "collaborative", "sequence"].map(|basis| {
                let families = &metrics.answers;
                (
                    families.similar.with_label_values(&[basis]),
                    families.similar_latency.with_label_values(&[basis]),
                )
            }),
            recents_unknown: metrics.answers.recents_unknown.with_label_values(&labels),
            answers: segments.iter().map(answers).collect(),
            fallbacks: Fallback::ALL.into_iter().map(fallback).collect(),
            metrics: Arc::clone(metrics),
            model: model.to_owned(),
            version,
        }
    }

    /// Counts one answer and its latency. Costs a handful of atomic additions.
    pub fn answered(&self, summary: &AnswerSummary, took: Duration) {
        let seconds = took.as_secs_f64();
        self.requests.inc();
        self.latency.observe(seconds);
        if summary.is_empty() {
            self.empty.inc();
        }
        let fallbacks = match summary {
            AnswerSummary::Recommended {
                model_type,
                segment,
                fallbacks,
                recents_unknown,
                ..
            } => {
                let index = *model_type as usize;
                self.type_latency[index].observe(seconds);
                if let Some((_, counters)) =
                    self.answers.iter().find(|(name, _)| **name == **segment)
                {
                    counters[index].inc();
                }
                self.recents_unknown.inc_by(*recents_unknown as u64);
                fallbacks
            }
            AnswerSummary::Similar {
                basis, fallbacks, ..
            } => {
                let (answers, latency) = match basis {
                    Basis::Content => &self.similar[0],
                    Basis::Collaborative => &self.similar[1],
                    Basis::Sequence => &self.similar[2],
                };
                answers.inc();
                latency.observe(seconds);
                fallbacks
            }
        };
        for (reason, counter) in &self.fallbacks {
            if fallbacks.contains(*reason) {
                counter.inc();
            }
        }
    }

    /// Counts the latency of a computed answer, in addition to [`Self::answered`].
    pub fn computed(&self, took: Duration) {
        self.computed.observe(took.as_secs_f64());
    }

    /// Counts one request that this version refused, by the canonical code's name.
    pub fn refused(&self, code: &str) {
        let family = &self.metrics.answers.version_errors;
        family
            .with_label_values(&[&self.model, &self.version, code])
            .inc();
    }
}

impl Drop for VersionMetrics {
    fn drop(&mut self) {
        let families = &self.metrics.answers;
        let labels = [self.model.as_str(), self.version.as_str()];
        // The only error is a series that was never created.
        let _ = families.version_requests.remove_label_values(&labels);
        let _ = families.version_latency.remove_label_values(&labels);
        let _ = families.version_computed.remove_label_values(&labels);
        let _ = families.version_empty.remove_label_values(&labels);
        let _ = families.recents_unknown.remove_label_values(&labels);
        for reason in Fallback::ALL {
            let _ = families.version_fallbacks.remove_label_values(&[
                labels[0],
                labels[1],
                reason.as_str(),
            ]);
        }
        for code in crate::error::CODE_NAMES {
            let _ = families
                .version_errors
                .remove_label_values(&[labels[0], labels[1], code]);
        }
    }
}
