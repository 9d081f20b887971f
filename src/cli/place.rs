//! The flags of commands that look at one model of a registry without a server.

use super::Output;
use super::s3_args::S3Args;
use crate::config::variables;
use clap::Args;
use hotshelf_registry::{ModelName, Registry};

/// Which model of which registry.
#[derive(Args)]
pub(super) struct Place {
    /// Where versions are: file:///folder or s3://bucket/prefix
    #[arg(long)]
    registry: String,
    #[command(flatten)]
    s3: S3Args,
    /// Model
    #[arg(long, default_value = "default")]
    pub(super) model: ModelName,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Place {
    /// Opens the registry; touches nothing yet.
    pub(super) fn open(&self) -> anyhow::Result<Registry> {
        let layers = self.s3.layers(variables());
        Ok(Registry::open(&self.registry, &layers.s3(&self.registry)?)?)
    }
}
