//! Parameters of the sides `sequence`, `repeat` and `trend`, each of which a version may lack.

use crate::{Side, Weights};
use serde::{Deserialize, Serialize};

/// Most steps between two products that are a transition. Chosen: ten times the default.
pub(crate) const WINDOW_MAX: usize = 50;

/// Most transitions kept of a product. Chosen: four times the default.
pub(crate) const TRANSITIONS_MAX: usize = 256;

/// Which sides beside `collaborative` and `content` a version has, and how they are fitted. None by
/// default.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SidesParams {
    /// What people took next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<SequenceParams>,
    /// What the person had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RepeatParams>,
    /// What is popular recently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trend: Option<TrendParams>,
}

impl SidesParams {
    /// All three, with default parameters.
    #[must_use]
    pub fn all() -> Self {
        Self {
            sequence: Some(SequenceParams::default()),
            repeat: Some(RepeatParams::default()),
            trend: Some(TrendParams::default()),
        }
    }

    /// Whether a version fitted with these parameters has a side, or may have it.
    pub(crate) fn has(&self, side: Side) -> bool {
        match side {
            Side::Collaborative | Side::Content => true,
            Side::Sequence => self.sequence.is_some(),
            Side::Repeat => self.repeat.is_some(),
            Side::Trend => self.trend.is_some(),
        }
    }

    /// The first side that has weight and is left out, and its weight.
    pub(crate) fn first_absent(&self, weights: &Weights) -> Option<(Side, f64)> {
        let mut weights = weights.iter().map(|(side, weight)| (side, *weight));
        weights.find(|(side, weight)| *weight > 0.0 && !self.has(*side))
    }

    /// Whether there is none of them.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// Transitions between products, and how a person's recent products follow them.
///
/// A person's events in the order of time are steps; events of one product in a row are one step. A
/// product `d` steps after another, up to `window`, adds `step_decay`^(d − 1) to the transition from
/// the earlier to the later one, and `backward` times that to the reverse. Each transition is divided
/// by the number of steps of the product that it leads from.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SequenceParams {
    /// Most steps between two products, 1 to 50.
    pub window: usize,
    /// What a further step between them multiplies a transition by, above 0, at most 1.
    pub step_decay: f32,
    /// Weight of the reverse transition, 0 to 1.
    pub backward: f32,
    /// Transitions kept of a product, the greatest ones, 1 to 256.
    pub kept: usize,
    /// How many of a person's last distinct products are followed, 1 to 100.
    pub recents: usize,
    /// What each step back multiplies the weight of a recent product by, above 0, at most 1.
    pub recent_decay: f32,
}

impl Default for SequenceParams {
    fn default() -> Self {
        // Inherited: the constants with which this side was first measured on public tables.
        Self {
            window: 5,
            step_decay: 0.7,
            backward: 0.5,
            kept: 64,
            recents: 20,
            recent_decay: 0.3,
        }
    }
}

/// How often and how lately a person had a product: the sum of the interaction values, each halved
/// for every half-life that lies between it and the version's last event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct RepeatParams {
    /// Half-life in days, above 0; `None`: values do not decay, and no times are needed.
    pub half_life_days: Option<f64>,
}

impl Default for RepeatParams {
    fn default() -> Self {
        Self {
            // Chosen: the middle of the 120 to 240 days that measured best on a shop of gifts.
            half_life_days: Some(180.0),
        }
    }
}

/// Popularity of late: the sum of a product's interaction values, each halved for every half-life
/// that lies between it and the version's last event.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TrendParams {
    /// Half-life in days, above 0.
    pub half_life_days: f64,
}

impl Default for TrendParams {
    fn default() -> Self {
        Self {
            // Inherited: the half-life with which this side was first measured.
            half_life_days: 7.0,
        }
    }
}
