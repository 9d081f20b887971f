//! Progress and errors of a fit.

use crate::{
    products::FIELD_BYTES_MAX,
    side::{Side, WeightsError},
};
use std::fmt::Display;

/// Progress of a fit.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum FitStep {
    /// Data and parameters were accepted.
    Started {
        /// Users with interactions.
        users: usize,
        /// Products of events and catalogue.
        products: usize,
        /// Distinct user-product pairs.
        interactions: usize,
    },
    /// An alternation is done.
    Iteration {
        /// Alternations done.
        done: usize,
        /// Alternations in all.
        of: usize,
        /// The implicit objective after it; never rises.
        loss: f64,
        /// Rows that f32 could not solve and f64 did.
        double_precision: usize,
    },
    /// Factors are fitted; index, history and popularity are being assembled.
    Assembling,
    /// Products are being embedded and their neighbours searched.
    Embedding,
}

/// Why a fit failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FitError {
    /// There are no events.
    #[error("there are no interactions to fit")]
    NoInteractions,
    /// A parameter is outside its range.
    #[error("parameter {name} is {value}, expected {expected}")]
    Parameter {
        /// Name as in [`crate::FitParams`].
        name: &'static str,
        /// What it is.
        value: String,
        /// What would be accepted.
        expected: &'static str,
    },
    /// The weights of the sides cannot blend anything.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// A side has weight and is not fitted.
    #[error(
        "the weight of side {} is {weight}, expected 0 as the side is not fitted",
        side.as_str()
    )]
    SideAbsent {
        /// Whose weight it is.
        side: Side,
        /// The weight.
        weight: f64,
    },
    /// A side needs times, and the events have none.
    #[error(
        "side {} decays by time, and the events have no times: leave the side out or, for repeat, \
         its half-life",
        side.as_str()
    )]
    NeedsTimes {
        /// The side.
        side: Side,
    },
    /// Sides are fitted for a model on events that it was not fitted on.
    #[error("the events are not those that the model was fitted on")]
    OtherEvents,
    /// An event's value is not a finite number above zero.
    #[error("user {user:?}, product {product:?}: value {value} is not a finite number above 0")]
    Value {
        /// User id.
        user: String,
        /// Product id.
        product: String,
        /// The value.
        value: f32,
    },
    /// A catalogue row cannot be used.
    #[error("catalogue product {id:?}: {why}")]
    Catalogue {
        /// Product id.
        id: String,
        /// What is wrong with it.
        why: &'static str,
    },
    /// A text of a catalogue row is longer than a server accepts.
    #[error(
        "catalogue product {id:?}: its {field} has {bytes} bytes, at most {FIELD_BYTES_MAX} are allowed"
    )]
    Text {
        /// Product id.
        id: String,
        /// `name`, `category` or `brand`.
        field: &'static str,
        /// Length of the text.
        bytes: usize,
    },
    /// A product's own embedding has a length that cannot be used.
    #[error("embedding of product {id:?} has {found} numbers, expected {expected}")]
    EmbeddingLength {
        /// Product id.
        id: String,
        /// Its length.
        found: usize,
        /// What would be accepted.
        expected: String,
    },
    /// A product's own embedding holds NaN or an infinity.
    #[error("embedding of product {id:?} holds {value} at {at}, which is not a finite number")]
    EmbeddingNumber {
        /// Product id.
        id: String,
        /// Place in the embedding, from 0.
        at: usize,
        /// The number.
        value: f32,
    },
    /// A user or product id is empty or too long.
    #[error("{kind} id row {row}: {source}", row = source.row())]
    Id {
        /// `user` or `product`.
        kind: &'static str,
        /// What is wrong with it.
        source: crate::IdError,
    },
    /// More rows or text than the format's 32-bit offsets can number.
    #[error("{what} exceed the format's limit of {limit}")]
    TooLarge {
        /// What is counted.
        what: &'static str,
        /// How many are allowed.
        limit: u64,
    },
    /// The numbers left the range of f32; smaller values or more regularization help.
    #[error(
        "factors of {kind} row {row} are not usable numbers; values or confidence are too large"
    )]
    Diverged {
        /// `user` or `product`.
        kind: &'static str,
        /// Row in the sorted ids.
        row: usize,
    },
    /// The private thread pool could not be started.
    #[error("no threads for fitting: {0}")]
    Threads(#[from] rayon::ThreadPoolBuildError),
}

/// A parameter's name and value, whether it is within its range, and the range.
pub(super) type RangeCheck<'a> = (&'static str, &'a dyn Display, bool, &'static str);

/// Refuses the first parameter that is outside its range.
pub(super) fn check_ranges(checks: &[RangeCheck<'_>]) -> Result<(), FitError> {
    match checks.iter().find(|(_, _, holds, _)| !holds) {
        None => Ok(()),
        Some((name, value, _, expected)) => refuse(name, value, expected),
    }
}

/// Refuses a parameter by name.
pub(super) fn refuse(
    name: &'static str,
    value: &dyn Display,
    expected: &'static str,
) -> Result<(), FitError> {
    Err(FitError::Parameter {
        name,
        value: value.to_string(),
        expected,
    })
}
