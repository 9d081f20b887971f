//! The version of a model that is live: the one that most people get, by the newest rollout.

use hotshelf_model::{Defaults, FitParams, Strategy};
use hotshelf_registry::{ModelName, Registry, Version};
use serde::Deserialize;

use crate::error::Error;

/// The version that is live: what a new one has to hold its ground against.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveVersion {
    /// Its number.
    pub version: u64,
    /// What it was fitted with.
    pub params: FitParams,
    /// What it answers with by default.
    pub strategy: Strategy,
}

/// What a card must tell; everything else may change.
#[derive(Deserialize)]
struct CardOfLive {
    #[serde(default)]
    parameters: FitParams,
    #[serde(default)]
    defaults: Defaults,
}

/// The live version of a model, or None where nothing is live. Blocks on a runtime of its own.
///
/// # Errors
/// A registry that cannot be read, a card that this build does not understand.
pub(crate) fn live_version(
    (url, registry): (&str, &Registry),
    model: &ModelName,
) -> Result<Option<LiveVersion>, Error> {
    let failed = |source| Error::Registry {
        url: url.to_owned(),
        source,
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let found = runtime.block_on(async {
        let log = registry.rollouts(model).await?;
        let Some(version) = log.head().and_then(main_version) else {
            return Ok(None);
        };
        let manifest = registry.manifest(model, version).await?;
        Ok(Some((version, manifest.card)))
    });
    let Some((version, card)) = found.map_err(failed)? else {
        return Ok(None);
    };
    let card: CardOfLive = serde_json::from_value(card).map_err(|error| {
        Error::Argument(format!(
            "{url}: the card of version {version} of {model}, which is live, cannot be read: {error}"
        ))
    })?;
    Ok(Some(LiveVersion {
        version: version.get(),
        params: card.parameters,
        strategy: card.defaults.strategy,
    }))
}

/// The arm with the greatest share; of a candidate and its base with equal shares the base, which
/// stands last.
fn main_version(record: &hotshelf_registry::RolloutRecord) -> Option<Version> {
    let arms = record.arms.iter();
    arms.max_by_key(|arm| arm.share_bp).map(|arm| arm.version)
}
