//! Versions: loaded, live, retired.

use super::families::{Families, PHASE_BUCKETS};
use prometheus::{Error, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

/// The life of versions, by `model`.
pub struct LifecycleMetrics {
    /// Loads by `outcome` (ok, failed) and `reason`.
    pub loads: IntCounterVec,
    /// Steps of loads by `phase`.
    pub load_phases: HistogramVec,
    /// Versions in memory, those that are draining included.
    pub resident_versions: IntGaugeVec,
    /// Bytes they hold.
    pub resident_bytes: IntGaugeVec,
    /// What the versions of all models may hold.
    pub memory_budget_bytes: IntGauge,
    /// What is set aside for versions in memory and under way.
    pub memory_reserved_bytes: IntGauge,
    /// The version with the largest share; 0 = none.
    pub live_version: IntGaugeVec,
    /// The rollout that is live; 0 = none.
    pub live_rollout: IntGaugeVec,
    /// The registry's newest rollout; 0 = none known.
    pub desired_rollout: IntGaugeVec,
    /// 1 where a model does without something that it should have.
    pub degraded: IntGaugeVec,
    /// Attempts to read the registry that failed.
    pub registry_errors: IntCounterVec,
    /// 1 where this server may record rollouts; without labels.
    pub registry_writable: IntGaugeVec,
    /// Attempts to remember on disk what is live that failed.
    pub keep_errors: IntCounterVec,
    /// Rollout records passed over.
    pub rollouts_skipped: IntCounterVec,
    /// Attempts to tell the fleet what is served here that failed.
    pub replica_errors: IntCounterVec,
}

impl LifecycleMetrics {
    pub(super) fn register(families: &Families<'_>) -> Result<Self, Error> {
        let gauge = |name, help| families.gauges(name, help, &["model"]);
        let counter = |name, help| families.counters(name, help, &["model"]);
        Ok(Self {
            loads: families.counters(
                "hotshelf_loads_total",
                "Loads of versions by outcome and reason.",
                &["model", "outcome", "reason"],
            )?,
            load_phases: families.histograms(
                ("hotshelf_load_phase_seconds", "Steps of loads."),
                &["model", "phase"],
                PHASE_BUCKETS,
            )?,
            resident_versions: gauge(
                "hotshelf_resident_versions",
                "Versions in memory, draining ones included.",
            )?,
            resident_bytes: gauge(
                "hotshelf_resident_bytes",
                "Bytes held by versions in memory.",
            )?,
            memory_budget_bytes: families.gauge(
                "hotshelf_memory_budget_bytes",
                "Bytes that the versions of all models may hold.",
            )?,
            memory_reserved_bytes: families.gauge(
                "hotshelf_memory_reserved_bytes",
                "Bytes set aside for versions in memory and under way.",
            )?,
            live_version: gauge(
                "hotshelf_live_version",
                "The version with the largest share; 0 = none.",
            )?,
            live_rollout: gauge(
                "hotshelf_live_rollout",
                "The rollout that is live; 0 = none.",
            )?,
            desired_rollout: gauge(
                "hotshelf_desired_rollout",
                "The registry's newest rollout; 0 = none known.",
            )?,
            degraded: gauge(
                "hotshelf_degraded",
                "1 where a model does without something that it should have.",
            )?,
            registry_errors: counter(
                "hotshelf_registry_errors_total",
                "Attempts to read the registry that failed.",
            )?,
            registry_writable: families.gauges(
                "hotshelf_registry_writable",
                "1 where create-only writes are proved; 0 or absent = not yet, or refused.",
                &[],
            )?,
            keep_errors: counter(
                "hotshelf_remember_errors_total",
                "Attempts to remember on disk what is live that failed.",
            )?,
            rollouts_skipped: counter(
                "hotshelf_rollouts_skipped_total",
                "Rollout records passed over.",
            )?,
            replica_errors: counter(
                "hotshelf_replica_state_errors_total",
                "Attempts to tell the fleet what is served here that failed.",
            )?,
        })
    }

    /// Sets one gauge of one model.
    pub fn set(&self, family: impl Fn(&Self) -> &IntGaugeVec, model: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        family(self).with_label_values(&[model]).set(value);
    }
}
