//! The mathematics of Hotshelf: fit a model, answer queries, encode to parts and back.

mod als;
mod card;
mod codec;
mod column;
pub mod dot;
mod fit;
mod history;
mod ids;
pub mod index;
mod interactions;
mod lanes;
mod matrix;
pub mod metrics;
mod params;
mod popularity;
mod probes;
mod products;
mod query;
mod recommender;
#[cfg(test)]
mod sample;
mod topk;
mod users;

pub use als::{Als, FACTOR_NORM_MAX, FACTORS_MAX};
pub use card::{
    CardExtra, Dimensions, Evaluation, IndexCard, ModelCard, Probe, ProbeItem, ProbeReport,
    RankerScores, Sizes,
};
pub use codec::{PackError, Packed, Part, UnpackError};
pub use fit::{FitError, FitStep, fit};
pub use history::History;
pub use ids::{ID_BYTES_MAX, IdError, IdTable, ProductRow, UserRow};
pub use interactions::{Event, Interactions, InteractionsBuilder, ProductInfo};
pub use lanes::CpuPath;
pub use matrix::Matrix;
pub use params::{AlsParams, FitParams, SegmentParams};
pub use products::Products;
pub use query::{Answer, Fallback, Fallbacks, Item, Query, QueryError, Reason, Strategy};
pub use recommender::{Model, Scratch};
pub use users::{SEGMENTS_MAX, UNKNOWN_SEGMENT, Users};

/// How answers are computed. It changes where the same parts and query would give other scores
/// than before, and travels in every card so that probes can tell a new formula from a fault.
pub const SCORING_REVISION: u32 = 1;

/// Called at least once per MiB of work with the bytes just processed; a loader that runs beside
/// live traffic sleeps in it. Arrow's own check of a text column is the one longer step: it is a
/// single pass at memory speed.
pub type Breathe<'a> = &'a mut dyn FnMut(usize);
