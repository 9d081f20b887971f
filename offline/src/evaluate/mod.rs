//! Evaluates a model's lists on what its users did in a held-out period.
//!
//! The full catalogue is ranked for every user; no negatives are sampled, which would inflate the
//! scores. The model answers through the call that serves, so the evaluation measures what users
//! get. The baselines use the training events alone.
//!
//! ```text
//! user in past and future? ─▶ relevant products ─▶ list of each ranker ─▶ metrics ─▶ means, by
//!      no: counted             (seen ones out,      (seen ones out,         │        segment too
//!                               or all)              or all)                └─▶ paired differences
//!                                                                               to the best baseline
//! ```
//!
//! A product that no training event names cannot be ranked and still counts as relevant: users did
//! buy it. A strategy that the model cannot serve is reported as unavailable; it gets neither zeros
//! nor the numbers of its fallback. Users are measured on all threads, with the same result for any
//! number of them.

mod audience;
mod baselines;
mod bootstrap;
mod comparisons;
mod list_properties;
mod measurements;
mod per_user;
mod rankers;
mod report;
#[cfg(test)]
mod tests;
mod verdict;

use std::num::NonZeroUsize;

use hotshelf_model::{Model, Strategy};
use rayon::ThreadPool;

pub(crate) use audience::{Audience, EvaluatedUser};
pub use bootstrap::Difference;
use comparisons::Comparisons;
use list_properties::ListProperties;
use measurements::Measuring;
pub(crate) use per_user::{PerUser, is_per_user};
use rankers::{Ranker, StrategyRanker};
pub use report::{
    Differences, EvaluationReport, LongTail, Means, MeansAt, Scores, SegmentScores, Unavailable,
};
pub(crate) use verdict::{ranker_title, sentences};

use crate::error::Error;
use crate::mapping::EvaluationPlan;
use crate::progress::Progress;
use crate::shop::Shop;
use crate::split::Split;
use crate::time_format::rfc3339;

/// In the order of every table: the model's strategies, then the baselines.
const STRATEGIES: [Strategy; 4] = [
    Strategy::Collaborative,
    Strategy::Content,
    Strategy::Hybrid,
    Strategy::Blended,
];

/// What sequences follow where there are no times.
const ORDER_NOTE: &str = "These events have no times: sequences follow the order of the rows in the \
                          files, which may favour products that stand beside each other.";

/// A model to judge, and the live version's parameters fitted on the same events.
pub(crate) struct Judged<'a> {
    pub(crate) model: &'a Model,
    pub(crate) live: Option<Live<'a>>,
}

/// The live version: its parameters, fitted on the same events, and how it answers.
#[derive(Clone, Copy)]
pub(crate) struct Live<'a> {
    pub(crate) version: u64,
    pub(crate) model: &'a Model,
    pub(crate) strategy: Strategy,
}

/// On what to evaluate.
pub(crate) struct Held<'a> {
    pub(crate) shop: &'a Shop,
    pub(crate) split: &'a Split,
    pub(crate) plan: &'a EvaluationPlan,
}

/// The report, and what a file for others' tests is written from.
pub(crate) struct Evaluated {
    pub(crate) report: EvaluationReport,
    pub(crate) per_user: PerUser,
}

/// Threads that evaluate.
///
/// # Errors
/// If they cannot be started.
pub(crate) fn pool(threads: NonZeroUsize) -> Result<ThreadPool, Error> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(threads.get())
        .thread_name(|thread| format!("evaluate-{thread}"));
    pool.build()
        .map_err(|error| Error::Runtime(std::io::Error::other(error)))
}

/// Evaluates a model that was fitted on what the split's past holds; runs on the pool that it is
/// called in.
pub(crate) fn evaluate(judged: &Judged<'_>, held: &Held<'_>, progress: Progress) -> Evaluated {
    let Held { shop, split, plan } = held;
    let model = judged.model;
    let bar = progress.steps("preparing baselines", 1);
    let (rankers, unavailable) = rankers(judged, held);
    bar.finish_and_clear();
    let audience = Audience::of(model, shop, &split.future, plan.includes_seen());
    let properties = ListProperties::of(model);
    let measuring = Measuring {
        model,
        users: &audience.users,
        lengths: &plan.lengths,
        properties: &properties,
    };
    let bar = progress.steps("evaluating users", audience.users.len() as u64);
    let measured = measuring.all(&rankers, &bar);
    bar.finish_and_clear();
    let strategies: Vec<&'static str> = strategies()
        .map(Strategy::as_str)
        .filter(|name| measured.iter().any(|of| of.ranker == *name))
        .collect();
    let comparisons = Comparisons::new(&measured, (&strategies, &measuring));
    let bar = progress.steps(
        "bootstrapping intervals",
        comparisons.resamples(bootstrap::RESAMPLES) as u64,
    );
    let rankers = comparisons.of_all(&bar);
    let segments = comparisons.by_segment(&bar);
    bar.finish_and_clear();
    let live = judged
        .live
        .map(|live| (live.version, live.strategy.as_str()));
    let verdict = comparisons.verdict(&rankers, (plan, default_strategy(model), live));
    let report = EvaluationReport {
        split: split.rule,
        cut_off: split.cut_s.map(rfc3339),
        past_events: split.past_events,
        future_events: split.future_events,
        k: plan.k(),
        lengths: plan.lengths.clone(),
        seen: plan.seen.as_str(),
        catalogue: model.products().len(),
        users: audience.users.len(),
        users_without_past: audience.without_past,
        users_without_relevant: audience.without_relevant,
        unknown_relevant_share: audience.unknown_share(),
        resamples: bootstrap::RESAMPLES,
        item_knn_neighbours: baselines::NEIGHBOURS,
        diversity_by: properties.basis(),
        default_strategy: default_strategy(model),
        baseline: comparisons.baseline(),
        rankers,
        segments,
        long_tail: measured.iter().map(|of| of.long_tail(model)).collect(),
        unavailable,
        fallbacks: measured
            .iter()
            .filter(|of| !of.fallbacks.is_empty())
            .map(|of| (of.ranker, of.fallbacks.clone()))
            .collect(),
        notes: (!shop.has_times)
            .then(|| ORDER_NOTE.to_owned())
            .into_iter()
            .collect(),
        strategies,
        verdict,
    };
    let per_user = PerUser::new(model, &audience.users, (measured, &plan.lengths));
    Evaluated { report, per_user }
}

/// Every strategy that may be evaluated.
pub(crate) fn strategies() -> impl Iterator<Item = Strategy> {
    STRATEGIES.into_iter()
}

/// The strategy that a model answers with by default: the one stated, or what it falls back to.
fn default_strategy(model: &Model) -> &'static str {
    match model.defaults().strategy {
        Strategy::Hybrid if model.content().is_none() => Strategy::Collaborative.as_str(),
        strategy => strategy.as_str(),
    }
}

type Rankers<'m> = Vec<Box<dyn Ranker + 'm>>;

/// The available rankers, and the unavailable strategies.
fn rankers<'m>(judged: &Judged<'m>, held: &Held<'_>) -> (Rankers<'m>, Vec<Unavailable>) {
    let include_seen = held.plan.includes_seen();
    let mut rankers: Rankers<'m> = Vec::new();
    let mut unavailable = Vec::new();
    for strategy in strategies() {
        let named = (strategy.as_str(), strategy);
        match StrategyRanker::new(judged.model, named, include_seen) {
            Ok(ranker) => rankers.push(Box::new(ranker)),
            Err(why) => unavailable.push(Unavailable {
                ranker: strategy.as_str(),
                why,
            }),
        }
    }
    if let Some(live) = judged.live {
        // What it falls back to is what people get from it.
        rankers.push(Box::new(StrategyRanker::falling_back(
            live.model,
            ("live", live.strategy),
            include_seen,
        )));
    }
    let known = (held.split.past(), include_seen);
    rankers.extend(baselines::baselines(judged.model, held.shop, known));
    (rankers, unavailable)
}
