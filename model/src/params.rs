//! The parameters of a fit, as they are chosen, stored in the model card and read back.

use serde::{Deserialize, Serialize};

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

/// Everything that decides what a fit returns, beside the data.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct FitParams {
    /// ALS.
    pub als: AlsParams,
    /// User segments.
    pub segments: SegmentParams,
    /// How many of a user's last distinct products are kept in order.
    pub recent_max: usize,
}

impl Default for FitParams {
    fn default() -> Self {
        Self {
            als: AlsParams::default(),
            segments: SegmentParams::default(),
            recent_max: 20,
        }
    }
}
