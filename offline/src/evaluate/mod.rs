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
mod report;
#[cfg(test)]
mod tests;

use hotshelf_model::metrics::{hit_at_k, ndcg_at_k, precision_at_k, recall_at_k};
use hotshelf_model::{Model, UserRow};
use indicatif::ProgressBar;

pub use paired::Difference;
use rankers::{Collaborative, MostPopular};
pub use report::{EvaluationReport, Scores};

use crate::instant::rfc3339;
use crate::mapping::{EvaluationPlan, Seen};
use crate::shop::Shop;
use crate::split::Split;

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
        cut_s: split.cut_s,
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
