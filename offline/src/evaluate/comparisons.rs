//! Means of all rankers, compared with the best baseline user by user.

use hotshelf_model::{LiveComparison, UserRow, Verdict};
use indicatif::ProgressBar;

use super::bootstrap::{self, Difference};
use super::measurements::{Measurements, Measuring, NDCG};
use super::report::{Differences, METRICS, MeansAt, Scores, SegmentScores};
use super::verdict::comparison;
use crate::mapping::EvaluationPlan;

/// Everything that was measured, with the baseline that it is compared with.
pub(super) struct Comparisons<'a> {
    measured: &'a [Measurements],
    strategies: &'a [&'static str],
    measuring: &'a Measuring<'a>,
    /// The best baseline.
    baseline: &'a Measurements,
    /// By user: the mean popularity of what they have.
    profiles: Vec<f64>,
    seed: u64,
}

impl<'a> Comparisons<'a> {
    /// The best baseline is that with the greatest mean nDCG, the first among equals. Choosing it by
    /// the same users favours the baselines.
    pub(super) fn new(
        measured: &'a [Measurements],
        (strategies, measuring): (&'a [&'static str], &'a Measuring<'a>),
    ) -> Self {
        let is_ours = |name| strategies.contains(&name) || name == "live";
        let baselines = measured.iter().filter(|of| !is_ours(of.ranker));
        let best = baselines.reduce(|best, other| match other.mean(NDCG) > best.mean(NDCG) {
            true => other,
            false => best,
        });
        let history = measuring.model.history();
        let profile = |row: UserRow| measuring.properties.popularity(history.seen(row));
        Self {
            measured,
            strategies,
            measuring,
            baseline: best.expect("most popular is always among the rankers"),
            profiles: measuring
                .users
                .iter()
                .map(|user| profile(user.row))
                .collect(),
            seed: measuring.model.parameters().als.seed,
        }
    }

    pub(super) fn baseline(&self) -> &'static str {
        self.baseline.ranker
    }

    /// Resamples of all groups together, of which each makes so many.
    pub(super) fn resamples(&self, each: usize) -> usize {
        each * (1 + self.measuring.model.users().segment_names().len())
    }

    /// Means over all users.
    pub(super) fn of_all(&self, bar: &ProgressBar) -> Vec<Scores> {
        let users: Vec<usize> = (0..self.measuring.users.len()).collect();
        self.group(&users, None, bar)
    }

    /// Means over the users of each segment.
    pub(super) fn by_segment(&self, bar: &ProgressBar) -> Vec<SegmentScores> {
        let names = self.measuring.model.users().segment_names();
        let scores = names.iter().enumerate().map(|(segment, name)| {
            let all = self.measuring.users.iter().enumerate();
            let members = all.filter(|(_, user)| user.segment == segment);
            let members: Vec<usize> = members.map(|(at, _)| at).collect();
            SegmentScores {
                segment: name.clone(),
                users: members.len(),
                rankers: self.group(&members, Some(segment), bar),
            }
        });
        scores.collect()
    }

    /// Means of some users by ranker, each but the baseline with its differences to the baseline.
    fn group(&self, users: &[usize], segment: Option<usize>, bar: &ProgressBar) -> Vec<Scores> {
        let others = || {
            self.measured
                .iter()
                .filter(|of| of.ranker != self.baseline.ranker)
        };
        let row = |user: &usize| {
            let difference = |metric: usize, of: &Measurements| {
                of.scores[0][*user][metric] - self.baseline.scores[0][*user][metric]
            };
            others()
                .flat_map(|of| (0..METRICS).map(move |metric| difference(metric, of)))
                .collect()
        };
        let rows: Vec<Vec<f64>> = users.iter().map(row).collect();
        let differences = bootstrap::differences(&rows, self.seed, bar);
        let mut differences = differences.chunks_exact(METRICS);
        let profiles = users.iter().map(|user| self.profiles[*user]);
        let profile = profiles.sum::<f64>() / users.len().max(1) as f64;
        let lengths = self.measuring.lengths.iter().enumerate().skip(1);
        let scores = self.measured.iter().map(|of| {
            let means = |at| of.means(at, (users, segment), profile);
            let mut scores = Scores {
                ranker: of.ranker,
                means: means(0),
                difference: None,
                lengths: Vec::new(),
            };
            if of.ranker != self.baseline.ranker {
                scores.difference = differences.next().map(Differences::of);
            }
            // Products are counted by segment for the first length alone.
            if segment.is_none() {
                let lengths = lengths.clone().map(|(at, k)| MeansAt {
                    k: *k,
                    means: means(at),
                });
                scores.lengths = lengths.collect();
            }
            scores
        });
        scores.collect()
    }

    /// The verdict on the default strategy. `live` is the live version's number and strategy.
    pub(super) fn verdict(
        &self,
        rankers: &[Scores],
        (plan, default, live): (&EvaluationPlan, &'static str, Option<(u64, &'static str)>),
    ) -> Verdict {
        let users = self.measuring.users.len();
        let find = |name: &str| rankers.iter().find(|scores| scores.ranker == name);
        let ours = find(default);
        let baseline = ours.zip(find(self.baseline.ranker));
        let baseline = baseline.and_then(|(ours, other)| {
            let difference = &ours.difference.as_ref()?.ndcg;
            Some(comparison((ours, other), difference, users))
        });
        let live = live.and_then(|(version, strategy)| {
            let (ours, other) = (ours?, find("live")?);
            let difference = self.between(default, "live")?;
            Some(LiveComparison {
                version,
                strategy: strategy.to_owned(),
                comparison: comparison((ours, other), &difference, users),
            })
        });
        let strategies = rankers
            .iter()
            .filter(|of| self.strategies.contains(&of.ranker));
        let best = strategies.reduce(|best, other| match other.means.ndcg > best.means.ndcg {
            true => other,
            false => best,
        });
        Verdict {
            metric: "ndcg".to_owned(),
            k: plan.k(),
            seen: plan.seen.as_str().to_owned(),
            margin: plan.margin,
            strategy: default.to_owned(),
            best_strategy: best.map_or(default, |best| best.ranker).to_owned(),
            baseline,
            live,
        }
    }

    /// The difference of nDCG between two rankers.
    fn between(&self, ours: &str, other: &str) -> Option<Difference> {
        let find = |name: &str| self.measured.iter().find(|of| of.ranker == name);
        let (ours, other) = (find(ours)?, find(other)?);
        let users = ours.scores[0].iter().zip(&other.scores[0]);
        let rows: Vec<Vec<f64>> = users
            .map(|(ours, other)| vec![ours[NDCG] - other[NDCG]])
            .collect();
        let found = bootstrap::differences(&rows, self.seed, &ProgressBar::hidden());
        found.first().copied()
    }
}
