//! `hotshelf models list`: the models of a registry, or the versions of one.

use super::{Output, block_on, model_args, write_json};
use crate::cli::rollouts::arms_text;
use crate::lifecycle::card;
use clap::Args;
use hotshelf_registry::{Manifest, ModelName, Registry, Version};
use hotshelf_terminal::quantity;
use hotshelf_terminal::registry_args::RegistryArgs;
use hotshelf_terminal::table::{Column, TextTable};
use serde::Serialize;
use std::io::Write;

/// Arguments of `hotshelf models list`.
#[derive(Args)]
pub(in crate::cli) struct ListArgs {
    #[command(flatten)]
    registry: RegistryArgs,
    /// List this model's versions, newest first [default: list models]
    #[arg(long, value_name = "NAME")]
    model: Option<ModelName>,
    #[command(flatten)]
    output: Output,
}

/// One model of a registry.
#[derive(Serialize)]
struct ListedModel {
    model: String,
    versions: usize,
    newest_version: Option<u64>,
    /// The arms of the newest rollout with their shares.
    rollout: String,
}

/// One version of a model.
#[derive(Serialize)]
struct ListedVersion {
    version: u64,
    created_at: String,
    author: String,
    size_bytes: u64,
    users: usize,
    products: usize,
    interactions: usize,
    problem: String,
}

impl ListedVersion {
    fn of(version: Version, manifest: Result<Manifest, hotshelf_registry::Error>) -> Self {
        let empty = Self {
            version: version.get(),
            created_at: String::new(),
            author: String::new(),
            size_bytes: 0,
            users: 0,
            products: 0,
            interactions: 0,
            problem: String::new(),
        };
        let manifest = match manifest {
            Ok(manifest) => manifest,
            Err(error) => {
                return Self {
                    problem: crate::error::with_causes(&error),
                    ..empty
                };
            }
        };
        let described = Self {
            created_at: manifest.created_at.clone(),
            author: manifest.author.clone(),
            size_bytes: manifest.parts.iter().map(|part| part.size_bytes).sum(),
            ..empty
        };
        match card(&manifest) {
            Ok(card) => Self {
                users: card.sizes.users,
                products: card.sizes.products,
                interactions: card.sizes.interactions,
                ..described
            },
            Err(error) => Self {
                problem: error.message,
                ..described
            },
        }
    }
}

/// Lists.
pub(super) fn run(args: &ListArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let registry = model_args::open(&args.registry)?;
    match &args.model {
        Some(model) => {
            let url = &args.registry.registry;
            block_on(model_args::ensure_has(&registry, model, url))?;
            let listed = block_on(versions(&registry, model))?;
            match args.output.json {
                true => write_json(out, &listed),
                false => write_versions(out, &listed),
            }
        }
        None => {
            let listed = block_on(models(&registry))?;
            match args.output.json {
                true => write_json(out, &listed),
                false => write_models(out, &listed, &args.registry.registry),
            }
        }
    }
}

async fn models(registry: &Registry) -> anyhow::Result<Vec<ListedModel>> {
    let mut listed = Vec::new();
    for model in registry.models_with_versions().await? {
        let numbers = registry.version_numbers(&model).await?;
        let log = registry.rollouts(&model).await?;
        listed.push(ListedModel {
            model: model.to_string(),
            versions: numbers.len(),
            newest_version: numbers.last().map(|newest| newest.get()),
            rollout: log
                .head()
                .map_or_else(String::new, |head| arms_text(&head.arms)),
        });
    }
    Ok(listed)
}

fn write_models(out: &mut dyn Write, listed: &[ListedModel], url: &str) -> anyhow::Result<()> {
    if listed.is_empty() {
        writeln!(out, "no model has versions in {url}")?;
        return Ok(());
    }
    let mut table = TextTable::new([
        Column::Left("model"),
        Column::Right("versions"),
        Column::Right("newest"),
        Column::Text("rollout"),
    ]);
    for one in listed {
        let newest = one.newest_version.unwrap_or_default();
        let rollout = match one.rollout.as_str() {
            "" => "none",
            rollout => rollout,
        };
        table.row([
            one.model.as_str(),
            &one.versions.to_string(),
            &newest.to_string(),
            rollout,
        ]);
    }
    write!(out, "{}", table.render(0))?;
    Ok(())
}

async fn versions(registry: &Registry, model: &ModelName) -> anyhow::Result<Vec<ListedVersion>> {
    let mut listed = Vec::new();
    for version in registry.version_numbers(model).await?.into_iter().rev() {
        let manifest = registry.manifest(model, version).await;
        listed.push(ListedVersion::of(version, manifest));
    }
    Ok(listed)
}

fn write_versions(out: &mut dyn Write, listed: &[ListedVersion]) -> anyhow::Result<()> {
    let mut table = TextTable::new([
        Column::Right("version"),
        Column::Left("created"),
        Column::Left("author"),
        Column::Right("size"),
        Column::Right("users"),
        Column::Right("products"),
        Column::Right("interactions"),
        Column::Text(""),
    ]);
    for one in listed {
        table.row([
            one.version.to_string(),
            one.created_at.clone(),
            one.author.clone(),
            quantity::bytes(one.size_bytes),
            one.users.to_string(),
            one.products.to_string(),
            one.interactions.to_string(),
            one.problem.clone(),
        ]);
    }
    write!(out, "{}", table.render(0))?;
    Ok(())
}
