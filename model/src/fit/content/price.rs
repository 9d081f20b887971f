//! The price as one more column.
//!
//! Prices spread over powers of ten, so their logarithm is standardised over the products that
//! have one. The result is rounded to a grid: a cent more or less says nothing about what a
//! product is, and without the grid every price would make a group of its own.

use crate::interactions::ProductInfo;

/// Grid of the standardised logarithm, in standard deviations. Measured on the 92,331 products of
/// one grocery (13,129 distinct rows of text): exact prices make some 28,500 rows, this grid
/// 20,441, and the 64 neighbours found on it have a mean true cosine of 0.77025 instead of
/// 0.77039.
const STEP: f64 = 0.5;

/// Least deviation that is not rounding: equal prices may miss their mean by a few 1e-16.
const DEVIATION_MIN: f64 = 1e-9;

/// Mean and deviation of ln(1 + price) over the products with a price.
pub(super) struct PriceScale {
    mean: f64,
    deviation: f64,
}

impl PriceScale {
    /// Two passes in product order; the deviation is that of the population.
    pub(super) fn of(infos: &[Option<&ProductInfo>]) -> Self {
        let logs = || {
            infos
                .iter()
                .filter_map(|info| info.and_then(|info| info.price))
                .map(log)
        };
        let count = logs().count().max(1) as f64;
        let mean = logs().sum::<f64>() / count;
        let variance = logs().map(|log| (log - mean) * (log - mean)).sum::<f64>() / count;
        Self {
            mean,
            deviation: variance.sqrt(),
        }
    }

    /// Steps of the grid from the mean; 0 for a product without a price.
    pub(super) fn steps(&self, price: Option<f32>) -> i32 {
        match price {
            Some(price) if self.deviation > DEVIATION_MIN => {
                ((log(price) - self.mean) / self.deviation / STEP).round() as i32
            }
            _ => 0,
        }
    }

    /// The standardised logarithm that a number of steps stands for.
    pub(super) fn standardised(steps: i32) -> f64 {
        f64::from(steps) * STEP
    }
}

fn log(price: f32) -> f64 {
    libm::log1p(f64::from(price))
}
