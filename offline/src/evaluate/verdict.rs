//! The verdict of an evaluation, and its sentences.

use hotshelf_model::{Comparison, LiveComparison, Outcome, Verdict, interval_text};

use super::report::{EvaluationReport, Scores};
use crate::evaluate::Difference;

/// A ranker's name for people.
pub(crate) fn ranker_title(ranker: &str) -> String {
    match ranker {
        "item_knn" => "item-kNN".to_owned(),
        "item_knn_bm25" => "item-kNN BM25".to_owned(),
        "live" => "live version".to_owned(),
        other => other.replace('_', " "),
    }
}

/// A difference as the card has it.
pub(super) fn comparison(
    (ours, other): (&Scores, &Scores),
    difference: &Difference,
    users: usize,
) -> Comparison {
    Comparison {
        with: other.ranker.to_owned(),
        mean: ours.means.ndcg,
        other_mean: other.means.ndcg,
        difference: difference.mean,
        low: difference.low,
        high: difference.high,
        users,
    }
}

impl EvaluationReport {
    /// One sentence for each thing judged: the default strategy against the best baseline and against
    /// the live version, and which strategy is best.
    pub fn verdicts(&self) -> Vec<String> {
        if self.users == 0 {
            return vec!["No user could be evaluated.".to_owned()];
        }
        let default = self.default_strategy;
        let mut said = sentences(&self.verdict);
        if let Some(best) = self.ranker(&self.verdict.best_strategy) {
            let name = ranker_title(best.ranker);
            said.push(match best.ranker == default {
                true => format!(
                    "No other strategy of the model has a greater nDCG@{}.",
                    self.k
                ),
                false => format!(
                    "The best strategy of the model is {name}, with nDCG@{} {:.4}.",
                    self.k, best.means.ndcg
                ),
            });
        }
        said
    }
}

/// The sentences of a verdict; of an evaluation, or of a card that was read.
pub(crate) fn sentences(verdict: &Verdict) -> Vec<String> {
    let who = capitalised(&ranker_title(&verdict.strategy));
    let baseline = verdict.baseline.iter().map(|comparison| {
        let with = format!("{}, the best baseline", ranker_title(&comparison.with));
        format!(
            "{who}, the default strategy, {}",
            outcome_text(verdict, comparison, &with)
        )
    });
    let live = verdict.live.iter().map(|live| {
        let LiveComparison {
            version,
            comparison,
            ..
        } = live;
        let with = format!("the parameters of version {version}, which is live");
        format!("It {}", outcome_text(verdict, comparison, &with))
    });
    baseline.chain(live).collect()
}

fn outcome_text(verdict: &Verdict, comparison: &Comparison, with: &str) -> String {
    let outcome = match comparison.outcome(verdict.margin) {
        Outcome::Better => "is better than",
        Outcome::Worse => "is WORSE than",
        Outcome::Undecided => "is NOT shown to be better than",
    };
    let Comparison {
        mean,
        other_mean,
        difference,
        low,
        high,
        users,
        ..
    } = comparison;
    let interval = match interval_text(*low, *high) {
        Some(interval) => format!("95 % interval {interval}"),
        None => "too few users for an interval".to_owned(),
    };
    format!(
        "{outcome} {with}: nDCG@{} {mean:.4} against {other_mean:.4}, {difference:+.4}, {interval}, \
         {users} users.",
        verdict.k
    )
}

fn capitalised(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|first| first.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}
