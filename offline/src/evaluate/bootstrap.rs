//! Differences between rankers over the same users, with paired bootstrap intervals.
//!
//! The scores of one user under two rankers are paired, so users are drawn with replacement and
//! their *differences* averaged; what makes a user easy or hard for both cancels out. All rankers
//! and metrics of a group share the resamples. The interval is the percentile interval of
//! Efron, Tibshirani (1993), An introduction to the bootstrap, chapter 13.

use hotshelf_model::interval_text;
use indicatif::ProgressBar;
use rayon::prelude::*;
use serde::Serialize;

use crate::draw::{below, shuffle_tail, stream};

/// Resamples of one interval (chosen: the ends of a 95 % interval move by about a hundredth of
/// its width from seed to seed).
pub(super) const RESAMPLES: usize = 2000;
/// Resamples outside each end of a 95 % interval.
const TAIL: usize = RESAMPLES / 40;
/// Most groups that users are drawn in (chosen: the ends of the interval move by less than they do
/// from seed to seed).
const GROUPS_MAX: usize = 20_000;
/// Fewest users for an interval; with fewer the resamples hardly differ and would prove anything
/// (chosen: with 10, a chance run of one sign is below 1 in 500).
pub(super) const USERS_MIN: usize = 10;

/// Mean of differences user by user and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean.
    pub mean: f64,
    /// Lower end of the interval; -1 with too few users.
    pub low: f64,
    /// Upper end of the interval; 1 with too few users.
    pub high: f64,
    /// Users for whom the first ranker scored higher.
    pub better: usize,
    /// Users for whom the second ranker scored higher.
    pub worse: usize,
}

impl Difference {
    /// Whether the interval excludes zero.
    pub fn is_clear(&self) -> bool {
        self.low > 0.0 || self.high < 0.0
    }

    /// The interval in words, `+0.0052 to +0.0380`; None with too few users.
    pub fn interval(&self) -> Option<String> {
        interval_text(self.low, self.high)
    }
}

/// Differences of a whole group. `rows` has one row per user, and every row the same columns: one
/// for each difference of interest. Costs resamples × groups × columns additions, on all threads of
/// the pool that it is called in; any number of threads gives the same intervals.
pub(super) fn differences(rows: &[Vec<f64>], seed: u64, bar: &ProgressBar) -> Vec<Difference> {
    let columns = rows.first().map_or(0, Vec::len);
    let column = |at: usize| rows.iter().map(move |row| row[at]);
    let n = rows.len();
    let resampled = if n < USERS_MIN {
        Vec::new()
    } else {
        resampled_means(&Groups::of(rows, seed), seed, bar)
    };
    let difference = |at: usize| {
        let mut means: Vec<f64> = resampled.iter().map(|means| means[at]).collect();
        means.sort_unstable_by(f64::total_cmp);
        let unknown = means.is_empty();
        Difference {
            mean: column(at).sum::<f64>() / n as f64,
            low: if unknown { -1.0 } else { means[TAIL] },
            high: if unknown {
                1.0
            } else {
                means[RESAMPLES - 1 - TAIL]
            },
            better: column(at).filter(|d| *d > 0.0).count(),
            worse: column(at).filter(|d| *d < 0.0).count(),
        }
    };
    (0..columns).map(difference).collect()
}

/// Users as they are drawn: one by one or, where they are many, in random groups.
///
/// The mean of n users and the mean of G random groups of them have the same variance, so that drawing
/// groups gives the same interval for a bounded cost.
struct Groups {
    /// Sums of the columns, one row after the other.
    sums: Vec<f64>,
    /// Users in each group.
    users: Vec<f64>,
    columns: usize,
}

impl Groups {
    fn of(rows: &[Vec<f64>], seed: u64) -> Self {
        let columns = rows.first().map_or(0, Vec::len);
        let count = rows.len().min(GROUPS_MAX);
        let mut order: Vec<u32> = (0..rows.len() as u32).collect();
        if count < rows.len() {
            let mut rng = stream(seed, u64::MAX);
            shuffle_tail(&mut order, 1, &mut rng);
        }
        let mut groups = Self {
            sums: vec![0.0; count * columns],
            users: vec![0.0; count],
            columns,
        };
        for (at, row) in order.into_iter().enumerate() {
            let group = at % count;
            groups.users[group] += 1.0;
            let sums = &mut groups.sums[group * columns..(group + 1) * columns];
            for (sum, difference) in sums.iter_mut().zip(&rows[row as usize]) {
                *sum += difference;
            }
        }
        groups
    }
}

/// Means by resample, then by column.
fn resampled_means(groups: &Groups, seed: u64, bar: &ProgressBar) -> Vec<Vec<f64>> {
    let count = groups.users.len();
    let resample = |drawn: &mut Vec<u32>, resample: usize| {
        let mut rng = stream(seed, resample as u64);
        drawn.clear();
        drawn.resize(count, 0);
        for _ in 0..count {
            drawn[below(count, &mut rng)] += 1;
        }
        let (mut users, mut sums) = (0.0, vec![0.0; groups.columns]);
        let rows = groups.sums.chunks_exact(groups.columns);
        for ((times, row), of) in drawn.iter().zip(rows).zip(&groups.users) {
            let times = f64::from(*times);
            users += times * of;
            for (sum, difference) in sums.iter_mut().zip(row) {
                *sum += times * difference;
            }
        }
        bar.inc(1);
        sums.iter_mut().for_each(|sum| *sum /= users);
        sums
    };
    let resamples = (0..RESAMPLES).into_par_iter();
    resamples.map_init(Vec::new, resample).collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(differences_: &[f64]) -> Difference {
        let rows: Vec<Vec<f64>> = differences_.iter().map(|d| vec![*d]).collect();
        differences(&rows, 42, &ProgressBar::hidden())[0]
    }

    #[test]
    fn interval_agrees_with_the_normal_one_where_users_are_many() {
        // Differences 0 to 99 hundredths: mean 0.495, standard error 0.2901 / 10.
        let differences: Vec<f64> = (0..100).map(|n| f64::from(n) / 100.0).collect();
        let found = of(&differences);
        assert!((found.mean - 0.495).abs() < 1e-12);
        assert!(
            (found.low - (0.495 - 1.96 * 0.029)).abs() < 0.004,
            "{found:?}"
        );
        assert!(
            (found.high - (0.495 + 1.96 * 0.029)).abs() < 0.004,
            "{found:?}"
        );
        assert_eq!((found.better, found.worse), (99, 0));
        assert!(found.is_clear());
    }

    #[test]
    fn two_values_give_a_binomial_interval() {
        // 40 users of which 10 gain 1: a resample's mean is a binomial count of 40 draws with
        // p = 1/4 over 40. P(X <= 4) = 0.016, P(X <= 5) = 0.043: the lower end is 5 of 40.
        // P(X >= 16) = 0.026, P(X >= 17) = 0.012: the upper end is 16 of 40, or 15 by chance.
        let found = of(&[[1.0; 10].as_slice(), &[0.0; 30]].concat());
        assert_eq!(found.low, 5.0 / 40.0);
        assert!(
            [15.0 / 40.0, 16.0 / 40.0].contains(&found.high),
            "{found:?}"
        );
    }

    #[test]
    fn same_seed_gives_the_same_interval_and_columns_share_their_resamples() {
        let rows: Vec<Vec<f64>> = (0..30)
            .map(|n| f64::from(n % 7) - 3.0)
            .map(|d| vec![d, 2.0 * d])
            .collect();
        let of_seed = |seed| differences(&rows, seed, &ProgressBar::hidden());
        let found = of_seed(7);
        assert_eq!(found, of_seed(7));
        assert_ne!(found, of_seed(8));
        assert_eq!(2.0 * found[0].low, found[1].low);
        assert!(!found[0].is_clear());
    }

    #[test]
    fn few_users_give_no_verdict() {
        let found = of(&[0.5; USERS_MIN - 1]);
        assert_eq!((found.low, found.high), (-1.0, 1.0));
        assert_eq!(found.interval(), None);
        assert!(!found.is_clear());
        assert!(of(&[0.5; USERS_MIN]).is_clear());
        assert!(differences(&[], 1, &ProgressBar::hidden()).is_empty());
    }

    #[test]
    fn mean_of_random_groups_varies_as_the_mean_of_their_users() {
        // A fifth of 100,000 users gain 1: the variance of their mean is 0.16 / 100,000. A trend over
        // the users, such as from old to new ones, must not vanish in the groups.
        let rows: Vec<Vec<f64>> = (0..100_000)
            .map(|n| vec![f64::from(n % 5 / 4), f64::from(n) / 1e5])
            .collect();
        let groups = Groups::of(&rows, 42);
        assert_eq!((groups.users.len(), groups.users[7]), (GROUPS_MAX, 5.0));
        for (at, exact) in [(0, 0.16), (1, 1.0 / 12.0)] {
            let means = groups.sums.chunks_exact(2).map(|sums| sums[at] / 5.0);
            let mean = means.clone().sum::<f64>() / GROUPS_MAX as f64;
            let squares = means.map(|of| (of - mean).powi(2)).sum::<f64>();
            let variance = squares / GROUPS_MAX as f64 / GROUPS_MAX as f64;
            assert!(
                (variance * 1e5 / exact - 1.0).abs() < 0.05,
                "{at}: {variance}"
            );
        }
    }

    #[test]
    fn threads_change_no_interval() {
        let rows: Vec<Vec<f64>> = (0..50).map(|n| vec![f64::from(n % 7) - 3.0]).collect();
        let on = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| differences(&rows, 7, &ProgressBar::hidden()))
        };
        assert_eq!(on(1), on(3));
    }
}
