//! `publish`, and the publishing half of `train`.
//!
//! Publishing moves no traffic: a version receives none until a rollout names it.

use std::path::PathBuf;

use clap::Args;
use hotshelf_model::Verdict;
use hotshelf_registry::{ModelName, Registry, RolloutDraft};
use hotshelf_terminal::quantity::grouped;
use hotshelf_terminal::registry_args::{RegistryArgs, S3Args};
use hotshelf_terminal::text::one_line;
use serde::Serialize;

use super::json;
use super::registry;
use crate::error::Error;
use crate::gate::{Passed, pass};
use crate::live::{LiveVersion, live_version};
use crate::outputs::{self, Role, RunPath, registry_folder};
use crate::packed::PackedModel;
use crate::publish::{Target, publish};

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    /// Folder of a packed model (`train --out`)
    #[arg(value_name = "DIR")]
    packed: PathBuf,
    #[command(flatten)]
    registry: RegistryArgs,
    /// Name the model in the registry
    #[arg(long, value_name = "NAME", help_heading = "Output")]
    model: String,
    #[command(flatten)]
    author: AuthorArgs,
    /// Publish against the verdict, for a reason kept in the manifest
    #[arg(long, value_name = "REASON", value_parser = reason, help_heading = "Output")]
    force: Option<String>,
    /// Print the result as one JSON object
    #[arg(long, help_heading = "Report")]
    json: bool,
}

#[derive(Debug, Args)]
pub(super) struct AuthorArgs {
    /// Record who publishes in the manifest
    #[arg(
        long,
        value_name = "NAME",
        default_value = "hotshelf-offline",
        help_heading = "Output"
    )]
    author: String,
}

impl PublishArgs {
    pub(super) fn run(&self) -> Result<String, Error> {
        let packed = RunPath::new("the packed model", &self.packed, Role::Folder);
        let registry = registry_folder(&self.registry.registry);
        let registry = registry.map(|path| RunPath::new("--registry", path, Role::Registry));
        outputs::check(&[packed], registry.as_slice())?;
        let publisher = Publisher::open(
            (&self.registry.registry, &self.registry.s3),
            &self.model,
            &self.author,
        )?;
        let packed = PackedModel::read(&self.packed)?;
        let verdict = packed.verdict(&self.packed)?;
        let published = publisher.publish(packed, verdict.as_ref(), self.force.as_deref())?;
        if self.json {
            json(&published)
        } else {
            Ok(published.text())
        }
    }
}

/// A reason of 1 to 1,024 bytes, as rollouts have one.
pub(super) fn reason(text: &str) -> Result<String, String> {
    if text.trim().is_empty() {
        return Err("a reason is needed".to_owned());
    }
    let checked = RolloutDraft::check_reason(text);
    checked.map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

/// An open registry and a valid model name, checked before anything is computed.
pub(super) struct Publisher<'a> {
    url: &'a str,
    registry: Registry,
    model: ModelName,
    author: &'a str,
}

impl<'a> Publisher<'a> {
    pub(super) fn open(
        (url, s3): (&'a str, &S3Args),
        model: &str,
        author: &'a AuthorArgs,
    ) -> Result<Self, Error> {
        let refuse = |error: hotshelf_registry::Error| Error::Argument(error.to_string());
        Ok(Self {
            url,
            registry: registry::open(url, s3)?,
            model: model.parse().map_err(refuse)?,
            author: &author.author,
        })
    }

    /// The version that is live under this name.
    pub(super) fn live(&self) -> Result<Option<LiveVersion>, Error> {
        live_version((self.url, &self.registry), &self.model)
    }

    /// Publishes what passes the gate.
    pub(super) fn publish(
        &self,
        packed: PackedModel,
        verdict: Option<&Verdict>,
        forced: Option<&str>,
    ) -> Result<Published, Error> {
        let live = self.live()?.map(|live| live.version);
        let passed = pass(verdict, live, forced)?;
        let size_bytes = packed.size_bytes();
        let target = Target {
            url: self.url,
            registry: &self.registry,
            model: &self.model,
            author: self.author,
        };
        let manifest = publish(packed, &passed, &target)?;
        Ok(Published {
            registry: self.url.to_owned(),
            model: manifest.model.to_string(),
            version: manifest.version.get(),
            size_bytes,
            gate: passed,
        })
    }
}

/// What was published.
#[derive(Debug, Serialize)]
pub(super) struct Published {
    registry: String,
    model: String,
    version: u64,
    size_bytes: u64,
    gate: Passed,
}

impl Published {
    /// A line for each warning, and the result as the last one.
    pub(super) fn text(&self) -> String {
        let warnings = self.gate.warnings.iter();
        let warnings = warnings.map(|why| one_line(format!("WARNING: {why}")) + "\n");
        let forced = self.gate.forced.iter();
        let forced =
            forced.map(|why| one_line(format!("Published against its verdict: {why}")) + "\n");
        let Self {
            registry,
            model,
            version,
            size_bytes,
            ..
        } = self;
        let size = grouped(*size_bytes);
        let result = format!("Published {model} version {version} into {registry}: {size} bytes");
        let lines = warnings.chain(forced).chain([one_line(result) + "\n"]);
        lines.collect()
    }
}
