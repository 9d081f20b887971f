//! The outcome of an evaluation: numbers and verdicts.

use std::collections::BTreeMap;

use hotshelf_model::{Evaluation, RankerScores, Strategy};
use serde::Serialize;

use super::bootstrap::Difference;
use crate::mapping::EvaluationPlan;

/// Metrics that are means over users: precision, recall, nDCG and hit rate, in this order.
pub(super) const METRICS: usize = 4;

/// Outcome of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// Start of the evaluation period, RFC 3339.
    pub cut_off: String,
    /// The same in seconds since 1970.
    #[serde(skip)]
    pub cut_s: i64,
    /// Training events: those before the cut.
    pub past_events: usize,
    /// Held-out events: those from the cut on.
    pub future_events: usize,
    /// Length of the lists.
    pub k: usize,
    /// `excluded` or `included`.
    pub seen: &'static str,
    /// Products ranked.
    pub catalogue: usize,
    /// Users evaluated.
    pub users: usize,
    /// Users with held-out events only; the model does not know them.
    pub users_without_past: usize,
    /// Users without a relevant held-out event (they only repeat products).
    pub users_without_relevant: usize,
    /// Share of the relevant products that first occur after the cut.
    pub unknown_relevant_share: f64,
    /// Resamples behind every interval.
    pub resamples: usize,
    /// Neighbours per product in item-kNN.
    pub item_knn_neighbours: usize,
    /// Means of each ranker: the model's strategies first, then the baselines.
    pub rankers: Vec<Scores>,
    /// The same for the users of each segment of the model.
    pub segments: Vec<SegmentScores>,
    /// How each ranker's slots are distributed over popular and rare products.
    pub long_tail: Vec<LongTail>,
    /// Strategies that the model cannot serve.
    pub unavailable: Vec<Unavailable>,
    /// By ranker, the number of lists with each fallback; one list may have several.
    pub fallbacks: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
}

/// Means over some of the evaluated users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// `collaborative`, `content`, `hybrid`, `most_popular` or `item_knn`.
    pub ranker: &'static str,
    /// Precision@k.
    pub precision: f64,
    /// Recall@k.
    pub recall: f64,
    /// nDCG@k, binary relevance.
    pub ndcg: f64,
    /// Share of users with at least one hit.
    pub hit_rate: f64,
    /// Share of the catalogue in at least one list of these users.
    pub coverage: f64,
    /// The scores minus those of most popular, user by user; absent for most popular itself and
    /// without evaluated users.
    #[serde(rename = "difference_to_most_popular")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Differences>,
}

/// One difference for each metric that is a mean over users.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differences {
    /// Of precision@k.
    pub precision: Difference,
    /// Of recall@k.
    pub recall: Difference,
    /// Of nDCG@k.
    pub ndcg: Difference,
    /// Of the hit rate.
    pub hit_rate: Difference,
}

impl Differences {
    pub(super) fn of(columns: &[Difference]) -> Self {
        debug_assert_eq!(columns.len(), METRICS);
        Self {
            precision: columns[0],
            recall: columns[1],
            ndcg: columns[2],
            hit_rate: columns[3],
        }
    }
}

/// Means over the users of one segment.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SegmentScores {
    /// Segment in the model that was fitted before the cut.
    pub segment: String,
    /// Users evaluated.
    pub users: usize,
    /// As [`EvaluationReport::rankers`].
    pub rankers: Vec<Scores>,
}

/// How the slots of a ranker's lists are distributed over the catalogue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct LongTail {
    /// The ranker.
    pub ranker: &'static str,
    /// Share of all slots that goes to each tenth of the products with events before the cut, the
    /// most popular tenth first.
    pub tenths: [f64; 10],
    /// Share that goes to products without events before the cut.
    pub without_events: f64,
}

/// A strategy that was not evaluated.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Unavailable {
    /// The strategy.
    pub ranker: &'static str,
    /// Why not.
    pub why: String,
}

impl EvaluationReport {
    /// The means of one ranker over all users.
    pub fn ranker(&self, name: &str) -> Option<&Scores> {
        self.rankers.iter().find(|scores| scores.ranker == name)
    }

    /// This evaluation for the model card. `refit`: whether the packed model was fitted again on
    /// all events.
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
            coverage: Some(scores.coverage),
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

    /// The verdicts as one text: is the default strategy better than most popular, is
    /// collaborative?
    pub fn verdict(&self) -> String {
        self.verdicts().join(" ")
    }

    /// One sentence per strategy judged.
    pub fn verdicts(&self) -> Vec<String> {
        if self.users == 0 {
            return vec!["No user could be measured.".to_owned()];
        }
        let default = Strategy::default().as_str();
        let collaborative = Strategy::Collaborative.as_str();
        vec![
            self.sentence(default, "Hybrid, the default strategy,"),
            self.sentence(collaborative, "Collaborative"),
        ]
    }

    fn sentence(&self, ranker: &str, who: &str) -> String {
        if let Some(unavailable) = self.unavailable.iter().find(|u| u.ranker == ranker) {
            return format!("{who} was not measured: {}.", unavailable.why);
        }
        let differences = self
            .ranker(ranker)
            .and_then(|scores| scores.difference.as_ref());
        let Some(Differences { ndcg, .. }) = differences else {
            return format!("{who} was not measured.");
        };
        let outcome = if ndcg.low > 0.0 {
            "is better than most popular"
        } else if ndcg.high < 0.0 {
            "is WORSE than most popular"
        } else {
            "is NOT shown to be better than most popular"
        };
        let k = self.k;
        let interval = match ndcg.interval() {
            Some(interval) => format!("95 % interval {interval}"),
            None => "too few users for an interval".to_owned(),
        };
        format!("{who} {outcome}: nDCG@{k} {:+.4}, {interval}.", ndcg.mean)
    }
}
