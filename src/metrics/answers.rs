//! What was answered.

use super::families::{Families, LATENCY_BUCKETS};
use prometheus::{Error, HistogramVec, IntCounterVec};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Answers, over all versions and by version.
pub struct AnswerMetrics {
    /// By `model_type` (what really answered) and `user_segment`.
    pub recommendations: IntCounterVec,
    /// Time to compute an answer by `model_type`.
    pub latency: HistogramVec,
    /// Lists of similar products by `basis`.
    pub similar: IntCounterVec,
    /// Time to answer with similar products by `basis`.
    pub similar_latency: HistogramVec,
    /// By `model` and `version`, for as long as the version is in memory.
    pub version_requests: IntCounterVec,
    /// Refused requests by `model`, `version` and gRPC `code`.
    pub version_errors: IntCounterVec,
    /// Time to compute an answer by `model` and `version`.
    pub version_latency: HistogramVec,
    /// The same of computed answers alone.
    pub version_computed: HistogramVec,
    /// Answers without a product, by `model` and `version`.
    pub version_empty: IntCounterVec,
    /// Answers that had to do without something, by `model`, `version` and `reason`.
    pub version_fallbacks: IntCounterVec,
    /// Recent products that requests named and the version does not know, by `model` and `version`.
    pub recents_unknown: IntCounterVec,
    segments: Mutex<BTreeSet<String>>,
}

/// Distinct segments that have a series of their own (chosen: four times what one version may have).
const SEGMENTS_MAX: usize = 64;

impl AnswerMetrics {
    /// The label of a segment. Names come from artifacts: beyond 64 distinct ones since the process
    /// began, the rest share `other`.
    pub(super) fn segment_label<'a>(&self, segment: &'a str) -> &'a str {
        // A poisoned set is still a set.
        let mut known = self.segments.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(segment) {
            return segment;
        }
        if known.len() >= SEGMENTS_MAX {
            return "other";
        }
        known.insert(segment.to_owned());
        segment
    }

    pub(super) fn register(families: &Families<'_>) -> Result<Self, Error> {
        Ok(Self {
            segments: Mutex::default(),
            recommendations: families.counters(
                "recommendations_total",
                "Answers by what computed them and by the person's segment.",
                &["model_type", "user_segment"],
            )?,
            latency: families.histograms(
                (
                    "recommendation_latency_seconds",
                    "Time to compute an answer by what computed it.",
                ),
                &["model_type"],
                LATENCY_BUCKETS,
            )?,
            similar: families.counters(
                "hotshelf_similar_answers_total",
                "Lists of similar products by what similarity rested on.",
                &["basis"],
            )?,
            similar_latency: families.histograms(
                (
                    "hotshelf_similar_latency_seconds",
                    "Time to compute a list of similar products by what similarity rested on.",
                ),
                &["basis"],
                LATENCY_BUCKETS,
            )?,
            version_requests: families.counters(
                "hotshelf_version_requests_total",
                "Answers by version.",
                &["model", "version"],
            )?,
            version_errors: families.counters(
                "hotshelf_version_errors_total",
                "Refused requests by version and gRPC code.",
                &["model", "version", "code"],
            )?,
            version_latency: families.histograms(
                (
                    "hotshelf_version_latency_seconds",
                    "Time to compute an answer by version.",
                ),
                &["model", "version"],
                LATENCY_BUCKETS,
            )?,
            version_computed: families.histograms(
                (
                    "hotshelf_version_computed_seconds",
                    "Time to compute an answer by version, kept answers left out.",
                ),
                &["model", "version"],
                LATENCY_BUCKETS,
            )?,
            version_empty: families.counters(
                "hotshelf_version_empty_answers_total",
                "Answers without a product by version.",
                &["model", "version"],
            )?,
            version_fallbacks: families.counters(
                "hotshelf_version_fallbacks_total",
                "Answers that had to do without something, by version and reason.",
                &["model", "version", "reason"],
            )?,
            recents_unknown: families.counters(
                "hotshelf_recent_products_unknown_total",
                "Recent products that requests named and the version does not know.",
                &["model", "version"],
            )?,
        })
    }
}
