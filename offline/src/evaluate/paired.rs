//! The difference of two rankers over the same users, with its uncertainty.

use serde::Serialize;

/// Mean of differences user by user and its 95 % interval.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Difference {
    /// Mean.
    pub mean: f64,
    /// Standard error of the mean.
    pub standard_error: f64,
    /// Lower end of the interval.
    pub low: f64,
    /// Upper end of the interval.
    pub high: f64,
    /// Users for whom the first ranker scored higher.
    pub better: usize,
    /// Users for whom the second ranker scored higher.
    pub worse: usize,
}

/// Of the normal distribution: the mean of hundreds of differences is close to one, whatever they
/// are themselves.
const QUANTILE_975: f64 = 1.959_963_985;

impl Difference {
    /// Of paired differences. With fewer than two nothing is known of the error, and the interval
    /// is unbounded.
    pub(super) fn of(differences: &[f64]) -> Self {
        let n = differences.len() as f64;
        let mean = differences.iter().sum::<f64>() / n.max(1.0);
        let squares: f64 = differences.iter().map(|d| (d - mean).powi(2)).sum();
        let standard_error = if n < 2.0 {
            f64::INFINITY
        } else {
            (squares / (n - 1.0) / n).sqrt()
        };
        Self {
            mean,
            standard_error,
            low: mean - QUANTILE_975 * standard_error,
            high: mean + QUANTILE_975 * standard_error,
            better: differences.iter().filter(|d| **d > 0.0).count(),
            worse: differences.iter().filter(|d| **d < 0.0).count(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_worked_differences() {
        // Mean 0.2; squares 0.01 + 0.01 + 0.04 + 0.04 = 0.1; variance 0.1 / 3; error sqrt(0.1/12).
        let difference = Difference::of(&[0.1, 0.3, 0.0, 0.4]);
        assert!((difference.mean - 0.2).abs() < 1e-12);
        assert!((difference.standard_error - 0.091_287_092_9).abs() < 1e-9);
        assert!((difference.low - 0.021_080_585).abs() < 1e-6);
        assert!((difference.high - 0.378_919_414).abs() < 1e-6);
        assert_eq!((difference.better, difference.worse), (3, 0));
    }

    #[test]
    fn one_user_proves_nothing() {
        let difference = Difference::of(&[0.5]);
        assert!(difference.low < 0.0 && difference.high > 1.0);
    }
}
