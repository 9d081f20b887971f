//! Answers: how many, how fast, with which fallbacks.

use super::families::{Families, LATENCY_BUCKETS};
use prometheus::{Error, HistogramVec, IntCounterVec};
use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

/// Metrics of answers, over all versions and by version.
pub struct AnswerMetrics {
    /// By `model_type` (the scores that were used) and `user_segment`.
    pub recommendations: IntCounterVec,
    /// Latency by `model_type`.
    pub latency: HistogramVec,
    /// Answers to SimilarProducts by `basis`.
    pub similar: IntCounterVec,
    /// Latency of SimilarProducts by `basis`.
    pub similar_latency: HistogramVec,
    /// By `model` and `version`, while the version is in memory.
    pub version_requests: IntCounterVec,
    /// Refused requests by `model`, `version` and gRPC `code`.
    pub version_errors: IntCounterVec,
    /// Latency by `model` and `version`, cached responses included.
    pub version_latency: HistogramVec,
    /// The same without cached responses.
    pub version_computed: HistogramVec,
    /// Answers without products, by `model` and `version`.
    pub version_empty: IntCounterVec,
    /// Fallbacks by `model`, `version` and `reason`.
    pub version_fallbacks: IntCounterVec,
    /// Recent products in requests that the version does not know, by `model` and `version`.
    pub recents_unknown: IntCounterVec,
    segments: Mutex<BTreeSet<String>>,
}

/// Distinct segments with a series of their own (chosen: four times what one version may have).
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
                "Answers to Recommend by the scores that were used (model_type) and the user's segment.",
                &["model_type", "user_segment"],
            )?,
            latency: families.histograms(
                (
                    "recommendation_latency_seconds",
                    "Time from a validated request to its answer, by model_type; cached responses included.",
                ),
                &["model_type"],
                LATENCY_BUCKETS,
            )?,
            similar: families.counters(
                "hotshelf_similar_answers_total",
                "Answers to SimilarProducts by basis of similarity.",
                &["basis"],
            )?,
            similar_latency: families.histograms(
                (
                    "hotshelf_similar_latency_seconds",
                    "Time from a validated request to its answer, by basis of similarity; cached responses included.",
                ),
                &["basis"],
                LATENCY_BUCKETS,
            )?,
            version_requests: families.counters(
                "hotshelf_version_requests_total",
                "Answers by version, cached responses included.",
                &["model", "version"],
            )?,
            version_errors: families.counters(
                "hotshelf_version_errors_total",
                "Requests that a version refused, by gRPC code.",
                &["model", "version", "code"],
            )?,
            version_latency: families.histograms(
                (
                    "hotshelf_version_latency_seconds",
                    "Time from a validated request to its answer by version; cached responses included.",
                ),
                &["model", "version"],
                LATENCY_BUCKETS,
            )?,
            version_computed: families.histograms(
                (
                    "hotshelf_version_computed_seconds",
                    "Time from a validated request to its answer by version; cached responses excluded.",
                ),
                &["model", "version"],
                LATENCY_BUCKETS,
            )?,
            version_empty: families.counters(
                "hotshelf_version_empty_answers_total",
                "Answers without any product by version.",
                &["model", "version"],
            )?,
            version_fallbacks: families.counters(
                "hotshelf_version_fallbacks_total",
                "Answers with a fallback, by version and reason.",
                &["model", "version", "reason"],
            )?,
            recents_unknown: families.counters(
                "hotshelf_recent_products_unknown_total",
                "Recent products in requests that the version does not know.",
                &["model", "version"],
            )?,
        })
    }
}
