//! The verdict on a version: how it compares with the best baseline and with what was live, by paired
//! differences over the same users.

use serde::{Deserialize, Serialize};

/// What an evaluation concluded; travels in the card, and decides whether a version is published.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Metric compared, such as `ndcg`.
    pub metric: String,
    /// Length of the lists.
    pub k: usize,
    /// `excluded` or `included`: products that the users had, in lists and in relevant sets.
    pub seen: String,
    /// By how much a version may be worse before it is refused.
    pub margin: f64,
    /// The strategy judged: the one that answers by default.
    pub strategy: String,
    /// The version's strategy with the greatest mean.
    pub best_strategy: String,
    /// Against the baseline with the greatest mean; absent where nobody could be evaluated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Comparison>,
    /// Against the parameters of the version that was live, fitted on the same events; absent where
    /// none was, or none was looked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub live: Option<LiveComparison>,
}

/// A comparison with the version that was live.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LiveComparison {
    /// Its number.
    pub version: u64,
    /// The strategy that it answers with by default.
    pub strategy: String,
    /// The comparison.
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// A mean of differences user by user, with its 95 % interval.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Comparison {
    /// The ranker compared with.
    pub with: String,
    /// The mean of the version judged.
    pub mean: f64,
    /// The mean of the ranker compared with.
    pub other_mean: f64,
    /// Mean difference.
    pub difference: f64,
    /// Lower end of the interval; -1 with too few users.
    pub low: f64,
    /// Upper end of the interval; 1 with too few users.
    pub high: f64,
    /// Users compared.
    pub users: usize,
}

/// An interval in words, `+0.0052 to +0.0380`; `None` with too few users.
#[must_use]
pub fn interval_text(low: f64, high: f64) -> Option<String> {
    // No metric can differ by more than 1, so these bounds say nothing at all.
    let is_unknown = (low, high) == (-1.0, 1.0);
    (!is_unknown).then(|| format!("{low:+.4} to {high:+.4}"))
}

/// What a comparison shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The interval lies above zero.
    Better,
    /// Neither.
    Undecided,
    /// The interval lies wholly below minus the margin.
    Worse,
}

impl Comparison {
    /// What it shows, if being worse by up to `margin` is tolerated.
    #[must_use]
    pub fn outcome(&self, margin: f64) -> Outcome {
        match (self.low > 0.0, self.high < -margin) {
            (true, _) => Outcome::Better,
            (_, true) => Outcome::Worse,
            _ => Outcome::Undecided,
        }
    }
}

impl Verdict {
    /// Every comparison made, the baseline's first.
    pub fn comparisons(&self) -> impl Iterator<Item = &Comparison> {
        let live = self.live.as_ref().map(|live| &live.comparison);
        self.baseline.iter().chain(live)
    }

    /// The worst outcome of all comparisons; undecided without any.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        let outcomes = || self.comparisons().map(|one| one.outcome(self.margin));
        if outcomes().any(|outcome| outcome == Outcome::Worse) {
            return Outcome::Worse;
        }
        let all_better = outcomes().all(|outcome| outcome == Outcome::Better);
        match all_better && self.baseline.is_some() {
            true => Outcome::Better,
            false => Outcome::Undecided,
        }
    }
}

/// One trial of a search over parameters.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Trial {
    /// From 1.
    pub number: usize,
    /// Every parameter that the search varies, by name.
    pub parameters: std::collections::BTreeMap<String, f64>,
    /// The mean of the search's metric on the validation period, by strategy.
    pub scores: std::collections::BTreeMap<String, f64>,
    /// Whether the version has these parameters.
    #[serde(default)]
    pub chosen: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn comparison(low: f64, high: f64) -> Comparison {
        Comparison {
            with: "item_knn".to_owned(),
            mean: 0.1,
            other_mean: 0.1,
            difference: (low + high) / 2.0,
            low,
            high,
            users: 50,
        }
    }

    #[test]
    fn interval_wholly_below_minus_the_margin_is_worse_and_nothing_else() {
        let cases = [
            (0.001, 0.003, Outcome::Better),
            (0.0, 0.003, Outcome::Undecided),
            (-0.003, -0.0005, Outcome::Undecided),
            (-0.003, -0.001, Outcome::Undecided),
            (-0.003, -0.0011, Outcome::Worse),
            (-1.0, 1.0, Outcome::Undecided),
        ];
        for (low, high, expected) in cases {
            assert_eq!(
                comparison(low, high).outcome(0.001),
                expected,
                "{low} {high}"
            );
        }
    }

    #[test]
    fn interval_of_too_few_users_is_none() {
        assert_eq!(interval_text(-1.0, 1.0), None);
        let known = interval_text(-0.00123, 0.5);
        assert_eq!(known.as_deref(), Some("-0.0012 to +0.5000"));
    }

    #[test]
    fn worst_comparison_decides() {
        let verdict = |baseline, live: Option<Comparison>| Verdict {
            metric: "ndcg".to_owned(),
            k: 10,
            seen: "excluded".to_owned(),
            margin: 0.001,
            strategy: "hybrid".to_owned(),
            best_strategy: "hybrid".to_owned(),
            baseline,
            live: live.map(|comparison| LiveComparison {
                version: 3,
                strategy: "hybrid".to_owned(),
                comparison,
            }),
        };
        let (better, worse) = (comparison(0.1, 0.2), comparison(-0.2, -0.1));
        let undecided = comparison(-0.1, 0.1);
        let outcome = |baseline, live| verdict(baseline, live).outcome();
        assert_eq!(outcome(Some(better.clone()), None), Outcome::Better);
        assert_eq!(
            outcome(Some(better.clone()), Some(worse.clone())),
            Outcome::Worse
        );
        assert_eq!(outcome(Some(worse), Some(better.clone())), Outcome::Worse);
        assert_eq!(outcome(Some(better), Some(undecided)), Outcome::Undecided);
        assert_eq!(outcome(None, None), Outcome::Undecided);
    }
}
