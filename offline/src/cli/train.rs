//! `train`: trains, evaluates and packs a model from a shop's files.

use std::path::PathBuf;

use clap::Args;
use hotshelf_terminal::registry_args::{S3Args, registry_url};

use super::CommandOutput;
use super::publish::{AuthorArgs, Publisher, reason};
use super::registry;
use super::report::{RunReport, ShopSummary};
use super::shop_args::ShopArgs;
use crate::error::Error;
use crate::mapping::Mapping;
use crate::outputs::{self, Role, RunPath, registry_folder};
use crate::packed::PackedModel;
use crate::progress::Progress;
use crate::sample::{SampleOptions, product_samples, samples};
use crate::shop::Known;
use crate::train::train;
use crate::tune::{TRIALS, TRIALS_MAX, fingerprint, is_journal};

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
    #[arg(long = "model", value_name = "NAME", help_heading = "Output")]
    model_name: Option<String>,
    /// Publish against the verdict, for a reason kept in the manifest
    #[arg(long, value_name = "REASON", requires = "publish", value_parser = reason)]
    #[arg(help_heading = "Output")]
    force_publish: Option<String>,
    /// Compare with the version that is live in this registry
    #[arg(
        long,
        value_name = "URL",
        requires = "model_name",
        conflicts_with = "publish",
        value_parser = registry_url,
        help_heading = "Evaluation"
    )]
    live: Option<String>,
    #[command(flatten)]
    s3: S3Args,
    #[command(flatten)]
    author: AuthorArgs,
    /// Try this many parameters; 1 trains plainly [default: 12]
    #[arg(long, value_name = "COUNT", default_value_t = TRIALS as u64, hide_default_value = true)]
    #[arg(value_parser = clap::value_parser!(u64).range(1..=TRIALS_MAX as u64))]
    #[arg(help_heading = "Training")]
    trials: u64,
    /// Begin no trial after this time [default: off]
    #[arg(long, value_name = "MINUTES", value_parser = minutes, help_heading = "Training")]
    minutes: Option<f64>,
    /// Keep finished trials in this file, and go on from it
    #[arg(long, value_name = "FILE", help_heading = "Training")]
    resume: Option<PathBuf>,
    /// Pack the evaluated model instead of fitting on all events
    #[arg(long, help_heading = "Training")]
    no_refit: bool,
}

impl TrainArgs {
    pub(super) fn run(&self) -> Result<CommandOutput, Error> {
        let progress = Progress::on_stderr();
        let mapping = self.shop.mapping()?;
        self.check_paths(&mapping)?;
        let mut options = self.shop.options(&mapping)?;
        options.refit = !self.no_refit;
        if self.model_name.is_some() && self.publish.is_none() && self.live.is_none() {
            let why = "--model names a model of a registry: add --publish or --live";
            return Err(Error::Argument(why.to_owned()));
        }
        let publisher = self.publisher(self.publish.as_deref())?;
        let compared = self.publisher(self.live.as_deref())?;
        if let Some(registry) = publisher.as_ref().or(compared.as_ref()) {
            options.live = registry.live()?;
        }
        if let Some(folder) = &self.out {
            PackedModel::check_writable(folder, self.shop.force)?;
        }

        let (shop, read) = self.shop.read(&mapping, progress)?;
        options.tune.trials = self.trials as usize;
        options.tune.minutes = self.minutes;
        options.tune.journal = self.resume.clone();
        options.tune.fingerprint = fingerprint(&read, &options.task());
        let trained = train(&shop, &read, &options, progress)?;
        if let Some(folder) = &self.out {
            trained.packed.write(folder, self.shop.force)?;
        }
        let size_bytes = trained.packed.size_bytes();
        let index = trained.packed.card.index.clone();
        let verdict = Some(&trained.evaluation.verdict);
        let forced = self.force_publish.as_deref();
        let publish = |publisher: Publisher<'_>| publisher.publish(trained.packed, verdict, forced);
        let published = publisher.map(publish).transpose();
        // A version that the gate refuses was trained all the same: its report shows why.
        let (published, refusal) = match published {
            Err(refusal @ Error::Gate { .. }) => (None, Some(refusal)),
            published => (published?, None),
        };

        let shown = SampleOptions {
            seed: options.params.als.seed,
            each: self.shop.samples,
            known: match options.refit {
                true => Known::default(),
                false => trained.split.past(),
            },
        };
        let report = RunReport {
            shop: ShopSummary::of(&shop, read),
            parameters: trained.params,
            tuning: trained.tuned.report(),
            samples: samples(&trained.model, &shop, shown),
            product_samples: product_samples(&trained.model, shown),
            index,
            evaluation: trained.evaluation,
            refit: Some(options.refit),
            packed: self.out.clone(),
            size_bytes: Some(size_bytes),
            published,
        };
        Ok(CommandOutput {
            report: self.shop.finish(&report, &trained.per_user)?,
            refusal,
        })
    }

    fn check_paths(&self, mapping: &Mapping) -> Result<(), Error> {
        let mut outputs = Vec::new();
        if let Some(folder) = &self.out {
            outputs.push(RunPath::new("--out", folder, Role::Folder));
        }
        let registry = self.publish.as_deref().and_then(registry_folder);
        outputs.extend(registry.map(|path| RunPath::new("--publish", path, Role::Registry)));
        let inputs = registry::ca_file(&self.s3).map(|path| RunPath::file("--s3-ca-file", path));
        let journal = self
            .resume
            .as_ref()
            .map(|path| RunPath::file("--resume", path));
        outputs.extend(journal.clone());
        self.shop
            .check_paths(mapping, (inputs.into_iter().collect(), outputs))?;
        journal.map_or(Ok(()), |journal| {
            outputs::check_replaceable(&journal, is_journal, self.shop.force)
        })
    }

    /// Opens the registry before anything is read, so that a mistyped name costs no training.
    fn publisher<'a>(&'a self, url: Option<&'a str>) -> Result<Option<Publisher<'a>>, Error> {
        match (url, &self.model_name) {
            (Some(url), Some(model)) => {
                Publisher::open((url, &self.s3), model, &self.author).map(Some)
            }
            _ => Ok(None),
        }
    }
}

/// Parses a time in minutes.
fn minutes(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 1e5 => Ok(minutes),
        Ok(_) => Err("not above 0 and at most 100000".to_owned()),
        Err(_) => Err("not a number".to_owned()),
    }
}
