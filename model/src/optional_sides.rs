//! The sides that a version may lack.

use crate::{frequencies::Frequencies, transitions::Transitions, trend::Trend};

/// Data of `sequence`, `repeat` and `trend`; `None` for a side that the version lacks.
#[derive(Debug, Default)]
pub(crate) struct OptionalSides {
    pub(crate) transitions: Option<Transitions>,
    pub(crate) frequencies: Option<Frequencies>,
    pub(crate) trend: Option<Trend>,
}

impl OptionalSides {
    /// Bytes that live as long as the model does.
    pub(crate) fn bytes(&self) -> usize {
        self.transitions.as_ref().map_or(0, Transitions::bytes)
            + self.frequencies.as_ref().map_or(0, Frequencies::bytes)
            + self.trend.as_ref().map_or(0, Trend::bytes)
    }
}
