//! The mathematics of Hotshelf: fit a model to shop events, answer queries with it, encode it to
//! named parts and decode them with every byte distrusted.
//!
//! No network, no files, no clock, no async, no registry: data comes in as values, threads and
//! seeds are parameters, progress and pacing are callbacks. Same data, parameters and seed give
//! the same bytes in every part, whatever the threads or the CPU.
//!
//! # A tour
//!
//! ```text
//!  batch                                            server
//!  InteractionsBuilder ─▶ fit ─▶ Model ─▶ pack      unpack ─▶ Model ─▶ recommend
//!                                           │        ▲  │
//!                                  parts + ModelCard ┘  └─▶ ModelCard::check_golden_queries
//! ```
//!
//! 1. **Data.** [`InteractionsBuilder`] takes events in any order and sorts ids into rows; a row is
//!    what everything else speaks of ([`UserRow`], [`ProductRow`]). [`Interactions::before`] cuts
//!    by time for evaluation.
//! 2. **Fitting.** [`fit()`] runs ALS for implicit feedback and puts product table, segments,
//!    history and popularity beside the factors. It refuses bad values by name.
//! 3. **Answering.** [`Model::recommend`] takes a [`Query`] and a caller-owned [`Scratch`]. Known
//!    users are answered by inner products through an [`index::ItemIndex`], everyone else by
//!    popularity; an [`Answer`] says what it really did, and every fallback has a name.
//! 4. **Parts.** [`Model::pack`] and [`Model::unpack`] translate to safetensors and Arrow IPC.
//!    Decoding reads in place, and an [`UnpackError`] names part, row and value.
//! 5. **Golden queries.** The [`ModelCard`] carries whole queries with their answers;
//!    [`ModelCard::check_golden_queries`] repeats them and catches what no checksum sees.
//! 6. **Measuring.** [`metrics`] has precision, recall, nDCG, MAP, MRR and hit rate at k.
//!
//! Underneath, [`mod@dot`] is the one dot product: sixteen lanes, fused multiply-adds, one fixed
//! tree of additions, compiled for three instruction sets that agree to the bit.
//!
//! ```
//! use std::num::NonZeroUsize;
//!
//! use hotshelf_model::{AlsParams, FitParams, InteractionsBuilder, Query, Scratch, fit};
//!
//! let mut events = InteractionsBuilder::new();
//! for (user, product) in [("ann", "tea"), ("ann", "pot"), ("ben", "tea"), ("cem", "ink")] {
//!     events.add(user, product, 10.0, 1_700_000_000);
//! }
//! let als = AlsParams { factors: 2, ..AlsParams::default() };
//! let params = FitParams { als, ..FitParams::default() };
//! let model = fit(&events.build(), &[], &params, NonZeroUsize::MIN, &mut |_| {})?;
//!
//! let query = Query { user_id: "ben", n: 1, ..Query::default() };
//! let answer = model.recommend(&query, &mut Scratch::default())?;
//! assert_eq!(model.products().id(answer.items[0].product), "pot");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod als;
mod card;
mod codec;
mod column;
mod content;
mod content_rows;
mod decay;
pub mod dot;
mod facets;
mod factor_cosines;
mod fit;
mod fold_in;
mod frequencies;
mod golden_queries;
mod grouped;
mod history;
mod ids;
pub mod index;
mod interactions;
mod lanes;
mod matrix;
pub mod metrics;
mod need;
mod normal;
mod optional_sides;
mod pace;
mod params;
mod popularity;
mod products;
mod query;
mod recommender;
mod row_map;
mod row_set;
#[cfg(test)]
mod sample;
mod side;
mod topk;
mod transitions;
mod trend;
mod users;
mod verdict;

pub use als::{Als, FACTOR_NORM_MAX, FACTORS_MAX};
pub use card::{
    CardExtra, ContentCard, Dimensions, Evaluation, GoldenItem, GoldenQuery, GoldenQueryReport,
    GraphCard, IndexCard, ModelCard, PlanCard, RankerScores, Sizes,
};
pub use codec::{PackError, Packed, Part, UnpackError};
pub use content::Content;
pub use fit::{FitError, FitStep, Workers, fit};
pub use frequencies::Frequencies;
pub use history::History;
pub use ids::{ID_BYTES_MAX, IdError, IdTable, ProductRow, UserRow};
pub use interactions::{
    EMBEDDING_DIMENSIONS_MAX, Event, Interactions, InteractionsBuilder, ProductInfo,
};
pub use lanes::{ChoosePathError, CpuPath};
pub use matrix::Matrix;
pub use params::{
    AlsParams, Clock, ContentParams, FitParams, IndexChoice, RepeatParams, ScoringParams,
    SegmentParams, SequenceParams, SidesParams, TrendParams,
};
pub use products::{FIELD_BYTES_MAX, Products};
pub use query::{
    Answer, Basis, Defaults, Fallback, Fallbacks, Filter, Item, Query, QueryError, Reason,
    Retrieval, RetrievalPlan, SimilarAnswer, SimilarItem, SimilarQuery, Strategy, Trace,
};
pub use recommender::{Candidate, Candidates, Model, Scratch};
pub use side::{PerSide, Side, Weights, WeightsError};
pub use transitions::Transitions;
pub use trend::Trend;
pub use users::{SEGMENTS_MAX, UNKNOWN_SEGMENT, Users};
pub use verdict::{Comparison, LiveComparison, Outcome, Trial, Verdict, interval_text};

/// How answers are computed. It changes where the same parts and query would give other scores than
/// before, and travels in every card so that golden queries can tell a new formula from a fault.
pub const SCORING_REVISION: u32 = 1;

/// Called about every 64 KiB of work with the bytes just processed; a loader that runs beside
/// live traffic sleeps in it. Arrow's own check of a text column is the one longer step: it is a
/// single pass at memory speed.
pub type Breathe<'a> = &'a mut dyn FnMut(usize);
