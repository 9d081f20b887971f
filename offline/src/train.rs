//! Trains a shop's model: split, fit, evaluate, pack.
//!
//! ```text
//! shop ─▶ split ─▶ tune ─▶ fit on the past ─▶ evaluate on held-out events ─┐
//!   └────────────────────────────────────────▶ fit on all events ──────────┴─▶ pack
//!                                              (or pack the first: refit = false)
//! ```
//!
//! The card always holds the evaluation of the fit on the past, and says whether the packed model is
//! that fit or was fitted again.

use std::num::NonZeroUsize;

use hotshelf_model::{CardExtra, Clock, Defaults, FitParams, FitStep, Model, Workers, fit};
use hotshelf_registry::{Input, Lineage};

use crate::clock::monotonic;
use crate::error::Error;
use crate::evaluate::{Evaluated, EvaluationReport, Held, Judged, Live, PerUser, evaluate, pool};
use crate::ingest::IngestReport;
use crate::live::LiveVersion;
use crate::mapping::EvaluationPlan;
use crate::packed::PackedModel;
use crate::progress::Progress;
use crate::shop::{Known, Shop};
use crate::split::Split;
use crate::tune::{Task, TuneOptions, Tuned, tune};

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
    /// Threads of fits and evaluations; any number gives the same bytes.
    pub threads: NonZeroUsize,
    /// Commit of the code that trains, where known.
    pub code_commit: Option<String>,
    /// The version to compare with.
    pub live: Option<LiveVersion>,
    /// How parameters are searched.
    pub tune: TuneOptions,
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
    /// The parameters that it was fitted with.
    pub params: FitParams,
    /// How they were found.
    pub(crate) tuned: Tuned,
    pub(crate) per_user: PerUser,
    pub(crate) split: Split,
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
    let tuned = tune(shop, &split, &options.task(), progress)?;
    let params = &tuned.params;
    let defaults = Defaults {
        strategy: tuned.strategy,
        include_seen: options.plan.includes_seen(),
    };
    // Timing costs and shows only in the card, so only the packed model's indexes are timed.
    let mut past = options.fit(shop, (split.past(), !options.refit), (params, progress))?;
    state(&mut past, defaults)?;
    let Evaluated { report, per_user } = options.evaluate(&past, (shop, &split), progress)?;
    let model = if options.refit {
        let mut model = options.fit(shop, (Known::default(), true), (params, progress))?;
        state(&mut model, defaults)?;
        model
    } else {
        past
    };
    let mut card = report.card(&options.plan, options.refit);
    card.note = format!("{} {}", card.note, tuned.note)
        .trim_end()
        .to_owned();
    card.trials = tuned.trials.clone();
    let extra = CardExtra {
        evaluation: Some(card),
        golden_queries: GOLDEN_QUERIES,
    };
    let packed = PackedModel::new(model.pack(extra)?, &shop.name, lineage(read, options));
    Ok(Trained {
        model,
        evaluation: report,
        packed,
        params: params.clone(),
        tuned,
        per_user,
        split,
    })
}

/// States what the model answers with where a query leaves it open; a version that answers as ever
/// states nothing.
fn state(model: &mut Model, defaults: Defaults) -> Result<(), Error> {
    if defaults != Defaults::default() {
        model.set_defaults(defaults)?;
    }
    Ok(())
}

/// A model, evaluated on what it does not know.
pub(crate) struct EvaluatedModel {
    pub(crate) model: Model,
    pub(crate) evaluated: Evaluated,
    pub(crate) split: Split,
}

/// Fits the past and evaluates, without packing.
///
/// # Errors
/// As [`train`].
pub(crate) fn evaluate_parameters(
    shop: &Shop,
    options: &TrainOptions,
    progress: Progress,
) -> Result<EvaluatedModel, Error> {
    let split = Split::new(shop, &options.plan)?;
    let fitted = (&options.params, progress);
    let model = options.fit(shop, (split.past(), false), fitted)?;
    let evaluated = options.evaluate(&model, (shop, &split), progress)?;
    Ok(EvaluatedModel {
        model,
        evaluated,
        split,
    })
}

/// Evaluates an existing model, which must not know held-out events.
///
/// # Errors
/// A split with an empty side.
pub(crate) fn evaluate_model(
    model: Model,
    shop: &Shop,
    options: &TrainOptions,
    progress: Progress,
) -> Result<EvaluatedModel, Error> {
    let split = Split::new(shop, &options.plan)?;
    let evaluated = options.evaluate(&model, (shop, &split), progress)?;
    Ok(EvaluatedModel {
        model,
        evaluated,
        split,
    })
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

impl TrainOptions {
    /// What a search starts from.
    pub(crate) fn task(&self) -> Task<'_> {
        Task {
            plan: &self.plan,
            params: &self.params,
            threads: self.threads,
            tune: &self.tune,
        }
    }

    /// Evaluates a model of the past, beside the live version's parameters fitted on the same past.
    fn evaluate(
        &self,
        model: &Model,
        (shop, split): (&Shop, &Split),
        progress: Progress,
    ) -> Result<Evaluated, Error> {
        let live = self.live.as_ref().map(|live| {
            let fitted = (&live.params, progress);
            let model = self.fit(shop, (split.past(), false), fitted)?;
            Ok::<_, Error>((live, model))
        });
        let live = live.transpose()?;
        let judged = Judged {
            model,
            live: live.as_ref().map(|(live, model)| Live {
                version: live.version,
                strategy: live.strategy,
                model,
            }),
        };
        let held = Held {
            shop,
            split,
            plan: &self.plan,
        };
        let pool = pool(self.threads)?;
        Ok(pool.install(|| evaluate(&judged, &held, progress)))
    }

    /// Fits on the known events.
    pub(crate) fn fit(
        &self,
        shop: &Shop,
        (known, is_timed): (Known<'_>, bool),
        (params, progress): (&FitParams, Progress),
    ) -> Result<Model, Error> {
        let data = shop.interactions(known);
        let catalogue = shop.catalogue(known);
        let what = match known.is_past() {
            true => "fitting on training events",
            false => "fitting on all events",
        };
        let workers = Workers {
            threads: self.threads,
            clock: is_timed.then_some(monotonic as Clock),
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
