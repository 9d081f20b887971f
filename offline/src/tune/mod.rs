//! Chooses parameters: trials on a validation period that lies before the test period.
//!
//! ```text
//! trial 1: the replaced service's ─┐
//! starts that were good elsewhere ─┼─▶ fit the tuning's past ─▶ candidates of each user, once
//! moves from the best so far ──────┘            │                        │
//!                                               └── nDCG of each strategy ┴─▶ weights, alpha
//! ```
//!
//! Nothing here sees the test period. Which trials are made, and when the search stops, follows from
//! the seed, the counts and the scores before; the same data give the same parameters, whatever the
//! threads and the clock. Only `minutes`, which is off, asks a clock.

mod journal;
mod people;
mod space;
#[cfg(test)]
mod tests;
mod validation;
mod weights;

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use hotshelf_model::{
    FitParams, IndexChoice, Interactions, Model, SidesParams, Strategy, Trial, fit,
};
use hotshelf_registry::Sha256Digest;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::evaluate::{Audience, pool};
use crate::ingest::IngestReport;
use crate::mapping::{EvaluationPlan, ModelSettings};
use crate::progress::Progress;
use crate::shop::{Known, Shop};
use crate::split::Split;
use journal::Journal;
pub(crate) use journal::is_journal;
use people::Sample;
use space::Space;
use validation::Validation;

/// Trials by default; the first is the plain training.
pub const TRIALS: usize = 12;
/// Most trials (chosen: they travel in the card, at some 600 bytes each).
pub const TRIALS_MAX: usize = 200;
/// Fewest users of the validation period; with fewer, chance would choose.
const USERS_MIN: usize = 20;
/// Most ALS iterations of a trial but the first (chosen: half of the default; what follows moves the
/// scores of all trials alike).
const TRIAL_ITERATIONS: usize = 8;
/// Trials in a row without a better one after which the search stops.
const PATIENCE: usize = 8;

/// Options of a search.
#[derive(Debug, Clone)]
pub struct TuneOptions {
    /// Trials in all, 1 to [`TRIALS_MAX`]; 1 is no search.
    pub trials: usize,
    /// No trial begins after so long; None: the clock has no say.
    pub minutes: Option<f64>,
    /// Parameters that the shop or a flag sets; the search leaves them alone.
    pub fixed: ModelSettings,
    /// Where finished trials are kept, for a run that goes on after an interruption.
    pub journal: Option<PathBuf>,
    /// What identifies the data and the settings of the search, for the journal.
    pub fingerprint: String,
}

impl TuneOptions {
    /// One trial, which is no search.
    pub fn plain(fixed: ModelSettings) -> Self {
        Self {
            trials: 1,
            minutes: None,
            fixed,
            journal: None,
            fingerprint: String::new(),
        }
    }
}

/// What a search starts from.
pub(crate) struct Task<'a> {
    pub(crate) plan: &'a EvaluationPlan,
    /// The parameters of a plain training.
    pub(crate) params: &'a FitParams,
    /// Threads of fits and scores; any number gives the same parameters.
    pub(crate) threads: NonZeroUsize,
    pub(crate) tune: &'a TuneOptions,
}

/// A finished trial with everything that a fit needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Finished {
    pub(crate) number: usize,
    pub(crate) params: FitParams,
    /// nDCG on the validation period, by strategy, to nine decimals.
    pub(crate) scores: BTreeMap<String, f64>,
    /// The strategy with the greatest.
    pub(crate) strategy: Strategy,
}

impl Finished {
    /// The score that decides.
    pub(crate) fn score(&self) -> f64 {
        let score = self.scores.get(self.strategy.as_str());
        score.copied().unwrap_or_default()
    }
}

/// The outcome of a search.
#[derive(Debug, Clone)]
pub(crate) struct Tuned {
    /// The chosen parameters.
    pub(crate) params: FitParams,
    /// What the version answers with by default.
    pub(crate) strategy: Strategy,
    /// Every trial, as the card has it.
    pub(crate) trials: Vec<Trial>,
    /// How it was searched, in words.
    pub(crate) note: String,
}

/// A search as a report has it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct TuningReport {
    pub(crate) note: String,
    pub(crate) trials: Vec<Trial>,
}

impl Tuned {
    /// None where there was nothing to search.
    pub(crate) fn report(&self) -> Option<TuningReport> {
        (!self.note.is_empty()).then(|| TuningReport {
            note: self.note.clone(),
            trials: self.trials.clone(),
        })
    }

    /// No search: the parameters as they are.
    fn untuned(params: &FitParams, note: String) -> Self {
        Self {
            params: params.clone(),
            strategy: Strategy::default(),
            trials: Vec::new(),
            note,
        }
    }
}

/// What identifies a search: the data and everything that decides its course.
pub(crate) fn fingerprint(read: &IngestReport, task: &Task<'_>) -> String {
    let files = read
        .files()
        .map(|file| format!("{} {}", file.name, file.sha256));
    // Where the split was chosen decides nothing.
    let plan = EvaluationPlan {
        origin: String::new(),
        ..task.plan.clone()
    };
    let course = format!(
        "{files:?} {} {:?} {:?} {:?}",
        read.events.kept,
        plan,
        task.params,
        task.tune.fixed,
        files = files.collect::<Vec<_>>()
    );
    Sha256Digest::of(course.as_bytes()).to_string()
}

/// Searches parameters.
///
/// # Errors
/// Parameters or data that cannot be fitted, a journal of another search.
pub(crate) fn tune(
    shop: &Shop,
    split: &Split,
    options: &Task<'_>,
    progress: Progress,
) -> Result<Tuned, Error> {
    let trials = options.tune.trials;
    if trials <= 1 {
        return Ok(Tuned::untuned(options.params, String::new()));
    }
    let sample = Sample::of(shop, split, options.params.als.seed);
    let search = Search {
        shop,
        split,
        options,
        sample,
    };
    if search.sample.users() < USERS_MIN {
        let users = search.sample.users();
        let note =
            format!("Not tuned: {users} users have a validation period, {USERS_MIN} are needed.");
        return Ok(Tuned::untuned(options.params, note));
    }
    let bar = progress.steps(&format!("tuning, {trials} trials"), trials as u64);
    let finished = search.run(&bar)?;
    bar.finish_and_clear();
    Ok(search.conclude(&finished))
}

/// One search.
struct Search<'a> {
    shop: &'a Shop,
    split: &'a Split,
    options: &'a Task<'a>,
    sample: Sample,
}

impl Search<'_> {
    fn run(&self, bar: &indicatif::ProgressBar) -> Result<Vec<Finished>, Error> {
        let tune = &self.options.tune;
        let began = Instant::now();
        let is_over = || {
            let minutes = tune
                .minutes
                .map(|minutes| Duration::from_secs_f64(minutes * 60.0));
            minutes.is_some_and(|minutes| began.elapsed() >= minutes)
        };
        let space = Space::new(
            self.options.params,
            tune,
            (self.shop.has_times, self.include_seen()),
        );
        let mut journal = Journal::open(tune)?;
        let mut finished: Vec<Finished> = Vec::new();
        let mut last: Option<Model> = None;
        // The same for every trial; never built where the journal has them all.
        let data = LazyCell::new(|| self.shop.interactions(self.known()));
        while finished.len() < tune.trials && (finished.is_empty() || !is_over()) {
            let Some(params) = space.next(&finished).filter(|_| !has_stalled(&finished)) else {
                break;
            };
            let number = finished.len() + 1;
            let trial = match journal.take(number, &params) {
                Some(trial) => trial,
                None => {
                    let trial = self.trial(number, &params, (&data, &mut last))?;
                    journal.write(&trial)?;
                    trial
                }
            };
            finished.push(trial);
            bar.inc(1);
        }
        Ok(finished)
    }

    /// Fits and scores one trial. Factors that `last` has already are not fitted again.
    fn trial(
        &self,
        number: usize,
        params: &FitParams,
        (data, last): (&Interactions, &mut Option<Model>),
    ) -> Result<Finished, Error> {
        let mut trial = params.clone();
        // The graph of an index is not worth building for a trial.
        trial.index = IndexChoice::Exact;
        if number > 1 {
            trial.als.iterations = trial.als.iterations.min(TRIAL_ITERATIONS);
        }
        let has_factors = |model: &Model| {
            let fitted = model.parameters();
            fitted.als == trial.als && fitted.content == trial.content
        };
        let model = match last.take().filter(has_factors) {
            Some(mut model) => {
                model.refit_sides(data, &trial.sides, self.options.threads)?;
                model
            }
            None => {
                let catalogue = self.shop.catalogue(self.known());
                let threads = self.options.threads;
                fit(data, &catalogue, &trial, threads, &mut |_| {})?
            }
        };
        let pool = pool(self.options.threads)?;
        let finished = pool.install(|| self.score(number, params, &model));
        *last = Some(model);
        Ok(finished)
    }

    fn score(&self, number: usize, params: &FitParams, model: &Model) -> Finished {
        let audience = Audience::of(model, self.shop, self.sample.wanted(), self.include_seen());
        let plan = self.options.plan;
        let validation = Validation::of(model, audience.users, (plan.k(), plan.includes_seen()));
        let fixed = &self.options.tune.fixed;
        let alpha = match number == 1 || fixed.alpha.is_some() {
            true => params.scoring.alpha,
            false => validation.best_alpha(),
        };
        let (weights, blended) = weights::search(&validation);
        let hybrid = validation.hybrid(alpha);
        let mut params = params.clone();
        params.scoring.alpha = alpha;
        params.scoring.weights = Some(weights);
        Finished {
            number,
            params,
            strategy: match blended > hybrid {
                true => Strategy::Blended,
                false => Strategy::Hybrid,
            },
            scores: [
                ("collaborative", validation.hybrid(1.0)),
                ("hybrid", hybrid),
                ("blended", blended),
            ]
            .map(|(name, score)| (name.to_owned(), score))
            .into(),
        }
    }

    fn known(&self) -> Known<'_> {
        self.sample.of_known(self.split.tuning_past())
    }

    fn include_seen(&self) -> bool {
        self.options.plan.includes_seen()
    }

    /// The best trial, the first among equals.
    fn conclude(&self, finished: &[Finished]) -> Tuned {
        let best = best(finished).expect("the first trial is always made");
        let mut params = best.params.clone();
        // What a side without weight would add to the version is size.
        let weights = params.scoring.weights.unwrap_or_default();
        let SidesParams {
            sequence: _,
            repeat,
            trend,
        } = &mut params.sides;
        *repeat = repeat.take().filter(|_| weights.repeat > 0.0);
        *trend = trend.take().filter(|_| weights.trend > 0.0);
        let trials = finished.iter().map(|trial| Trial {
            number: trial.number,
            parameters: space::named(&trial.params),
            scores: trial.scores.clone(),
            chosen: trial.number == best.number,
        });
        Tuned {
            params,
            strategy: best.strategy,
            trials: trials.collect(),
            note: format!(
                "Chosen of {} trials by nDCG@{} of {} users on a validation period ({}), which lies \
                 before the test{}.",
                finished.len(),
                self.options.plan.k(),
                self.sample.users(),
                self.split.validation_text,
                self.sample.text()
            ),
        }
    }
}

fn best(finished: &[Finished]) -> Option<&Finished> {
    finished
        .iter()
        .reduce(|best, other| match other.score() > best.score() {
            true => other,
            false => best,
        })
}

/// Whether the last trials have brought nothing.
fn has_stalled(finished: &[Finished]) -> bool {
    best(finished).is_some_and(|best| finished.len() - best.number >= PATIENCE)
}
