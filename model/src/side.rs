//! The sides that an answer can blend, a value for each of them, and the weights of a blend.

use serde::{Deserialize, Serialize};

/// One way of retrieving and scoring products.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[repr(u8)]
pub enum Side {
    /// Inner product of ALS factors.
    Collaborative = 0,
    /// Cosines of content embeddings with the recent products.
    Content = 1,
    /// What people took next after the recent products.
    Sequence = 2,
    /// What the person had before.
    Repeat = 3,
    /// What is popular recently.
    Trend = 4,
}

impl Side {
    /// Every side, in the order in which a blend adds them up.
    pub const ALL: [Self; 5] = [
        Self::Collaborative,
        Self::Content,
        Self::Sequence,
        Self::Repeat,
        Self::Trend,
    ];

    /// The name in cards, answers and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collaborative => "collaborative",
            Self::Content => "content",
            Self::Sequence => "sequence",
            Self::Repeat => "repeat",
            Self::Trend => "trend",
        }
    }
}

/// A value for each side.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PerSide<T> {
    /// Of the collaborative side.
    pub collaborative: T,
    /// Of the content side.
    pub content: T,
    /// Of the sequence side.
    pub sequence: T,
    /// Of the repeat side.
    pub repeat: T,
    /// Of the trend side.
    pub trend: T,
}

impl<T> PerSide<T> {
    /// What `value` gives for each side, asked in the order of [`Side::ALL`].
    pub fn from_fn(mut value: impl FnMut(Side) -> T) -> Self {
        Self {
            collaborative: value(Side::Collaborative),
            content: value(Side::Content),
            sequence: value(Side::Sequence),
            repeat: value(Side::Repeat),
            trend: value(Side::Trend),
        }
    }

    /// The value of a side.
    #[must_use]
    pub fn get(&self, side: Side) -> &T {
        match side {
            Side::Collaborative => &self.collaborative,
            Side::Content => &self.content,
            Side::Sequence => &self.sequence,
            Side::Repeat => &self.repeat,
            Side::Trend => &self.trend,
        }
    }

    /// The value of a side, to be changed.
    pub fn get_mut(&mut self, side: Side) -> &mut T {
        match side {
            Side::Collaborative => &mut self.collaborative,
            Side::Content => &mut self.content,
            Side::Sequence => &mut self.sequence,
            Side::Repeat => &mut self.repeat,
            Side::Trend => &mut self.trend,
        }
    }

    /// Sides and values in the order of [`Side::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Side, &T)> {
        Side::ALL.into_iter().map(|side| (side, self.get(side)))
    }
}

/// What each side's scores count for in a blend, once they are divided by the side's greatest. Finite,
/// 0 or more, and not all 0; they need not add up to 1. A side of weight 0 is not asked at all.
pub type Weights = PerSide<f64>;

/// Why weights cannot blend anything.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
pub enum WeightsError {
    /// A weight is negative or no finite number.
    #[error("the weight of side {} is {value}, expected a finite number, 0 or more", side.as_str())]
    Value {
        /// Whose weight it is.
        side: Side,
        /// The weight.
        value: f64,
    },
    /// Every weight is 0.
    #[error("all weights are 0, expected at least one above 0")]
    AllZero,
}

impl Weights {
    /// Errs with the first weight that cannot be used.
    ///
    /// # Errors
    /// A weight that is negative or not finite, or weights that are all 0.
    pub fn check(&self) -> Result<(), WeightsError> {
        let is_bad = |value: f64| !value.is_finite() || value < 0.0;
        if let Some((side, value)) = self.iter().find(|(_, value)| is_bad(**value)) {
            return Err(WeightsError::Value {
                side,
                value: *value,
            });
        }
        match self.iter().any(|(_, value)| *value > 0.0) {
            true => Ok(()),
            false => Err(WeightsError::AllZero),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_that_are_negative_not_finite_or_all_zero_are_named() {
        let weights = |repeat| Weights {
            collaborative: 1.0,
            repeat,
            ..Weights::default()
        };
        assert_eq!(weights(0.0).check(), Ok(()));
        assert_eq!(Weights::default().check(), Err(WeightsError::AllZero));
        for bad in [-0.1, f64::NAN, f64::INFINITY] {
            let why = weights(bad).check().map_err(|error| error.to_string());
            let expected =
                format!("the weight of side repeat is {bad}, expected a finite number, 0 or more");
            assert_eq!(why, Err(expected));
        }
    }

    #[test]
    fn every_side_has_a_value_of_its_own() {
        let mut numbers = PerSide::from_fn(|side| side as u8);
        assert!(numbers.iter().all(|(side, value)| side as u8 == *value));
        for side in Side::ALL {
            *numbers.get_mut(side) += 10;
        }
        assert!(
            numbers
                .iter()
                .all(|(side, value)| side as u8 + 10 == *value)
        );
    }
}
