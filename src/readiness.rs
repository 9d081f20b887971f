//! Whether the server is ready, and what each model still lacks: what `/readyz` answers.

use crate::lifecycle::{ModelHandle, ModelStatus};
use arc_swap::ArcSwapOption;
use hotshelf_registry::{ModelName, Registry};
use hotshelf_terminal::text::one_line;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

/// Models that a message names at most (chosen: one line of a terminal).
const NAMED_MAX: usize = 8;
/// The watch has looked at the registry by then (chosen: most stores answer within it).
const FIRST_LIST_AFTER: Duration = Duration::from_secs(1);
/// Between two listings of the registry's models while a configured one has no versions (chosen: seldom
/// enough for a fleet that waits for its first publish).
const LIST_INTERVAL: Duration = Duration::from_secs(30);

/// The server's readiness. It becomes ready once, when every model is live, and stops being so once,
/// when the server shuts down.
pub struct Readiness {
    models: Arc<BTreeMap<String, ModelHandle>>,
    /// The registry's URL, for messages.
    origin: Arc<str>,
    /// The models that have versions in the registry, once listed.
    published: ArcSwapOption<Vec<ModelName>>,
    is_ready: AtomicBool,
    is_draining: AtomicBool,
}

impl Readiness {
    /// Of a server that is not ready yet.
    pub fn new(models: Arc<BTreeMap<String, ModelHandle>>, origin: Arc<str>) -> Self {
        Self {
            models,
            origin,
            published: ArcSwapOption::empty(),
            is_ready: AtomicBool::new(false),
            is_draining: AtomicBool::new(false),
        }
    }

    /// Every model is live.
    pub fn set_ready(&self) {
        self.is_ready.store(true, Ordering::Relaxed);
    }

    /// The server shuts down.
    pub fn set_draining(&self) {
        self.is_draining.store(true, Ordering::Relaxed);
    }

    /// # Errors
    /// What the server waits for, a line each.
    pub fn check(&self) -> Result<(), Vec<String>> {
        if self.is_draining.load(Ordering::Relaxed) {
            return Err(vec!["the server is shutting down".to_owned()]);
        }
        if self.is_ready.load(Ordering::Relaxed) {
            return Ok(());
        }
        let waiting = self.models.iter().filter_map(|(name, handle)| {
            let missing = self.missing(name, &handle.status.load())?;
            Some(one_line(format_args!("model \"{name}\" {missing}")))
        });
        Err(waiting.collect())
    }

    /// What a model lacks until it is live; `None` where it is.
    fn missing(&self, name: &str, status: &ModelStatus) -> Option<String> {
        let manager = &status.manager;
        if manager.live.is_some() {
            return None;
        }
        if !status.registry_error.is_empty() {
            return Some(format!(
                "cannot read the registry: {}",
                status.registry_error
            ));
        }
        let Some(desired) = &manager.desired else {
            return Some(match self.published.load().as_deref() {
                Some(published) if !published.iter().any(|model| model.as_str() == name) => {
                    no_versions(&self.origin, published)
                }
                _ => format!("has no rollout: hotshelf reload --model {name} makes a version live"),
            });
        };
        let arms = desired.arms.iter().filter_map(|arm| {
            let entry = manager.version(arm.version)?;
            Some(match &entry.failure {
                Some(failure) => {
                    format!("version {} failed: {}", arm.version, failure.error.message)
                }
                None => format!("version {} is {}", arm.version, entry.state.as_str()),
            })
        });
        let arms: Vec<String> = arms.collect();
        match arms.as_slice() {
            [] => Some(format!("is waiting for rollout {}", desired.number)),
            arms => Some(arms.join(", ")),
        }
    }

    /// Lists the registry's models, and lists them again, as long as a configured model has neither a
    /// rollout nor versions; logs once what the registry has instead. Never returns.
    pub async fn follow_published(&self, registry: &Registry) {
        let mut logged = false;
        let mut pause = FIRST_LIST_AFTER;
        loop {
            tokio::time::sleep(pause).await;
            let unknown = self.without_rollout();
            if unknown.is_empty() {
                continue;
            }
            pause = LIST_INTERVAL;
            // A registry that cannot be read is in the watch's status already.
            let Ok(published) = registry.models_with_versions().await else {
                continue;
            };
            for model in &unknown {
                if !logged && !published.iter().any(|known| known.as_str() == *model) {
                    let here = models_here(&published);
                    tracing::warn!(model, registry = %self.origin, here, "model has no versions");
                }
            }
            logged = true;
            self.published.store(Some(Arc::new(published)));
        }
    }

    /// Models that wait for a rollout of a registry that can be read.
    fn without_rollout(&self) -> Vec<&str> {
        let models = self.models.iter().filter(|(_, handle)| {
            let status = handle.status.load();
            let ModelStatus {
                manager,
                registry_error,
                ..
            } = &**status;
            manager.live.is_none() && manager.desired.is_none() && registry_error.is_empty()
        });
        models.map(|(name, _)| name.as_str()).collect()
    }
}

fn no_versions(origin: &str, published: &[ModelName]) -> String {
    format!("has no versions in {origin} ({})", models_here(published))
}

/// `models here: a, b`, for the message that another one has no versions.
pub(crate) fn models_here(published: &[ModelName]) -> String {
    let names = published.iter().take(NAMED_MAX).map(ModelName::as_str);
    let names = names.collect::<Vec<_>>().join(", ");
    match published.len() {
        0 => "models here: none".to_owned(),
        all if all > NAMED_MAX => format!("models here: {names} and {} more", all - NAMED_MAX),
        _ => format!("models here: {names}"),
    }
}
