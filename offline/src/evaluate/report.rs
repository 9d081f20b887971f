//! The outcome of an evaluation, and the words that go with the numbers.

use hotshelf_model::{Evaluation, RankerScores};
use serde::Serialize;

use super::Difference;
use crate::mapping::EvaluationPlan;

/// Outcome of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// First moment of the future, RFC 3339.
    pub cut_off: String,
    /// The same in seconds since 1970.
    #[serde(skip)]
    pub cut_s: i64,
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
