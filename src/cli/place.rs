//! The arguments of commands that read one model of a registry without a server.

use super::Output;
use crate::config::{Layers, variables};
use clap::Args;
use hotshelf_registry::{ModelName, Registry};
use hotshelf_terminal::registry_args::RegistryArgs;

/// Which model of which registry.
#[derive(Args)]
pub(super) struct Place {
    #[command(flatten)]
    registry: RegistryArgs,
    /// Model
    #[arg(long, default_value = "default")]
    pub(super) model: ModelName,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Place {
    /// Opens the registry; touches nothing yet.
    pub(super) fn open(&self) -> anyhow::Result<Registry> {
        let RegistryArgs { registry: url, s3 } = &self.registry;
        let typed = s3.typed();
        let layers = Layers {
            flags: typed
                .map(|(key, text)| (key.to_owned(), text.to_owned()))
                .collect(),
            variables: variables(),
            file: None,
        };
        Ok(Registry::open(url, &layers.s3(url)?)?)
    }
}
