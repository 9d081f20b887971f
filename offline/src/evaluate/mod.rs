//! How good a model's lists are on what its users did after it was fitted.
//!
//! The full catalogue is ranked for every user; no negatives are sampled, which would flatter. The
//! model answers through the very call that serves, so that what is measured is what people get.
//! Most popular stands beside it, counted on the past alone as the model knows it.
//!
//! ```text
//! user in past and future? ─▶ relevant products ─▶ list of each ranker ─▶ metrics ─▶ means
//!      no: counted             (seen ones out,      (seen ones out,              └─▶ paired
//!                               or all)              or all)                         differences
//! ```
//!
//! A product that was first seen after the cut can be ranked by nobody and still counts as
//! relevant: the people did buy it.

mod paired;
mod rankers;
#[cfg(test)]
mod tests;

use hotshelf_model::metrics::{hit_at_k, ndcg_at_k, precision_at_k, recall_at_k};
use hotshelf_model::{Evaluation, Model, RankerScores, UserRow};
use indicatif::ProgressBar;
use serde::Serialize;

pub use paired::Difference;
use rankers::{Collaborative, MostPopular};

use crate::instant::rfc3339;
use crate::mapping::{EvaluationPlan, Seen};
use crate::shop::Shop;
use crate::split::Split;

/// Outcome of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// First moment of the future, RFC 3339.
    pub cut_off: String,
    /// Events before it.
    pub past_events: usize,
    /// Events from it on.
    pub future_events: usize,
    /// Length of the lists.
    pub k: usize,
    /// `excluded` or `included`.
    pub seen: &'static str,
    /// Products that were ranked.
    pub catalogue: usize,
    /// Users that were measured.
    pub users: usize,
    /// Users of the future without a past: nothing personal can be said about them.
    pub users_without_past: usize,
    /// Users whose future holds nothing relevant (only products they already had).
    pub users_without_relevant: usize,
    /// Share of the relevant products that were first seen after the cut.
    pub unknown_relevant_share: f64,
    /// Means of each ranker; the model's own first, then most popular.
    pub rankers: Vec<Scores>,
    /// nDCG of the model minus that of most popular, user by user.
    pub ndcg_difference: Difference,
}

/// Means over the measured users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// `collaborative` or `most_popular`.
    pub ranker: &'static str,
    /// Precision@k.
    pub precision: f64,
    /// Recall@k.
    pub recall: f64,
    /// nDCG@k, binary relevance.
    pub ndcg: f64,
    /// Share of users with at least one hit.
    pub hit_rate: f64,
}

/// Makes the list of one user: rows of the model, best first, at most k.
trait Ranker {
    fn name(&self) -> &'static str;
    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>);
}

/// Evaluates a model that was fitted on the events before the split's cut.
pub(crate) fn evaluate(
    model: &Model,
    shop: &Shop,
    split: &Split,
    plan: &EvaluationPlan,
    bar: &ProgressBar,
) -> EvaluationReport {
    let mut rankers: [Box<dyn Ranker + '_>; 2] = [
        Box::new(Collaborative::new(model, plan)),
        Box::new(MostPopular::new(model, plan)),
    ];
    let mut measured: Vec<Vec<UserScores>> = vec![Vec::new(); rankers.len()];
    let mut audience = Audience::new(model, shop, plan.seen);
    let mut list = Vec::with_capacity(plan.k);
    for (user, products) in &split.future {
        bar.inc(1);
        let Some((row, relevant)) = audience.relevant(*user, products) else {
            continue;
        };
        for (ranker, scores) in rankers.iter_mut().zip(&mut measured) {
            ranker.rank(row, &mut list);
            scores.push(UserScores::of(&list, &relevant, plan.k));
        }
    }
    let means = rankers
        .iter()
        .zip(&measured)
        .map(|(ranker, users)| means(ranker.name(), users));
    let ndcgs = measured[0]
        .iter()
        .zip(&measured[1])
        .map(|(ours, popular)| ours.ndcg - popular.ndcg);
    EvaluationReport {
        cut_off: rfc3339(split.cut_s),
        past_events: split.past_events,
        future_events: split.future_events,
        k: plan.k,
        seen: plan.seen.as_str(),
        catalogue: model.products().len(),
        users: measured[0].len(),
        users_without_past: audience.without_past,
        users_without_relevant: audience.without_relevant,
        unknown_relevant_share: audience.unknown as f64 / audience.relevant.max(1) as f64,
        rankers: means.collect(),
        ndcg_difference: Difference::of(&ndcgs.collect::<Vec<_>>()),
    }
}

/// Finds users in the model and says what is relevant to them; counts those it cannot use.
struct Audience<'m> {
    model: &'m Model,
    shop: &'m Shop,
    seen: Seen,
    without_past: usize,
    without_relevant: usize,
    relevant: usize,
    unknown: usize,
}

impl<'m> Audience<'m> {
    fn new(model: &'m Model, shop: &'m Shop, seen: Seen) -> Self {
        Self {
            model,
            shop,
            seen,
            without_past: 0,
            without_relevant: 0,
            relevant: 0,
            unknown: 0,
        }
    }

    /// The user's row and the ascending rows of what is relevant. Products that the model does
    /// not know get rows beyond its catalogue, which no list contains.
    fn relevant(&mut self, user: u32, products: &[u32]) -> Option<(UserRow, Vec<u32>)> {
        let Some(row) = self.model.users().find(self.shop.users.text(user)) else {
            self.without_past += 1;
            return None;
        };
        let catalogue = self.model.products().len() as u32;
        let mut relevant = Vec::with_capacity(products.len());
        let mut unknown = 0;
        for product in products {
            match self
                .model
                .products()
                .find(self.shop.products.text(*product))
            {
                None => {
                    relevant.push(catalogue + unknown);
                    unknown += 1;
                }
                Some(product) => {
                    let had = self.model.history().has_seen(row, product);
                    if !(had && self.seen == Seen::Excluded) {
                        relevant.push(product.0);
                    }
                }
            }
        }
        if relevant.is_empty() {
            self.without_relevant += 1;
            return None;
        }
        relevant.sort_unstable();
        self.relevant += relevant.len();
        self.unknown += unknown as usize;
        Some((row, relevant))
    }
}

#[derive(Debug, Clone, Copy, Default)]
struct UserScores {
    precision: f64,
    recall: f64,
    ndcg: f64,
    hit: f64,
}

impl UserScores {
    fn of(list: &[u32], relevant: &[u32], k: usize) -> Self {
        Self {
            precision: precision_at_k(list, relevant, k),
            recall: recall_at_k(list, relevant, k),
            ndcg: ndcg_at_k(list, relevant, k),
            hit: hit_at_k(list, relevant, k),
        }
    }
}

fn means(ranker: &'static str, users: &[UserScores]) -> Scores {
    let mean = |score: fn(&UserScores) -> f64| {
        users.iter().map(score).sum::<f64>() / users.len().max(1) as f64
    };
    Scores {
        ranker,
        precision: mean(|user| user.precision),
        recall: mean(|user| user.recall),
        ndcg: mean(|user| user.ndcg),
        hit_rate: mean(|user| user.hit),
    }
}

impl EvaluationReport {
    /// What the model card says about this evaluation. `refit` is whether the packed model was
    /// fitted again on all events.
    pub fn card(&self, plan: &EvaluationPlan, refit: bool) -> Evaluation {
        let relevant = if plan.relevant.is_empty() {
            "any interaction".to_owned()
        } else {
            plan.relevant.join(", ")
        };
        let measured = if refit {
            "The numbers are those of a model fitted on the events before the cut-off. The \
             published model was fitted on all events with the same parameters and was itself not \
             evaluated."
        } else {
            "The published model is the one that was evaluated; it knows no event from the \
             cut-off on."
        };
        let rankers = self.rankers.iter().map(|scores| RankerScores {
            ranker: scores.ranker.to_owned(),
            precision: scores.precision,
            recall: scores.recall,
            ndcg: scores.ndcg,
            hit_rate: scores.hit_rate,
        });
        Evaluation {
            protocol: format!(
                "split by time; full catalogue ranked; popularity counted on the past only; \
                 relevant: {relevant}"
            ),
            cut_off: self.cut_off.clone(),
            k: self.k,
            users: self.users,
            catalogue: self.catalogue,
            seen: self.seen.to_owned(),
            refit,
            note: format!("{measured} {}", self.verdict()),
            rankers: rankers.collect(),
        }
    }

    /// One plain sentence: is the model better than most popular?
    pub fn verdict(&self) -> String {
        let Difference {
            mean, low, high, ..
        } = self.ndcg_difference;
        let k = self.k;
        let numbers = format!("nDCG@{k} {mean:+.4}, 95 % interval {low:+.4} to {high:+.4}");
        if self.users == 0 {
            "No user could be measured.".to_owned()
        } else if low > 0.0 {
            format!("Collaborative is better than most popular: {numbers}.")
        } else if high < 0.0 {
            format!("Collaborative is WORSE than most popular: {numbers}.")
        } else {
            format!("Collaborative is NOT shown to be better than most popular: {numbers}.")
        }
    }
}
