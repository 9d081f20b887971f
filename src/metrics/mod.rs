//! Every series this server exports, as fields of one struct.
//!
//! Labels are bounded sets: model names come from the configuration, versions from what is resident,
//! methods from the proto files, codes and reasons from enums. Nothing a caller sends becomes a label.

mod version;

pub use version::{ModelType, Observation, VersionMetrics};

use prometheus::{
    HistogramOpts, HistogramVec, IntCounter, IntCounterVec, IntGauge, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

/// Upper bounds in seconds. A cached answer takes some 10 µs, a scan of a million products some
/// 10 ms, and what takes longer than a second is past every caller's patience.
const LATENCY_BUCKETS: [f64; 16] = [
    10e-6, 25e-6, 50e-6, 100e-6, 250e-6, 500e-6, 1e-3, 2.5e-3, 5e-3, 10e-3, 25e-3, 50e-3, 100e-3,
    250e-3, 500e-3, 1.0,
];
/// Upper bounds in seconds of the steps of a load: from a toy model to gigabytes over a slow link.
const PHASE_BUCKETS: [f64; 10] = [1e-4, 1e-3, 10e-3, 0.1, 0.5, 1.0, 5.0, 30.0, 120.0, 600.0];

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    /// Answers by `model_type` (what really answered) and `user_segment`.
    pub recommendations: IntCounterVec,
    /// Time to compute an answer by `model_type`.
    pub recommendation_latency: HistogramVec,
    pub(crate) per_version: PerVersion,
    /// gRPC calls by `listener`, `method` and `code`, whatever became of them.
    pub calls: IntCounterVec,
    /// Time from a call's headers to its answer's by `listener` and `method`.
    pub call_latency: HistogramVec,
    /// Handlers that panicked.
    pub panics: IntCounter,
    /// Calls refused because too many were under way.
    pub shed: IntCounter,
    /// Open connections by `listener`.
    pub connections: IntGaugeVec,
    /// Connections closed before they spoke HTTP/2, by `listener` and `reason`.
    pub connections_refused: IntCounterVec,
    /// Loads by `model`, `outcome` (ok, failed) and `reason`.
    pub loads: IntCounterVec,
    /// Steps of loads by `model` and `phase`.
    pub load_phases: HistogramVec,
    /// Versions in memory by `model`, those that are draining included.
    pub resident_versions: IntGaugeVec,
    /// Bytes they hold by `model`.
    pub resident_bytes: IntGaugeVec,
    /// The version with the largest share by `model`; 0 = none.
    pub live_version: IntGaugeVec,
    /// The rollout that is live by `model`; 0 = none.
    pub live_rollout: IntGaugeVec,
    /// The registry's newest rollout by `model`; 0 = none known.
    pub desired_rollout: IntGaugeVec,
    /// 1 where a model does without something that it should have.
    pub degraded: IntGaugeVec,
    /// Attempts to read the registry that failed, by `model`.
    pub registry_errors: IntCounterVec,
    /// Rollout records passed over by `model`.
    pub rollouts_skipped: IntCounterVec,
}

/// Families whose series live and die with a version; labels start with `model`, `version`.
pub(crate) struct PerVersion {
    pub(crate) requests: IntCounterVec,
    pub(crate) errors: IntCounterVec,
    pub(crate) latency: HistogramVec,
    pub(crate) fallbacks: IntCounterVec,
}

impl Metrics {
    /// Registers every family.
    ///
    /// # Errors
    /// Two families of one name: a mistake in this file.
    pub fn new() -> Result<Self, prometheus::Error> {
        let r = Registry::new();
        build_info(&r)?;
        let per_version = PerVersion {
            requests: counters(
                &r,
                "hotshelf_version_requests_total",
                "Answers by version.",
                &["model", "version"],
            )?,
            errors: counters(
                &r,
                "hotshelf_version_errors_total",
                "Refused requests by version and gRPC code.",
                &["model", "version", "code"],
            )?,
            latency: histograms(
                &r,
                (
                    "hotshelf_version_latency_seconds",
                    "Time to compute an answer by version.",
                ),
                &["model", "version"],
                &LATENCY_BUCKETS,
            )?,
            fallbacks: counters(
                &r,
                "hotshelf_version_fallbacks_total",
                "Answers that had to do without something, by version and reason.",
                &["model", "version", "reason"],
            )?,
        };
        Ok(Self {
            recommendations: counters(
                &r,
                "recommendations_total",
                "Answers by what computed them and by the person's segment.",
                &["model_type", "user_segment"],
            )?,
            recommendation_latency: histograms(
                &r,
                (
                    "recommendation_latency_seconds",
                    "Time to compute an answer by what computed it.",
                ),
                &["model_type"],
                &LATENCY_BUCKETS,
            )?,
            per_version,
            calls: counters(
                &r,
                "hotshelf_grpc_calls_total",
                "gRPC calls by listener, method and code.",
                &["listener", "method", "code"],
            )?,
            call_latency: histograms(
                &r,
                (
                    "hotshelf_grpc_latency_seconds",
                    "Time from a call's headers to its answer's.",
                ),
                &["listener", "method"],
                &LATENCY_BUCKETS,
            )?,
            panics: counter(&r, "hotshelf_grpc_panics_total", "Handlers that panicked.")?,
            shed: counter(
                &r,
                "hotshelf_grpc_shed_total",
                "Calls refused because too many were under way.",
            )?,
            connections: gauges(
                &r,
                "hotshelf_net_connections",
                "Open connections.",
                &["listener"],
            )?,
            connections_refused: counters(
                &r,
                "hotshelf_net_connections_refused_total",
                "Connections closed before they spoke HTTP/2.",
                &["listener", "reason"],
            )?,
            loads: counters(
                &r,
                "hotshelf_loads_total",
                "Loads of versions by outcome and reason.",
                &["model", "outcome", "reason"],
            )?,
            load_phases: histograms(
                &r,
                ("hotshelf_load_phase_seconds", "Steps of loads."),
                &["model", "phase"],
                &PHASE_BUCKETS,
            )?,
            resident_versions: gauges(
                &r,
                "hotshelf_resident_versions",
                "Versions in memory, draining ones included.",
                &["model"],
            )?,
            resident_bytes: gauges(
                &r,
                "hotshelf_resident_bytes",
                "Bytes held by versions in memory.",
                &["model"],
            )?,
            live_version: gauges(
                &r,
                "hotshelf_live_version",
                "The version with the largest share; 0 = none.",
                &["model"],
            )?,
            live_rollout: gauges(
                &r,
                "hotshelf_live_rollout",
                "The rollout that is live; 0 = none.",
                &["model"],
            )?,
            desired_rollout: gauges(
                &r,
                "hotshelf_desired_rollout",
                "The registry's newest rollout; 0 = none known.",
                &["model"],
            )?,
            degraded: gauges(
                &r,
                "hotshelf_degraded",
                "1 where a model does without something that it should have.",
                &["model"],
            )?,
            registry_errors: counters(
                &r,
                "hotshelf_registry_errors_total",
                "Attempts to read the registry that failed.",
                &["model"],
            )?,
            rollouts_skipped: counters(
                &r,
                "hotshelf_rollouts_skipped_total",
                "Rollout records passed over.",
                &["model"],
            )?,
            registry: r,
        })
    }

    /// All series in the Prometheus text format.
    ///
    /// # Errors
    /// The encoder refuses a family, which it does for none that stands here.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn build_info(registry: &Registry) -> Result<(), prometheus::Error> {
    let info = gauges(
        registry,
        "hotshelf_build_info",
        "Always 1; the labels tell the build.",
        &["version", "format", "scoring_revision"],
    )?;
    let revision = hotshelf_model::SCORING_REVISION.to_string();
    let format = hotshelf_registry::FORMAT.to_string();
    info.with_label_values(&[env!("CARGO_PKG_VERSION"), &format, &revision])
        .set(1);
    Ok(())
}

fn counter(registry: &Registry, name: &str, help: &str) -> Result<IntCounter, prometheus::Error> {
    let counter = IntCounter::with_opts(Opts::new(name, help))?;
    registry.register(Box::new(counter.clone()))?;
    Ok(counter)
}

fn counters(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntCounterVec, prometheus::Error> {
    let family = IntCounterVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

fn gauges(
    registry: &Registry,
    name: &str,
    help: &str,
    labels: &[&str],
) -> Result<IntGaugeVec, prometheus::Error> {
    let family = IntGaugeVec::new(Opts::new(name, help), labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

fn histograms(
    registry: &Registry,
    (name, help): (&str, &str),
    labels: &[&str],
    buckets: &[f64],
) -> Result<HistogramVec, prometheus::Error> {
    let options = HistogramOpts::new(name, help).buckets(buckets.to_vec());
    let family = HistogramVec::new(options, labels)?;
    registry.register(Box::new(family.clone()))?;
    Ok(family)
}

/// One gauge of the model's own.
pub fn set(family: &IntGaugeVec, model: &str, value: u64) {
    let gauge: IntGauge = family.with_label_values(&[model]);
    gauge.set(i64::try_from(value).unwrap_or(i64::MAX));
}
