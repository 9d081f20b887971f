//! Seeded randomness for the shop, the same to the bit on every machine.
//!
//! Only additions, multiplications and comparisons of f64 are used, whose results IEEE 754 fixes;
//! the platform's `exp` or `ln` may round the last bit as it likes, and one bit is enough to change
//! every event after it.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

/// One stream of random numbers. Each product and each shopper draws from a stream of its own, so
/// adding one changes nothing for the others.
pub(super) struct Dice(ChaCha8Rng);

/// What a stream is for; keeps the streams apart.
#[derive(Clone, Copy)]
pub(super) enum Stream {
    Brands,
    Product(usize),
    Shopper(usize),
}

impl Dice {
    pub(super) fn new(seed: u64, stream: Stream) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(match stream {
            Stream::Brands => 0,
            Stream::Product(row) => (1 << 62) | row as u64,
            Stream::Shopper(row) => (2 << 62) | row as u64,
        });
        Self(rng)
    }

    /// Uniform in [0, 1).
    pub(super) fn unit(&mut self) -> f64 {
        // 53 bits, as many as an f64 holds exactly.
        (self.0.next_u64() >> 11) as f64 / (1u64 << 53) as f64
    }

    /// Uniform in [low, high).
    pub(super) fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.unit()
    }

    /// Uniform in 0..n; `n` must not be 0.
    pub(super) fn below(&mut self, n: usize) -> usize {
        // Multiply and shift: the bias is below n / 2^32.
        ((u64::from(self.0.next_u32()) * n as u64) >> 32) as usize
    }

    /// Uniform in 0..n of seconds or the like; 0 for `n` below 1.
    pub(super) fn below_i64(&mut self, n: i64) -> i64 {
        (self.unit() * n.max(0) as f64) as i64
    }

    pub(super) fn chance(&mut self, probability: f64) -> bool {
        self.unit() < probability
    }

    /// About standard normal: a sum of twelve uniforms, so within -6..6.
    pub(super) fn normal(&mut self) -> f64 {
        (0..12).map(|_| self.unit()).sum::<f64>() - 6.0
    }

    /// Log-normal with median 1.
    pub(super) fn log_normal(&mut self, spread: f64) -> f64 {
        exp(spread * self.normal())
    }

    /// One entry, each as likely as the next; `from` must not be empty.
    pub(super) fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len())]
    }

    /// An index drawn by weight; `running` holds the running sums of the weights, the last above 0.
    pub(super) fn weighted(&mut self, running: &[f64]) -> usize {
        let total = running[running.len() - 1];
        let at = self.unit() * total;
        running
            .partition_point(|&sum| sum <= at)
            .min(running.len() - 1)
    }
}

/// e to the x, to about 12 digits for |x| <= 30: a short series for x / 1024, squared ten times.
pub(super) fn exp(x: f64) -> f64 {
    let step = x / 1024.0;
    let series = (1..=6)
        .rev()
        .fold(1.0, |sum, n| 1.0 + sum * step / f64::from(n));
    (0..10).fold(series, |power, _| power * power)
}

/// Running sums of the weights.
pub(super) fn running_sums(weights: impl Iterator<Item = f64>) -> Vec<f64> {
    weights
        .scan(0.0, |sum, weight| {
            *sum += weight;
            Some(*sum)
        })
        .collect()
}
