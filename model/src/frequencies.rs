//! How often each person had each product, and when last: the history's pairs with weights and times.
//!
//! A pair's weight is the sum of its interaction values, each decayed to the pair's own last time. So
//! the weight at any later moment is one multiplication away, and however old a pair is, its number
//! does not fade to zero in storage.

use crate::{column::Column, decay};

/// The time of a pair whose times are not known.
pub(crate) const NO_TIME: i64 = i64::MIN;

/// Weights and times, pair by pair in the order of the history's seen products.
#[derive(Clone, Debug)]
pub struct Frequencies {
    pub(crate) weights: Column<f32>,
    /// Unix seconds, none after the version's last event; [`NO_TIME`] where values do not decay.
    pub(crate) last_at: Column<i64>,
    /// `None`: values do not decay.
    pub(crate) half_life_days: Option<f64>,
    /// The version's last event, in Unix seconds; 0 where values do not decay.
    pub(crate) as_of_s: i64,
}

impl Frequencies {
    /// The score of a pair as of the version's last event.
    pub(crate) fn score(&self, pair: usize) -> f32 {
        let weight = self.weights.as_slice()[pair];
        let Some(half_life_days) = self.half_life_days else {
            return weight;
        };
        let age_s = self.as_of_s.saturating_sub(self.last_at.as_slice()[pair]);
        (f64::from(weight) * decay::left(age_s, half_life_days)) as f32
    }

    /// Bytes of the columns.
    pub(crate) fn bytes(&self) -> usize {
        self.weights.as_bytes().len() + self.last_at.as_bytes().len()
    }
}
