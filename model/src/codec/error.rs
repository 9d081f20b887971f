//! Why parts are not a model, in words for the operator who reads the log.

/// Why [`crate::Model::unpack`] refused. Rows count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnpackError {
    /// The card itself cannot be honoured.
    #[error("model card: {what} is {value}, expected {expected}")]
    Card {
        /// Field of the card.
        what: &'static str,
        /// What it says.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// A part that the format demands is not there.
    #[error("part {part} is missing")]
    MissingPart {
        /// Name of the part.
        part: &'static str,
    },
    /// A part that this build does not know.
    #[error("part {part} is unknown to this build")]
    UnknownPart {
        /// Name of the part.
        part: String,
    },
    /// A part of a side that the card does not name.
    #[error("part {part} is there, and the card has no {needs}")]
    PartWithoutSide {
        /// Name of the part.
        part: &'static str,
        /// What the card would have to say.
        needs: &'static str,
    },
    /// The container is truncated or broken.
    #[error("part {part} is not a readable {container}: {why}")]
    Container {
        /// Name of the part.
        part: &'static str,
        /// `safetensors` or `Arrow IPC file`.
        container: &'static str,
        /// What is wrong with it.
        why: String,
    },
    /// A column or tensor is missing, superfluous, or of another type.
    #[error("part {part}: {what} is {found}, expected {expected}")]
    Schema {
        /// Name of the part.
        part: &'static str,
        /// Column, tensor or metadata key.
        what: String,
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// A column or tensor has another size than the card or another part says.
    #[error("part {part}: {what} has shape {found:?}, expected {expected:?}")]
    Shape {
        /// Name of the part.
        part: &'static str,
        /// Column or tensor.
        what: &'static str,
        /// Its shape.
        found: Vec<usize>,
        /// The shape that card and other parts demand.
        expected: Vec<usize>,
    },
    /// A number is NaN or infinite.
    #[error("part {part}: {what} row {row} holds {value}, which is not a finite number")]
    NotFinite {
        /// Name of the part.
        part: &'static str,
        /// Column or tensor.
        what: &'static str,
        /// Row of the number.
        row: usize,
        /// The number.
        value: String,
    },
    /// A number is finite and still impossible: a dangling row, a segment without a name, a
    /// negative price.
    #[error("part {part}: {what} row {row} holds {value}, expected {expected}")]
    OutOfRange {
        /// Name of the part.
        part: &'static str,
        /// Column or tensor.
        what: &'static str,
        /// Row of the number.
        row: usize,
        /// The number.
        value: String,
        /// What would be accepted.
        expected: String,
    },
    /// Ids are empty, over-long, unsorted or not unique.
    #[error("part {part}: id row {row}: {source}")]
    Ids {
        /// Name of the part.
        part: &'static str,
        /// Row of the id.
        row: usize,
        /// What is wrong with it.
        source: crate::IdError,
    },
    /// Numbers that must ascend, descend or be a permutation do not.
    #[error("part {part}: {what} row {row} holds {value}, expected {expected}")]
    Order {
        /// Name of the part.
        part: &'static str,
        /// Column or tensor.
        what: &'static str,
        /// Row of the number.
        row: usize,
        /// The number.
        value: String,
        /// What would be accepted.
        expected: String,
    },
}

/// Longest text of an artifact that a message repeats, in characters. Chosen: an id, and a log
/// line.
const EXCERPT_CHARS: usize = 256;

/// The beginning of a text from an artifact: messages go into logs and answers, where a name of a
/// megabyte has no place.
pub(super) fn excerpt(text: impl Into<String>) -> String {
    let mut text = text.into();
    if let Some((end, _)) = text.char_indices().nth(EXCERPT_CHARS) {
        text.truncate(end);
        text.push('…');
    }
    text
}

/// A number of the card that is out of bounds.
pub(super) fn refused(
    what: &'static str,
    value: &dyn std::fmt::Display,
    expected: String,
) -> UnpackError {
    UnpackError::Card {
        what,
        value: excerpt(value.to_string()),
        expected,
    }
}

impl UnpackError {
    /// A stable, bounded label for metrics: one word per variant.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Card { .. } => "card",
            Self::MissingPart { .. } => "missing_part",
            Self::UnknownPart { .. } => "unknown_part",
            Self::PartWithoutSide { .. } => "part_without_side",
            Self::Container { .. } => "container",
            Self::Schema { .. } => "schema",
            Self::Shape { .. } => "shape",
            Self::NotFinite { .. } => "not_finite",
            Self::OutOfRange { .. } => "out_of_range",
            Self::Ids { .. } => "ids",
            Self::Order { .. } => "order",
        }
    }
}
