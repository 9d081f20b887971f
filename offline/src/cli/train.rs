//! `train`: trains, evaluates and packs a model from a shop's files.

use std::path::PathBuf;

use clap::Args;
use hotshelf_terminal::registry_args::{S3Args, registry_url};

use super::publish::{AuthorArgs, Publisher};
use super::registry;
use super::report::{RunReport, ShopSummary};
use super::shop_args::ShopArgs;
use crate::error::Error;
use crate::mapping::Mapping;
use crate::outputs::{Role, RunPath, registry_folder};
use crate::packed::PackedModel;
use crate::progress::Progress;
use crate::sample::{SampleOptions, product_samples, samples};
use crate::train::train;

#[derive(Debug, Args)]
pub(super) struct TrainArgs {
    // First, so that its positional argument gets no heading.
    #[command(flatten)]
    shop: ShopArgs,
    /// Write the packed model into a new folder
    #[arg(
        long,
        value_name = "DIR",
        required_unless_present = "publish",
        help_heading = "Output"
    )]
    out: Option<PathBuf>,
    /// Publish to a registry: folder, file:///folder or s3://bucket/prefix
    #[arg(
        long,
        value_name = "URL",
        requires = "model_name",
        value_parser = registry_url,
        help_heading = "Output"
    )]
    publish: Option<String>,
    /// Name the model in the registry
    #[arg(
        long = "model",
        value_name = "NAME",
        requires = "publish",
        help_heading = "Output"
    )]
    model_name: Option<String>,
    #[command(flatten)]
    s3: S3Args,
    #[command(flatten)]
    author: AuthorArgs,
    /// Pack the evaluated model instead of fitting on all events
    #[arg(long, help_heading = "Training")]
    no_refit: bool,
}

impl TrainArgs {
    pub(super) fn run(&self) -> Result<String, Error> {
        let progress = Progress::on_terminal();
        let mapping = self.shop.mapping()?;
        self.check_paths(&mapping)?;
        let mut options = self.shop.options(&mapping)?;
        options.refit = !self.no_refit;
        let publisher = self.publisher()?;
        if let Some(folder) = &self.out {
            PackedModel::check_writable(folder, self.shop.force)?;
        }

        let (shop, read) = self.shop.read(&mapping, progress)?;
        let trained = train(&shop, &read, &options, progress)?;
        if let Some(folder) = &self.out {
            trained.packed.write(folder, self.shop.force)?;
        }
        let size_bytes = trained.packed.size_bytes();
        let index = trained.packed.card.index.clone();
        let publish = |publisher: Publisher<'_>| publisher.publish(trained.packed);
        let published = publisher.map(publish).transpose()?;

        let shown = SampleOptions {
            seed: options.params.als.seed,
            each: self.shop.samples,
            before_s: (!options.refit).then_some(trained.evaluation.cut_s),
        };
        let report = RunReport {
            shop: ShopSummary::of(&shop, read),
            parameters: options.params,
            samples: samples(&trained.model, &shop, shown),
            product_samples: product_samples(&trained.model, shown),
            index,
            evaluation: trained.evaluation,
            refit: Some(options.refit),
            packed: self.out.clone(),
            size_bytes: Some(size_bytes),
            published,
        };
        self.shop.finish(&report)
    }

    fn check_paths(&self, mapping: &Mapping) -> Result<(), Error> {
        let mut outputs = Vec::new();
        if let Some(folder) = &self.out {
            outputs.push(RunPath::new("--out", folder, Role::Folder));
        }
        let registry = self.publish.as_deref().and_then(registry_folder);
        outputs.extend(registry.map(|path| RunPath::new("--publish", path, Role::Registry)));
        let inputs = registry::ca_file(&self.s3).map(|path| RunPath::file("--s3-ca-file", path));
        self.shop
            .check_paths(mapping, (inputs.into_iter().collect(), outputs))
    }

    /// Opens the registry before anything is read, so that a mistyped name costs no training.
    fn publisher(&self) -> Result<Option<Publisher<'_>>, Error> {
        match (&self.publish, &self.model_name) {
            (Some(url), Some(model)) => {
                Publisher::open((url, &self.s3), model, &self.author).map(Some)
            }
            _ => Ok(None),
        }
    }
}
