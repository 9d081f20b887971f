//! `evaluate`: evaluates parameters, or a packed model, on a shop's held-out events.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use hotshelf_model::{Evaluation, Model};
use hotshelf_terminal::registry_args::{S3Args, registry_url};

use super::registry;
use super::report::{RunReport, ShopSummary};
use super::shop_args::ShopArgs;
use crate::error::Error;
use crate::live::live_version;
use crate::mapping::{Cut, EvaluationPlan, SplitRule};
use crate::outputs::{Role, RunPath};
use crate::packed::PackedModel;
use crate::progress::Progress;
use crate::sample::{SampleOptions, product_samples, samples};
use crate::time_format::{parse_instant, rfc3339};
use crate::train::{EvaluatedModel, evaluate_model, evaluate_parameters};

#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    shop: ShopArgs,
    /// Evaluate a model of `train --no-refit` instead of fitting
    #[arg(long, value_name = "DIR", help_heading = "Evaluation")]
    packed: Option<PathBuf>,
    /// Compare with the version that is live in this registry
    #[arg(
        long,
        value_name = "URL",
        requires = "model_name",
        value_parser = registry_url,
        help_heading = "Evaluation"
    )]
    live: Option<String>,
    /// Name the model in that registry
    #[arg(
        long = "model",
        value_name = "NAME",
        requires = "live",
        help_heading = "Evaluation"
    )]
    model_name: Option<String>,
    #[command(flatten)]
    s3: S3Args,
}

impl EvaluateArgs {
    pub(super) fn run(&self) -> Result<String, Error> {
        let progress = Progress::on_stderr();
        let mapping = self.shop.mapping()?;
        let packed = self.packed.iter();
        let inputs = packed.map(|path| RunPath::new("--packed", path, Role::Folder));
        self.shop
            .check_paths(&mapping, (inputs.collect(), Vec::new()))?;
        let mut options = self.shop.options(&mapping)?;
        if let (Some(url), Some(model)) = (&self.live, &self.model_name) {
            let model = model.parse();
            let model = model
                .map_err(|error: hotshelf_registry::Error| Error::Argument(error.to_string()))?;
            options.live = live_version((url, &registry::open(url, &self.s3)?), &model)?;
        }
        let packed = self.packed.as_deref().map(PackedModel::read).transpose()?;
        if let Some(packed) = &packed {
            self.hold_out(packed, &mut options.plan)?;
            options.params = packed.card.parameters.clone();
        }

        let (shop, read) = self.shop.read(&mapping, progress)?;
        let EvaluatedModel {
            model,
            evaluated,
            split,
        } = match packed {
            None => evaluate_parameters(&shop, &options, progress)?,
            Some(packed) => evaluate_model(self.unpacked(packed)?, &shop, &options, progress)?,
        };

        if let Some(folder) = &self.packed {
            PackedModel::store_verdict(folder, &evaluated.report.verdict)?;
        }

        let shown = SampleOptions {
            seed: options.params.als.seed,
            each: self.shop.samples,
            known: split.past(),
        };
        let report = RunReport {
            shop: ShopSummary::of(&shop, read),
            parameters: options.params,
            tuning: None,
            samples: samples(&model, &shop, shown),
            product_samples: product_samples(&model, shown),
            index: BTreeMap::new(),
            evaluation: evaluated.report,
            refit: None,
            packed: self.packed.clone(),
            size_bytes: None,
            published: None,
        };
        self.shop.finish(&report, &evaluated.per_user)
    }

    fn unpacked(&self, packed: PackedModel) -> Result<Model, Error> {
        let parts: BTreeMap<_, _> = packed.parts.into_iter().collect();
        let model = Model::unpack(&packed.card, &parts, &mut |_| {});
        model.map_err(|error| Error::Packed {
            folder: self.packed.clone().unwrap_or_default(),
            why: error.to_string(),
        })
    }
}

/// How a packed model was evaluated, if it does not know what was held out.
fn held_out_of(packed: &PackedModel) -> Result<&Evaluation, Error> {
    let again = "train it with --no-refit to evaluate it";
    match &packed.card.evaluation {
        None => Err(Error::Argument(format!(
            "the packed model does not say which events it was fitted on; {again}"
        ))),
        Some(known) if known.refit => Err(Error::Argument(format!(
            "the packed model was fitted on all events, so none is held out; {again}"
        ))),
        Some(known) => Ok(known),
    }
}

impl EvaluateArgs {
    /// Sets the split of a packed model: the one that it was fitted before, or a later cut.
    fn hold_out(&self, packed: &PackedModel, plan: &mut EvaluationPlan) -> Result<(), Error> {
        let known = held_out_of(packed)?;
        let (fitted, asked) = (&known.split, plan.split.as_str());
        if fitted != asked {
            return Err(Error::Argument(format!(
                "{} asks for a split {asked:?}, and the packed model was fitted for a split \
                 {fitted:?}; it may know what this one holds out",
                plan.origin
            )));
        }
        let SplitRule::Time(_) = plan.split else {
            return Ok(());
        };
        let fitted_until_s = parse_instant(&known.cut_off).map_err(Error::Argument)?;
        let cut_s = self.shop.cut.unwrap_or(fitted_until_s);
        if cut_s < fitted_until_s {
            return Err(Error::Argument(format!(
                "--cut {} lies before {}, up to which the packed model was fitted",
                rfc3339(cut_s),
                known.cut_off
            )));
        }
        plan.split = SplitRule::Time(Cut::At(cut_s));
        Ok(())
    }
}
