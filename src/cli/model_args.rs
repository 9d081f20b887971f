//! The arguments of commands that read a registry without a server.

use super::{Output, WrongCall, block_on};
use crate::config::{Layers, variables};
use crate::readiness::models_here;
use clap::Args;
use hotshelf_registry::{ModelName, Registry};
use hotshelf_terminal::registry_args::RegistryArgs;

/// Which model of which registry.
#[derive(Args)]
pub(super) struct ModelArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Read this model
    #[arg(long, value_name = "NAME", default_value = "default")]
    pub(super) model: ModelName,
    #[command(flatten)]
    pub(super) output: Output,
}

impl ModelArgs {
    /// Opens the registry, which has to exist and to have versions of the model.
    pub(super) fn open(&self) -> anyhow::Result<Registry> {
        let registry = open(&self.registry)?;
        block_on(ensure_has(&registry, &self.model, &self.registry.registry))?;
        Ok(registry)
    }
}

/// Opens a registry, which has to exist.
pub(super) fn open(args: &RegistryArgs) -> anyhow::Result<Registry> {
    let RegistryArgs { registry: url, s3 } = args;
    let typed = s3.typed();
    let layers = Layers {
        flags: typed
            .map(|(key, text)| (key.to_owned(), text.to_owned()))
            .collect(),
        variables: variables()?,
        file: None,
    };
    let registry = Registry::open(url, &layers.s3("registry", url)?).map_err(WrongCall::from)?;
    let exists = block_on(async { Ok(registry.exists().await?) })?;
    if !exists {
        return Err(WrongCall(format!("registry {url} does not exist")).into());
    }
    Ok(registry)
}

/// Fails with the models that the registry does have.
pub(super) async fn ensure_has(
    registry: &Registry,
    model: &ModelName,
    url: &str,
) -> anyhow::Result<()> {
    if !registry.version_numbers(model).await?.is_empty() {
        return Ok(());
    }
    let here = registry.models_with_versions().await?;
    anyhow::bail!(
        "model \"{model}\" has no versions in {url} ({})",
        models_here(&here)
    )
}
