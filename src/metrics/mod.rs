//! Every series this server exports, as fields of structs.
//!
//! Labels are bounded sets: model names come from the configuration, versions from what is resident,
//! methods from the proto files, codes and reasons from enums. Callers' text never becomes a label.

mod answers;
mod cache;
mod events;
mod families;
mod guardrails;
mod lifecycle;
mod recents;
mod traffic;
mod version;

pub use answers::AnswerMetrics;
pub use cache::{CacheMetrics, CallKind};
pub use events::EventMetrics;
pub use guardrails::GuardrailMetrics;
pub use lifecycle::LifecycleMetrics;
pub use recents::RecentsMetrics;
pub use traffic::TrafficMetrics;
pub use version::{AnswerSummary, ModelType, VersionMetrics};

use families::Families;
use prometheus::{Registry, TextEncoder};
use std::sync::Arc;

/// All metrics of the process.
pub struct Metrics {
    registry: Registry,
    /// Answers: how many, how fast, with which fallbacks.
    pub answers: AnswerMetrics,
    /// The response cache.
    pub cache: CacheMetrics,
    /// Recent products of people.
    pub recents: Arc<RecentsMetrics>,
    /// Events from callers.
    pub events: Arc<EventMetrics>,
    /// Connections and calls, successful or not.
    pub traffic: TrafficMetrics,
    /// Guardrail breaches and evidence.
    pub guardrails: GuardrailMetrics,
    /// Versions: loaded, live, retired.
    pub lifecycle: LifecycleMetrics,
}

impl Metrics {
    /// Registers every family.
    ///
    /// # Errors
    /// Two families of one name: a bug in this module; a test rules it out.
    pub fn new() -> Result<Self, prometheus::Error> {
        let registry = Registry::new();
        let families = Families(&registry);
        build_info(&families)?;
        registry.register(Box::new(crate::telemetry::lines_dropped()))?;
        Ok(Self {
            answers: AnswerMetrics::register(&families)?,
            cache: CacheMetrics::register(&families)?,
            recents: Arc::new(RecentsMetrics::register(&families)?),
            events: Arc::new(EventMetrics::register(&families)?),
            traffic: TrafficMetrics::register(&families)?,
            guardrails: GuardrailMetrics::register(&families)?,
            lifecycle: LifecycleMetrics::register(&families)?,
            registry,
        })
    }

    /// Exports what `bytes` returns at each scrape as the size of the response cache.
    ///
    /// # Errors
    /// It is exported already.
    pub fn show_cache_bytes(
        &self,
        bytes: impl Fn() -> f64 + Send + Sync + 'static,
    ) -> Result<(), prometheus::Error> {
        cache::bytes_gauge(&Families(&self.registry), Box::new(bytes))
    }

    /// All series in the Prometheus text format.
    ///
    /// # Errors
    /// The encoder refuses a family; it refuses none of these.
    pub fn render(&self) -> Result<String, prometheus::Error> {
        TextEncoder::new().encode_to_string(&self.registry.gather())
    }
}

fn build_info(families: &Families<'_>) -> Result<(), prometheus::Error> {
    let info = families.gauges(
        "hotshelf_build_info",
        "Always 1; the labels identify the build.",
        &["version", "format", "scoring_revision"],
    )?;
    let revision = hotshelf_model::SCORING_REVISION.to_string();
    let format = hotshelf_registry::FORMAT.to_string();
    let labels = [env!("CARGO_PKG_VERSION"), &format, &revision];
    info.with_label_values(&labels).set(1);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn family_names_are_unique() {
        let text = Metrics::new().unwrap().render().unwrap();
        assert!(text.contains("hotshelf_build_info{"), "{text}");
    }
}
