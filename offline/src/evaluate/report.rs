//! The outcome of an evaluation: its numbers.

use std::collections::BTreeMap;

use hotshelf_model::{Evaluation, RankerScores, Verdict};
use serde::Serialize;

use super::bootstrap::Difference;
use crate::mapping::EvaluationPlan;

/// Metrics that judge a list: precision, recall, nDCG, average precision, reciprocal rank, hit.
pub(super) const METRICS: usize = 6;

/// Outcome of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct EvaluationReport {
    /// `time`, `leave_last_out` or `given`.
    pub split: &'static str,
    /// Start of the evaluation period, RFC 3339; absent unless the split is by time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cut_off: Option<String>,
    /// Training events.
    pub past_events: usize,
    /// Held-out events.
    pub future_events: usize,
    /// Length of the lists that decide.
    pub k: usize,
    /// Every length evaluated, that one first.
    pub lengths: Vec<usize>,
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
    /// Share of the relevant products that no training event names.
    pub unknown_relevant_share: f64,
    /// Resamples behind every interval.
    pub resamples: usize,
    /// Neighbours per product in item-kNN.
    pub item_knn_neighbours: usize,
    /// What intra-list diversity compares.
    pub diversity_by: &'static str,
    /// The strategy that answers by default.
    pub default_strategy: &'static str,
    /// The baseline with the greatest mean nDCG, which the others are compared with.
    pub baseline: &'static str,
    /// The model's strategies.
    pub strategies: Vec<&'static str>,
    /// Means of each ranker: the model's strategies first, then the live version, then the baselines.
    pub rankers: Vec<Scores>,
    /// The same for the users of each segment of the model.
    pub segments: Vec<SegmentScores>,
    /// How each ranker's slots are distributed over popular and rare products.
    pub long_tail: Vec<LongTail>,
    /// Strategies that the model cannot serve.
    pub unavailable: Vec<Unavailable>,
    /// By ranker, the number of lists with each fallback; one list may have several.
    pub fallbacks: BTreeMap<&'static str, BTreeMap<&'static str, usize>>,
    /// What a reader of the numbers must know.
    pub notes: Vec<String>,
    /// What it concludes.
    pub verdict: Verdict,
}

/// Means over some of the evaluated users, in lists of the length that decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Scores {
    /// A strategy (`collaborative`, `content`, `hybrid`), `live`, or a baseline (`most_popular`,
    /// `recently_popular`, `personal_frequency`, `item_knn`, `item_knn_bm25`).
    pub ranker: &'static str,
    /// The means.
    #[serde(flatten)]
    pub means: Means,
    /// The scores minus those of the best baseline, user by user; absent for that baseline itself and
    /// without evaluated users.
    #[serde(rename = "difference_to_baseline")]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub difference: Option<Differences>,
    /// The same means in lists of the other lengths.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lengths: Vec<MeansAt>,
}

/// Means in lists of one length.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Means {
    /// Precision@k.
    pub precision: f64,
    /// Recall@k.
    pub recall: f64,
    /// nDCG@k, binary relevance.
    pub ndcg: f64,
    /// Mean average precision at k.
    pub map: f64,
    /// Mean reciprocal rank at k.
    pub mrr: f64,
    /// Share of users with at least one hit.
    pub hit_rate: f64,
    /// Share of the catalogue in at least one list of these users.
    pub coverage: f64,
    /// Mean self-information of the products in bits; absent without lists.
    pub novelty: Option<f64>,
    /// Intra-list diversity; absent without lists of two.
    pub diversity: Option<f64>,
    /// By how much the products are more popular than those that the users have, as a share.
    pub popularity_bias: Option<f64>,
}

/// Means in lists of another length than the one that decides.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct MeansAt {
    /// The length.
    pub k: usize,
    /// The means.
    #[serde(flatten)]
    pub means: Means,
}

/// One difference for each metric that judges lists.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Differences {
    /// Of precision@k.
    pub precision: Difference,
    /// Of recall@k.
    pub recall: Difference,
    /// Of nDCG@k.
    pub ndcg: Difference,
    /// Of average precision.
    pub map: Difference,
    /// Of reciprocal rank.
    pub mrr: Difference,
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
            map: columns[3],
            mrr: columns[4],
            hit_rate: columns[5],
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

    /// How the events were split, in words.
    pub fn split_text(&self) -> String {
        match (self.split, &self.cut_off) {
            ("time", Some(cut_off)) => format!("by time, at {cut_off}"),
            ("leave_last_out", _) => "the last relevant event of each user".to_owned(),
            _ => "as the shop's files give it".to_owned(),
        }
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
            "The numbers are those of a model fitted on the training events. The published model was \
             fitted on all events with the same parameters and was itself not evaluated."
        } else {
            "The published model is the one that was evaluated; it knows no held-out event."
        };
        let rankers = self.rankers.iter().map(|scores| RankerScores {
            ranker: scores.ranker.to_owned(),
            precision: scores.means.precision,
            recall: scores.means.recall,
            ndcg: scores.means.ndcg,
            map: Some(scores.means.map),
            mrr: Some(scores.means.mrr),
            hit_rate: scores.means.hit_rate,
            coverage: Some(scores.means.coverage),
        });
        let notes = self.notes.join(" ");
        let note = format!("{measured} {} {notes}", self.verdict_text());
        Evaluation {
            protocol: format!(
                "split {}; full catalogue ranked; popularity counted on the past only; relevant: \
                 {relevant}",
                self.split_text()
            ),
            split: self.split.to_owned(),
            cut_off: self.cut_off.clone().unwrap_or_default(),
            k: self.k,
            users: self.users,
            catalogue: self.catalogue,
            seen: self.seen.to_owned(),
            refit,
            note: note.trim_end().to_owned(),
            rankers: rankers.collect(),
            verdict: Some(self.verdict.clone()),
            trials: Vec::new(),
        }
    }

    /// The verdicts as one text.
    pub fn verdict_text(&self) -> String {
        self.verdicts().join(" ")
    }
}
