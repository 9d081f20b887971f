//! The parameters of a fit, as they are chosen, stored in the model card and read back.

mod sides;

use serde::{Deserialize, Serialize};
use std::time::Duration;

pub use self::sides::{RepeatParams, SequenceParams, SidesParams, TrendParams};
pub(crate) use self::sides::{TRANSITIONS_MAX, WINDOW_MAX};
use crate::side::Weights;

/// Most recent products that a content score sums over. Chosen: five times what is kept of a
/// user by default.
pub(crate) const RECENTS_MAX: usize = 100;

/// Most recent products that are kept of a user. Chosen: fifty times the default; a walk over them
/// is part of every answer.
pub(crate) const RECENT_LIST_MAX: usize = 1000;

/// Parameters of implicit-feedback ALS.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlsParams {
    /// Length of a factor row, 1 to 1024.
    pub factors: usize,
    /// λ of the objective, above 0: weight of the squared norms of all rows.
    pub regularization: f32,
    /// Alternations; one solves all users, then all products.
    pub iterations: usize,
    /// Weight of an interaction value: c = 1 + confidence × value, 0 or more.
    pub confidence: f32,
    /// Seed of the first product factors.
    pub seed: u64,
}

impl Default for AlsParams {
    fn default() -> Self {
        Self {
            factors: 64,
            regularization: 0.01,
            iterations: 15,
            // Measured on two shops: docs/decisions/0003-als-confidence.md.
            confidence: 0.1,
            seed: 42,
        }
    }
}

/// How users are divided by the number of distinct products they interacted with: `new` below
/// `light_from`, `light` from there, `heavy` from `heavy_from` on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SegmentParams {
    /// Least distinct products of a light user.
    pub light_from: u32,
    /// Least distinct products of a heavy user; not below `light_from`.
    pub heavy_from: u32,
}

impl Default for SegmentParams {
    fn default() -> Self {
        Self {
            light_from: 5,
            heavy_from: 50,
        }
    }
}

/// How product texts become embeddings; ignored where the catalogue brings its own.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ContentParams {
    /// Most terms of the vocabulary, 0 to 10,000; 0 leaves content out of the model.
    pub terms_max: usize,
    /// Longest run of words that is a term, 1 to 3.
    pub ngram_max: usize,
    /// Whether a term's count is damped to 1 + ln(count).
    pub sublinear_tf: bool,
    /// Least number of products a term must occur in, 1 or more.
    pub min_df: usize,
    /// Weight of the standardised log price beside the unit-length text part, 0 to 1.
    pub price_scale: f32,
}

impl Default for ContentParams {
    fn default() -> Self {
        Self {
            terms_max: 500,
            ngram_max: 1,
            sublinear_tf: false,
            min_df: 1,
            // Unscaled, the price holds a fifth to a third of the norm.
            price_scale: 0.2,
        }
    }
}

/// How answers are scored where a query does not say otherwise; travels in the card.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct ScoringParams {
    /// Weight of the collaborative score in the hybrid, 0 to 1.
    pub alpha: f64,
    /// How many of a person's last products the content score is the sum over, 1 to 100.
    pub recents: usize,
    /// What each side counts for in [`crate::Strategy::Blended`]; `None`: the version cannot blend
    /// and answers by the hybrid instead.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<Weights>,
}

impl Default for ScoringParams {
    fn default() -> Self {
        Self {
            alpha: 0.7,
            recents: 5,
            weights: None,
        }
    }
}

/// Time since some fixed moment; this crate has no clock of its own.
pub type Clock = fn() -> Duration;

/// Which plan an index gets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum IndexChoice {
    /// Whichever measures better when the index is built.
    #[default]
    Auto,
    /// The exact scan.
    Exact,
    /// The graph.
    Hnsw,
}

/// Everything that decides what a fit returns, beside the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FitParams {
    /// ALS.
    pub als: AlsParams,
    /// User segments.
    pub segments: SegmentParams,
    /// How many of a user's last distinct products are kept in order, at most 1,000.
    pub recent_max: usize,
    /// Content embeddings.
    pub content: ContentParams,
    /// The sides beside factors and content.
    #[serde(skip_serializing_if = "SidesParams::is_empty")]
    pub sides: SidesParams,
    /// Scoring.
    pub scoring: ScoringParams,
    /// Plan of every index.
    pub index: IndexChoice,
}

impl Default for FitParams {
    fn default() -> Self {
        Self {
            als: AlsParams::default(),
            segments: SegmentParams::default(),
            recent_max: 20,
            content: ContentParams::default(),
            sides: SidesParams::default(),
            scoring: ScoringParams::default(),
            index: IndexChoice::default(),
        }
    }
}
