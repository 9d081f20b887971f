//! A model as named parts, and back.

mod error;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use self::error::UnpackError;
use crate::{
    Breathe, Model,
    card::{CardExtra, ModelCard},
};

/// One named part, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name as in the format, `users.arrow` for instance.
    pub name: &'static str,
    /// The container's bytes.
    pub bytes: Vec<u8>,
}

/// A model as it is published.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// All parts, sorted by name.
    pub parts: Vec<Part>,
    /// The model's section of the manifest.
    pub card: ModelCard,
}

/// Why a model cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A container refused what it was given: a table of over 2 GiB of text, for instance.
    #[error("part {part} cannot be written: {source}")]
    Container {
        /// Name of the part.
        part: &'static str,
        /// What the container library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl Model {
    /// Encodes the model; same model, same bytes.
    ///
    /// # Errors
    /// Where a container refuses its content.
    pub fn pack(&self, extra: CardExtra) -> Result<Packed, PackError> {
        let _ = extra;
        todo!()
    }

    /// Decodes and checks parts.
    ///
    /// # Errors
    /// The first fault found, by part, row and value.
    pub fn unpack(
        card: &ModelCard,
        parts: &BTreeMap<String, Bytes>,
        breathe: Breathe<'_>,
    ) -> Result<Self, UnpackError> {
        let _ = (card, parts, breathe);
        todo!()
    }
}
