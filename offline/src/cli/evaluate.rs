//! `evaluate`: evaluates parameters, or a packed model, on a shop's held-out events.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::Args;
use hotshelf_model::Model;

use super::report::{RunReport, ShopSummary};
use super::shop_args::ShopArgs;
use crate::error::Error;
use crate::mapping::Cut;
use crate::outputs::{Role, RunPath};
use crate::packed::PackedModel;
use crate::progress::Progress;
use crate::sample::{SampleOptions, product_samples, samples};
use crate::time_format::{parse_instant, rfc3339};
use crate::train::{evaluate_model, evaluate_parameters};

#[derive(Debug, Args)]
pub(super) struct EvaluateArgs {
    #[command(flatten)]
    shop: ShopArgs,
    /// Evaluate a model of `train --no-refit` instead of fitting
    #[arg(long, value_name = "DIR", help_heading = "Evaluation")]
    packed: Option<PathBuf>,
}

impl EvaluateArgs {
    pub(super) fn run(&self) -> Result<String, Error> {
        let progress = Progress::on_terminal();
        let mapping = self.shop.mapping()?;
        let packed = self.packed.iter();
        let inputs = packed.map(|path| RunPath::new("--packed", path, Role::Folder));
        self.shop
            .check_paths(&mapping, (inputs.collect(), Vec::new()))?;
        let mut options = self.shop.options(&mapping)?;
        let packed = self.packed.as_deref().map(PackedModel::read).transpose()?;
        if let Some(packed) = &packed {
            options.plan.cut = Cut::At(cut_of(packed, self.shop.cut)?);
            options.params = packed.card.parameters.clone();
        }

        let (shop, read) = self.shop.read(&mapping, progress)?;
        let (model, evaluation) = match packed {
            None => evaluate_parameters(&shop, &options, progress)?,
            Some(packed) => {
                let model = self.unpacked(packed)?;
                let evaluation = evaluate_model(&model, &shop, &options.plan, progress)?;
                (model, evaluation)
            }
        };

        let shown = SampleOptions {
            seed: options.params.als.seed,
            each: self.shop.samples,
            before_s: Some(evaluation.cut_s),
        };
        let report = RunReport {
            shop: ShopSummary::of(&shop, read),
            parameters: options.params,
            samples: samples(&model, &shop, shown),
            product_samples: product_samples(&model, shown),
            index: BTreeMap::new(),
            evaluation,
            refit: None,
            packed: self.packed.clone(),
            size_bytes: None,
            published: None,
        };
        self.shop.finish(&report)
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

/// The earliest cut for a packed model: never before an event that it was fitted on.
fn cut_of(packed: &PackedModel, asked_s: Option<i64>) -> Result<i64, Error> {
    let refuse = |why: String| Err(Error::Argument(why));
    let again = "train it with --no-refit to evaluate it";
    let Some(known) = &packed.card.evaluation else {
        return refuse(format!(
            "the packed model does not say which events it was fitted on; {again}"
        ));
    };
    if known.refit {
        return refuse(format!(
            "the packed model was fitted on all events, so none is held out; {again}"
        ));
    }
    let fitted_until_s = parse_instant(&known.cut_off).map_err(Error::Argument)?;
    match asked_s {
        Some(asked_s) if asked_s < fitted_until_s => refuse(format!(
            "--cut {} lies before {}, up to which the packed model was fitted",
            rfc3339(asked_s),
            known.cut_off
        )),
        asked_s => Ok(asked_s.unwrap_or(fitted_until_s)),
    }
}
