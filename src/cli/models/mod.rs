//! `hotshelf models list | show | verify | gc`: reads a registry without a server.

mod evaluation;
mod gc;
mod list;
mod show;
mod verify;

use super::model_args::{self, ModelArgs};
use super::{Output, block_on, write_json};
use anyhow::Context;
use clap::{Args, Subcommand};
use hotshelf_registry::{Manifest, Registry, Version};
use std::io::Write;

/// Subcommands of `hotshelf models`.
#[derive(Subcommand)]
pub(super) enum ModelsCommand {
    /// List the registry's models, or one model's versions
    List(list::ListArgs),
    /// Show one version's manifest
    Show(OneVersion),
    /// Fetch a version and check it as a server does
    Verify(OneVersion),
    /// Show unneeded versions, and remove them with --apply
    Gc(gc::GcArgs),
}

/// Which version.
#[derive(Args)]
pub(super) struct OneVersion {
    /// Version number [default: the newest]
    version: Option<u64>,
    #[command(flatten)]
    of: ModelArgs,
}

/// Runs one of them.
pub(super) fn run(command: &ModelsCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        ModelsCommand::List(args) => list::run(args, out),
        ModelsCommand::Show(one) => show::run(one, out),
        ModelsCommand::Verify(one) => verify::run(one, out),
        ModelsCommand::Gc(args) => gc::run(args, out),
    }
}

async fn manifest(one: &OneVersion, registry: &Registry) -> anyhow::Result<Manifest> {
    let model = &one.of.model;
    let version = match one.version {
        Some(number) => Version::new(number).context("version numbers begin at 1")?,
        None => registry
            .newest(model)
            .await?
            .with_context(|| format!("every version of model \"{model}\" was removed"))?,
    };
    Ok(registry.manifest(model, version).await?)
}
