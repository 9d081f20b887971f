//! From a shop to a model worth publishing.
//!
//! ```text
//! shop ─▶ split by time ─▶ fit on the past ─▶ evaluate on the future ─┐
//!   └──────────────────────────────────────▶ fit on everything ───────┴─▶ pack with evaluation
//!                                            (or keep the first: refit = false)
//! ```
//!
//! The numbers in the card are always those of the fit on the past; whether the packed model is
//! that fit or a later one is said beside them.

use std::num::NonZeroUsize;

use hotshelf_model::{CardExtra, Clock, FitParams, FitStep, Model, ProductInfo, Workers, fit};

use crate::clock::monotonic;
use crate::error::Error;
use crate::evaluate::{EvaluationReport, evaluate};
use crate::mapping::EvaluationPlan;
use crate::packed::{PackedModel, lineage};
use crate::progress::Progress;
use crate::shop::Shop;
use crate::split::Split;

/// Known users whose whole answers travel with the model; replicas repeat them (chosen: enough to
/// meet every segment many times, a few hundred kilobytes of manifest at most).
const GOLDEN_QUERIES: usize = 32;

/// What training is told beside the shop.
#[derive(Debug, Clone)]
pub struct TrainOptions {
    /// How the parameters are evaluated.
    pub plan: EvaluationPlan,
    /// The parameters.
    pub params: FitParams,
    /// Whether the packed model is fitted again on all events.
    pub refit: bool,
    /// Threads of the fit; any number gives the same bytes.
    pub threads: NonZeroUsize,
    /// Commit of the code that trains, where known.
    pub code_commit: Option<String>,
}

/// What training gives.
#[derive(Debug)]
pub struct Trained {
    /// The model that was packed.
    pub model: Model,
    /// How its parameters did.
    pub evaluation: EvaluationReport,
    /// Its parts, card and lineage.
    pub packed: PackedModel,
}

/// Evaluates the parameters on a shop and packs a model fitted with them.
///
/// # Errors
/// A split with an empty side, parameters or data that cannot be fitted.
pub fn train(shop: &Shop, options: &TrainOptions, progress: Progress) -> Result<Trained, Error> {
    let split = Split::new(shop, &options.plan)?;
    // Only the indexes of the model that is packed are timed: timing costs, and shows in its card.
    let timed = |packed: bool| Fit {
        options,
        clock: packed.then_some(monotonic as Clock),
    };
    let past = timed(!options.refit).before(shop, Some(split.cut_s), progress)?;
    let evaluation = evaluate_with_bar(&past, shop, &split, &options.plan, progress);
    let model = if options.refit {
        timed(true).before(shop, None, progress)?
    } else {
        past
    };
    let extra = CardExtra {
        evaluation: Some(evaluation.card(&options.plan, options.refit)),
        golden_queries: GOLDEN_QUERIES,
    };
    let packed = PackedModel::new(model.pack(extra)?, &shop.name, lineage(shop, options));
    Ok(Trained {
        model,
        evaluation,
        packed,
    })
}

/// Fits on the past and evaluates, without packing anything.
///
/// # Errors
/// As [`train`].
pub fn evaluate_parameters(
    shop: &Shop,
    options: &TrainOptions,
    progress: Progress,
) -> Result<(Model, EvaluationReport), Error> {
    let split = Split::new(shop, &options.plan)?;
    let fit = Fit {
        options,
        clock: None,
    };
    let past = fit.before(shop, Some(split.cut_s), progress)?;
    let evaluation = evaluate_with_bar(&past, shop, &split, &options.plan, progress);
    Ok((past, evaluation))
}

/// Evaluates a model that exists already; it must not know events from the cut on.
///
/// # Errors
/// A split with an empty side.
pub fn evaluate_model(
    model: &Model,
    shop: &Shop,
    plan: &EvaluationPlan,
    progress: Progress,
) -> Result<EvaluationReport, Error> {
    let split = Split::new(shop, plan)?;
    Ok(evaluate_with_bar(model, shop, &split, plan, progress))
}

fn evaluate_with_bar(
    model: &Model,
    shop: &Shop,
    split: &Split,
    plan: &EvaluationPlan,
    progress: Progress,
) -> EvaluationReport {
    let bar = progress.steps("evaluating users", split.future.len() as u64);
    let report = evaluate(model, shop, split, plan, &bar);
    bar.finish_and_clear();
    report
}

/// One fit, timed or not.
struct Fit<'a> {
    options: &'a TrainOptions,
    /// By which the speed of indexes is measured.
    clock: Option<Clock>,
}

impl Fit<'_> {
    /// Fits on the events before `cut_s`, or on all of them.
    fn before(&self, shop: &Shop, cut_s: Option<i64>, progress: Progress) -> Result<Model, Error> {
        let data = shop.interactions(cut_s);
        let exists = |product: &&ProductInfo| data.products().binary_search(&product.id).is_ok();
        let catalogue: Vec<ProductInfo> = shop.catalogue.iter().filter(exists).cloned().collect();
        let what = if cut_s.is_some() {
            "fitting on the past"
        } else {
            "fitting on everything"
        };
        let params = &self.options.params;
        let workers = Workers {
            threads: self.options.threads,
            clock: self.clock,
        };
        let bar = progress.steps(what, params.als.iterations as u64);
        let mut step = |step: FitStep| {
            if let FitStep::Iteration { done, .. } = step {
                bar.set_position(done as u64);
            }
        };
        let model = fit(&data, &catalogue, params, workers, &mut step)?;
        bar.finish_and_clear();
        Ok(model)
    }
}
