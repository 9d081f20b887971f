//! The parts `content.safetensors`, `content_index.safetensors` and
//! `content_neighbours.safetensors`.

use bytes::Bytes;

use super::{CONTENT_INDEX, PackError, Part, UnpackError, index};
use crate::{Breathe, Content, ModelCard};

/// All three parts.
pub(super) fn pack(content: &Content) -> Result<Vec<Part>, PackError> {
    Ok(vec![Part {
        name: CONTENT_INDEX,
        bytes: index::pack(CONTENT_INDEX, content.index())?,
    }])
}

/// Decodes the parts in the order of `CONTENT_PARTS` against the card.
pub(super) fn unpack(
    card: &ModelCard,
    parts: [&Bytes; 3],
    breathe: Breathe<'_>,
) -> Result<Content, UnpackError> {
    let _ = (card, parts, breathe);
    Err(UnpackError::MissingPart {
        part: super::CONTENT,
    })
}
