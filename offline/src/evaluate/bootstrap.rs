//! Differences between rankers over the same users, with paired bootstrap intervals.
//!
//! The scores of one user under two rankers are paired, so users are drawn with replacement and
//! their *differences* averaged; what makes a user easy or hard for both cancels out. All rankers
//! and metrics of a group share the resamples. The interval is the percentile interval of
//! Efron, Tibshirani (1993), An introduction to the bootstrap, chapter 13.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use serde::Serialize;

/// Resamples of one interval (chosen: the ends of a 95 % interval move by about a hundredth of
/// its width from seed to seed).
pub(super) const RESAMPLES: usize = 2000;
/// Resamples outside each end of a 95 % interval.
const TAIL: usize = RESAMPLES / 40;
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
        // No metric can differ by more than 1, so these bounds say nothing at all.
        let unknown = (self.low, self.high) == (-1.0, 1.0);
        (!unknown).then(|| format!("{:+.4} to {:+.4}", self.low, self.high))
    }
}

/// Differences of a whole group. `rows` has one row per user, and every row the same columns: one
/// for each difference of interest. Costs resamples × users × columns additions.
pub(super) fn differences(rows: &[Vec<f64>], seed: u64) -> Vec<Difference> {
    let columns = rows.first().map_or(0, Vec::len);
    let column = |at: usize| rows.iter().map(move |row| row[at]);
    let n = rows.len();
    let mut means = if n < USERS_MIN {
        vec![Vec::new(); columns]
    } else {
        resampled_means(rows, seed)
    };
    let difference = |at: usize| {
        let means = &mut means[at];
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

/// Means of every resample, by column.
fn resampled_means(rows: &[Vec<f64>], seed: u64) -> Vec<Vec<f64>> {
    let (n, columns) = (rows.len(), rows[0].len());
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut means = vec![Vec::with_capacity(RESAMPLES); columns];
    let mut sums = vec![0.0; columns];
    for _ in 0..RESAMPLES {
        sums.fill(0.0);
        for _ in 0..n {
            // The bias of a draw is at most n / 2^64.
            let drawn = (u128::from(rng.next_u64()) * n as u128) >> 64;
            for (sum, difference) in sums.iter_mut().zip(&rows[drawn as usize]) {
                *sum += difference;
            }
        }
        for (means, sum) in means.iter_mut().zip(&sums) {
            means.push(sum / n as f64);
        }
    }
    means
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn of(differences_: &[f64]) -> Difference {
        let rows: Vec<Vec<f64>> = differences_.iter().map(|d| vec![*d]).collect();
        differences(&rows, 42)[0]
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
        let found = differences(&rows, 7);
        assert_eq!(found, differences(&rows, 7));
        assert_ne!(found, differences(&rows, 8));
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
        assert!(differences(&[], 1).is_empty());
    }
}
