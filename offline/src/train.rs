//! Trains a shop's model: split, fit, evaluate, pack.
//!
//! ```text
//! shop ─▶ split by time ─▶ fit before the cut ─▶ evaluate on held-out events ─┐
//!   └────────────────────────────────────────▶ fit on all events ─────────────┴─▶ pack
//!                                              (or pack the first: refit = false)
//! ```
//!
//! The card always holds the evaluation of the fit before the cut, and says whether the packed
//! model is that fit or was fitted again.

use std::num::NonZeroUsize;

use hotshelf_model::{CardExtra, Clock, FitParams, FitStep, Model, Workers, fit};
use hotshelf_registry::{Input, Lineage};

use crate::clock::monotonic;
use crate::error::Error;
use crate::evaluate::{EvaluationReport, evaluate};
use crate::ingest::IngestReport;
use crate::mapping::EvaluationPlan;
use crate::packed::PackedModel;
use crate::progress::Progress;
use crate::shop::Shop;
use crate::split::Split;

/// Known users in the golden queries of a model (chosen: enough for many users of every segment,
/// and at most a few hundred kilobytes of manifest).
const GOLDEN_QUERIES: usize = 32;

/// Options of training.
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

/// The result of training.
#[derive(Debug)]
pub struct Trained {
    /// The model that was packed.
    pub model: Model,
    /// The evaluation of its parameters.
    pub evaluation: EvaluationReport,
    /// Its parts, card and lineage.
    pub packed: PackedModel,
}

/// Evaluates the parameters on a shop and packs a model fitted with them. `read` gives the lineage.
///
/// # Errors
/// A split with an empty side, parameters or data that cannot be fitted.
pub fn train(
    shop: &Shop,
    read: &IngestReport,
    options: &TrainOptions,
    progress: Progress,
) -> Result<Trained, Error> {
    let split = Split::new(shop, &options.plan)?;
    // Timing costs and shows only in the card, so only the packed model's indexes are timed.
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
    let packed = PackedModel::new(model.pack(extra)?, &shop.name, lineage(read, options));
    Ok(Trained {
        model,
        evaluation,
        packed,
    })
}

/// Fits before the cut and evaluates, without packing.
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

/// Evaluates an existing model, which must not know events from the cut on.
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

/// The files that were read, the code, the seed.
fn lineage(read: &IngestReport, options: &TrainOptions) -> Lineage {
    let inputs = read.files().map(|file| Input {
        name: file.name.clone(),
        version: None,
        sha256: Some(file.sha256),
        rows: file.rows,
    });
    Lineage {
        inputs: inputs.collect(),
        code_commit: options.code_commit.clone(),
        seed: options.params.als.seed,
    }
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

/// A fit, timed or not.
struct Fit<'a> {
    options: &'a TrainOptions,
    /// Clock that measures the speed of indexes.
    clock: Option<Clock>,
}

impl Fit<'_> {
    /// Fits on the events before `cut_s`, or on all of them.
    fn before(&self, shop: &Shop, cut_s: Option<i64>, progress: Progress) -> Result<Model, Error> {
        let data = shop.interactions(cut_s);
        let catalogue = shop.catalogue(cut_s);
        let what = if cut_s.is_some() {
            "fitting before the cut"
        } else {
            "fitting on all events"
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
