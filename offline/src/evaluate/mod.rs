//! Evaluates a model's lists on what its users did after the cut.
//!
//! The full catalogue is ranked for every user; no negatives are sampled, which would inflate the
//! scores. The model answers through the call that serves, so the evaluation measures what users
//! get. The baselines most popular and item-kNN use the events before the cut alone.
//!
//! ```text
//! user in past and future? ─▶ relevant products ─▶ list of each ranker ─▶ metrics ─▶ means, by
//!      no: counted             (seen ones out,      (seen ones out,         │        segment too
//!                               or all)              or all)                └─▶ paired differences
//!                                                                               to most popular
//! ```
//!
//! A product that first occurs after the cut cannot be ranked and still counts as relevant: users
//! did buy it. A strategy that the model cannot serve is reported as unavailable; it gets neither
//! zeros nor the numbers of its fallback.

mod audience;
mod bootstrap;
mod item_knn;
mod measurements;
mod rankers;
mod report;
#[cfg(test)]
mod tests;

use hotshelf_model::{Model, Strategy};
use indicatif::ProgressBar;

use audience::Audience;
pub use bootstrap::Difference;
use item_knn::ItemKnn;
use measurements::{EvaluatedUser, Measurements};
use rankers::{BASELINE, MostPopular, Ranker, StrategyRanker};
use report::METRICS;
pub use report::{Differences, EvaluationReport, LongTail, Scores, SegmentScores, Unavailable};

use crate::mapping::EvaluationPlan;
use crate::shop::Shop;
use crate::split::Split;
use crate::time_format::rfc3339;

/// In the order of every table: the model's strategies, then the baselines.
const STRATEGIES: [Strategy; 3] = [Strategy::Collaborative, Strategy::Content, Strategy::Hybrid];

/// Evaluates a model that was fitted on the events before the split's cut.
pub(crate) fn evaluate(
    model: &Model,
    shop: &Shop,
    split: &Split,
    plan: &EvaluationPlan,
    bar: &ProgressBar,
) -> EvaluationReport {
    let (mut rankers, unavailable) = rankers(model, plan);
    let measured = rankers
        .iter()
        .map(|ranker| Measurements::new(ranker.name(), model));
    let mut measured: Vec<Measurements> = measured.collect();
    let mut audience = Audience::new(model, shop, plan.seen);
    let mut users = Vec::new();
    let mut list = Vec::with_capacity(plan.k);
    for (user, products) in &split.future {
        bar.inc(1);
        let Some((row, relevant)) = audience.relevant(*user, products) else {
            continue;
        };
        let segment = segment_of(model, model.users().segment(row));
        let user = EvaluatedUser { segment, relevant };
        for (ranker, measurements) in rankers.iter_mut().zip(&mut measured) {
            let fallbacks = ranker.rank(row, &mut list);
            measurements.count_fallbacks(fallbacks);
            measurements.add(&user, &list, plan.k);
        }
        users.push(user);
    }
    let seed = model.parameters().als.seed;
    let all_users: Vec<usize> = (0..users.len()).collect();
    let segments: Vec<usize> = (0..model.users().segment_names().len()).collect();
    EvaluationReport {
        cut_off: rfc3339(split.cut_s),
        cut_s: split.cut_s,
        past_events: split.past_events,
        future_events: split.future_events,
        k: plan.k,
        seen: plan.seen.as_str(),
        catalogue: model.products().len(),
        users: users.len(),
        users_without_past: audience.without_past,
        users_without_relevant: audience.without_relevant,
        unknown_relevant_share: audience.unknown_share(),
        resamples: bootstrap::RESAMPLES,
        item_knn_neighbours: item_knn::NEIGHBOURS,
        rankers: group(&measured, &all_users, &segments, seed),
        segments: by_segment(model, &measured, &users),
        long_tail: measured
            .iter()
            .map(|measurements| measurements.long_tail(model))
            .collect(),
        unavailable,
        fallbacks: measured
            .into_iter()
            .filter(|measurements| !measurements.fallbacks.is_empty())
            .map(|measurements| (measurements.ranker, measurements.fallbacks))
            .collect(),
    }
}

type Rankers<'m> = Vec<Box<dyn Ranker + 'm>>;

/// The available rankers, and the unavailable strategies.
fn rankers<'m>(model: &'m Model, plan: &EvaluationPlan) -> (Rankers<'m>, Vec<Unavailable>) {
    let mut rankers: Rankers<'m> = Vec::new();
    let mut unavailable = Vec::new();
    for strategy in STRATEGIES {
        match StrategyRanker::new(model, plan, strategy) {
            Ok(ranker) => rankers.push(Box::new(ranker)),
            Err(why) => unavailable.push(Unavailable {
                ranker: strategy.as_str(),
                why: why.to_string(),
            }),
        }
    }
    rankers.push(Box::new(MostPopular::new(model, plan)));
    rankers.push(Box::new(ItemKnn::new(model, plan)));
    (rankers, unavailable)
}

fn segment_of(model: &Model, name: &str) -> usize {
    let mut names = model.users().segment_names().iter();
    names
        .position(|segment| segment == name)
        .expect("a user's segment is one of the model's")
}

fn by_segment(
    model: &Model,
    measured: &[Measurements],
    users: &[EvaluatedUser],
) -> Vec<SegmentScores> {
    let names = model.users().segment_names().iter().enumerate();
    let scores = names.map(|(segment, name)| {
        let members: Vec<usize> = (0..users.len())
            .filter(|user| users[*user].segment == segment)
            .collect();
        SegmentScores {
            segment: name.clone(),
            users: members.len(),
            rankers: group(measured, &members, &[segment], model.parameters().als.seed),
        }
    });
    scores.collect()
}

/// Means of some users by ranker, each but the baseline with its differences to the baseline.
fn group(measured: &[Measurements], users: &[usize], segments: &[usize], seed: u64) -> Vec<Scores> {
    let baseline = measured
        .iter()
        .find(|measurements| measurements.ranker == BASELINE);
    let baseline = baseline.expect("most popular is always among the rankers");
    let others: Vec<&Measurements> = measured.iter().filter(|t| t.ranker != BASELINE).collect();
    let row = |user: &usize| {
        let difference = |metric: usize, ours: &Measurements| {
            ours.scores[*user][metric] - baseline.scores[*user][metric]
        };
        let columns = others.iter();
        columns
            .flat_map(|ours| (0..METRICS).map(move |metric| difference(metric, ours)))
            .collect()
    };
    let rows: Vec<Vec<f64>> = users.iter().map(row).collect();
    let differences = bootstrap::differences(&rows, seed);
    let mut differences = differences.chunks_exact(METRICS);
    let scores = measured.iter().map(|measurements| {
        let mut scores = measurements.means(users, segments);
        if measurements.ranker != BASELINE {
            scores.difference = differences.next().map(Differences::of);
        }
        scores
    });
    scores.collect()
}
