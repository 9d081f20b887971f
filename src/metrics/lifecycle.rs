//! The lifecycle of versions: loaded, live, retired.

use super::families::{Families, PHASE_BUCKETS};
use prometheus::{Error, HistogramVec, IntCounterVec, IntGauge, IntGaugeVec};

/// Metrics of the lifecycle of versions, by `model`.
pub struct LifecycleMetrics {
    /// Loads by `outcome` (ok, failed) and `reason`.
    pub loads: IntCounterVec,
    /// Steps of loads by `phase`.
    pub load_phases: HistogramVec,
    /// Versions in memory, draining ones included.
    pub resident_versions: IntGaugeVec,
    /// Bytes they hold.
    pub resident_bytes: IntGaugeVec,
    /// Memory budget of the versions of all models.
    pub memory_budget_bytes: IntGauge,
    /// Memory reserved for versions in memory and for loads in progress.
    pub memory_reserved_bytes: IntGauge,
    /// The version with the largest share; 0 = none.
    pub live_version: IntGaugeVec,
    /// The rollout that is live; 0 = none.
    pub live_rollout: IntGaugeVec,
    /// The registry's newest rollout; 0 = none known.
    pub desired_rollout: IntGaugeVec,
    /// 1 while a model serves with a fallback.
    pub degraded: IntGaugeVec,
    /// Failed attempts to read the registry.
    pub registry_errors: IntCounterVec,
    /// 1 if conditional writes to the registry are verified; without labels.
    pub registry_writable: IntGaugeVec,
    /// Failed attempts to persist the live set.
    pub persist_errors: IntCounterVec,
    /// Rollout records that were skipped.
    pub rollouts_skipped: IntCounterVec,
    /// Failed heartbeats.
    pub replica_errors: IntCounterVec,
    /// Whether another process reports under this replica's name.
    pub replica_name_conflict: IntGaugeVec,
    /// Restarts of long-lived tasks by `task`.
    pub task_restarts: IntCounterVec,
}

impl LifecycleMetrics {
    #[expect(clippy::too_many_lines, reason = "a list: one entry per family")]
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
                (
                    "hotshelf_load_phase_seconds",
                    "Duration of each phase of a load.",
                ),
                &["model", "phase"],
                PHASE_BUCKETS,
            )?,
            resident_versions: gauge(
                "hotshelf_resident_versions",
                "Versions in memory, draining ones included.",
            )?,
            resident_bytes: gauge("hotshelf_resident_bytes", "Bytes of versions in memory.")?,
            memory_budget_bytes: families.gauge(
                "hotshelf_memory_budget_bytes",
                "Memory budget of the versions of all models, in bytes.",
            )?,
            memory_reserved_bytes: families.gauge(
                "hotshelf_memory_reserved_bytes",
                "Bytes reserved for versions in memory and for loads in progress.",
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
                "1 while a model serves with a fallback.",
            )?,
            registry_errors: counter(
                "hotshelf_registry_errors_total",
                "Failed attempts to read the registry.",
            )?,
            registry_writable: families.gauges(
                "hotshelf_registry_writable",
                "1 if conditional writes are verified; 0 or absent = not yet, or refused.",
                &[],
            )?,
            persist_errors: counter(
                "hotshelf_remember_errors_total",
                "Failed attempts to persist the live set in the cache folder.",
            )?,
            rollouts_skipped: counter(
                "hotshelf_rollouts_skipped_total",
                "Rollout records skipped because they do not parse or do not chain.",
            )?,
            replica_errors: counter(
                "hotshelf_replica_state_errors_total",
                "Failed attempts to write this replica's heartbeat.",
            )?,
            replica_name_conflict: gauge(
                "hotshelf_replica_name_conflict",
                "Whether another process reports under this replica's name.",
            )?,
            task_restarts: families.counters(
                "hotshelf_task_restarts_total",
                "Restarts of long-lived tasks that panicked or ended.",
                &["task"],
            )?,
        })
    }

    /// Sets one gauge of one model.
    pub fn set(&self, family: impl Fn(&Self) -> &IntGaugeVec, model: &str, value: u64) {
        let value = i64::try_from(value).unwrap_or(i64::MAX);
        family(self).with_label_values(&[model]).set(value);
    }
}
