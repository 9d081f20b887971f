//! What guardrails find.

use super::families::Families;
use crate::guardrails::{Breach, Guardrail};
use prometheus::{Error, GaugeVec, IntCounterVec};

/// Breaches, and how near arms are to one.
pub struct GuardrailMetrics {
    breaches: IntCounterVec,
    evidence: GaugeVec,
}

impl GuardrailMetrics {
    pub(super) fn register(families: &Families<'_>) -> Result<Self, Error> {
        Ok(Self {
            breaches: families.counters(
                "hotshelf_guardrail_breaches_total",
                "Arms found worse than their base, by guardrail and what it leads to (warn, abort).",
                &["model", "guardrail", "action"],
            )?,
            evidence: families.ratios(
                "hotshelf_guardrail_evidence_ratio",
                "Evidence against an arm's version in this epoch, as a share of what makes a breach: 0 to 1.",
                &["model", "version", "guardrail"],
            )?,
        })
    }

    /// Counts one.
    pub(crate) fn breached(&self, model: &str, breach: &Breach) {
        let labels = [model, breach.guardrail.as_str(), breach.mode.as_str()];
        self.breaches.with_label_values(&labels).inc();
    }

    /// Shows how near a version is to a breach.
    pub(crate) fn show(&self, model: &str, (version, guardrail): (u64, Guardrail), near: f64) {
        let labels = [model, &version.to_string(), guardrail.as_str()];
        self.evidence.with_label_values(&labels).set(near);
    }

    /// Ends the series of a version that is watched no more.
    pub(crate) fn forget(&self, model: &str, version: u64) {
        let version = version.to_string();
        for guardrail in Guardrail::ALL {
            let labels = [model, version.as_str(), guardrail.as_str()];
            // A series that was never made cannot be removed.
            let _ = self.evidence.remove_label_values(&labels);
        }
    }
}
