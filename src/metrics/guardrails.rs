//! Metrics of the guardrails.

use super::families::Families;
use crate::guardrails::{Breach, Guardrail};
use prometheus::{Error, GaugeVec, IntCounterVec};

/// Breaches, and the evidence towards one.
pub struct GuardrailMetrics {
    breaches: IntCounterVec,
    evidence: GaugeVec,
}

impl GuardrailMetrics {
    pub(super) fn register(families: &Families<'_>) -> Result<Self, Error> {
        Ok(Self {
            breaches: families.counters(
                "hotshelf_guardrail_breaches_total",
                "Guardrail breaches by guardrail and action (warn, abort).",
                &["model", "guardrail", "action"],
            )?,
            evidence: families.ratios(
                "hotshelf_guardrail_evidence_ratio",
                "Evidence against an arm's version in this epoch, as a share of a breach: 0 to 1.",
                &["model", "version", "guardrail"],
            )?,
        })
    }

    /// Counts a breach.
    pub(crate) fn breached(&self, model: &str, breach: &Breach) {
        let labels = [model, breach.guardrail.as_str(), breach.mode.as_str()];
        self.breaches.with_label_values(&labels).inc();
    }

    /// Sets the evidence against a version.
    pub(crate) fn show(&self, model: &str, (version, guardrail): (u64, Guardrail), near: f64) {
        let labels = [model, &version.to_string(), guardrail.as_str()];
        self.evidence.with_label_values(&labels).set(near);
    }

    /// Removes the series of a version that is no longer judged.
    pub(crate) fn forget(&self, model: &str, version: u64) {
        let version = version.to_string();
        for guardrail in Guardrail::ALL {
            let labels = [model, version.as_str(), guardrail.as_str()];
            // The only error is a series that was never created.
            let _ = self.evidence.remove_label_values(&labels);
        }
    }
}
