//! Hotshelf's batch side: trains, evaluates and publishes models from a shop's files.
//!
//! ```text
//! shop.toml ─▶ mapping ─▶ ingest ─▶ Shop ─▶ split ─▶ tune ─▶ fit the past ─▶ evaluate the test
//!                                     └─────────────────────▶ fit on all events ─▶ pack ─▶ folder, registry
//! ```
//!
//! - [`Mapping`] is one shop's checked TOML file: which file and column holds what. It opens no
//!   data.
//! - [`read_shop`] streams those files into a [`Shop`]; an [`IngestReport`] accounts for every row.
//! - [`train()`] tunes, fits, evaluates and packs. [`EvaluationReport`] defines the numbers.
//! - [`PackedModel`] is what is published, in memory or in a folder.
//! - [`cli`] is the command line over all of it.
//!
//! The mathematics is `hotshelf-model`'s and the registry's format `hotshelf-registry`'s; this
//! crate knows nothing of serving.

mod attributes;
pub mod cli;
mod clock;
mod draw;
mod error;
mod evaluate;
mod gate;
mod ingest;
mod interner;
mod live;
mod mapping;
mod outputs;
mod packed;
mod progress;
mod publish;
mod sample;
mod shop;
mod split;
mod time_format;
mod train;
mod tune;

pub use error::{BadRow, Error, Problem};
pub use evaluate::{
    Difference, Differences, EvaluationReport, LongTail, Means, MeansAt, Scores, SegmentScores,
    Unavailable,
};
pub use gate::Passed;
pub use ingest::{
    Dropped, EmbeddingsReport, FileReport, IngestOptions, IngestReport, JoinReport, SourceReport,
    read_shop,
};
pub use live::LiveVersion;
pub use mapping::{
    ContentSettings, Cut, EvaluationPlan, Mapping, ModelSettings, SeenPolicy, SplitRule,
};
pub use packed::PackedModel;
pub use progress::Progress;
pub use publish::{Target, publish};
pub use shop::Shop;
pub use time_format::{parse_instant, rfc3339};
pub use train::{TrainOptions, Trained, train};
pub use tune::{TRIALS, TRIALS_MAX, TuneOptions};
