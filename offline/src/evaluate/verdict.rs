//! The verdict of an evaluation, and its sentences.

use hotshelf_model::{Comparison, LiveComparison, Outcome, Verdict};

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
        mean: ours.ndcg,
        other_mean: other.ndcg,
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
        let mut sentences = self.verdict.sentences();
        if let Some(best) = self.ranker(&self.verdict.best_strategy) {
            let name = ranker_title(best.ranker);
            sentences.push(match best.ranker == default {
                true => format!(
                    "No other strategy of the model has a greater nDCG@{}.",
                    self.k
                ),
                false => format!(
                    "The best strategy of the model is {name}, with nDCG@{} {:.4}.",
                    self.k, best.ndcg
                ),
            });
        }
        sentences
    }
}

/// The sentences of a verdict; of an evaluation, or of a card that was read.
pub(crate) trait Sentences {
    fn sentences(&self) -> Vec<String>;
}

impl Sentences for Verdict {
    fn sentences(&self) -> Vec<String> {
        let who = capitalised(&ranker_title(&self.strategy));
        let baseline = self.baseline.iter().map(|comparison| {
            let with = format!("{}, the best baseline", ranker_title(&comparison.with));
            format!(
                "{who}, the default strategy, {}",
                outcome_text(self, comparison, &with)
            )
        });
        let live = self.live.iter().map(|live| {
            let LiveComparison {
                version,
                comparison,
                ..
            } = live;
            let with = format!("the parameters of version {version}, which is live");
            format!("It {}", outcome_text(self, comparison, &with))
        });
        baseline.chain(live).collect()
    }
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
    let interval = match comparison.has_interval() {
        true => format!("95 % interval {low:+.4} to {high:+.4}"),
        false => "too few users for an interval".to_owned(),
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
