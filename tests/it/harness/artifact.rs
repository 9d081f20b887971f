//! A version's parts as bytes that a test may damage.

use std::collections::BTreeMap;
use std::ops::Range;

use hotshelf_model::Part;
use serde_json::Value;

/// Bytes by part.
#[derive(Clone)]
pub(crate) struct Parts(pub(crate) BTreeMap<String, Vec<u8>>);

impl Parts {
    pub(crate) fn of(packed: Vec<Part>) -> Self {
        Self(
            packed
                .into_iter()
                .map(|part| (part.name.to_owned(), part.bytes))
                .collect(),
        )
    }

    pub(crate) fn part(&mut self, name: &str) -> &mut Vec<u8> {
        self.0.get_mut(name).unwrap()
    }

    /// The bytes of one tensor of a safetensors part.
    pub(crate) fn tensor(&mut self, part: &str, tensor: &str) -> &mut [u8] {
        let bytes = self.part(part);
        let range = tensor_range(bytes, tensor);
        &mut bytes[range]
    }

    /// One tensor of 4-byte numbers, altered as a whole: rows of `cols` numbers each.
    pub(crate) fn permute_rows(&mut self, part: &str, tensor: &str, cols: usize) {
        // By one: every row ends up where another one was.
        self.tensor(part, tensor)
            .rotate_right(cols * size_of::<f32>());
    }
}

/// Eight bytes of length, that much JSON, then the data (safetensors' own documentation).
fn tensor_range(bytes: &[u8], tensor: &str) -> Range<usize> {
    let head_len = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let head: Value = serde_json::from_slice(&bytes[8..8 + head_len]).unwrap();
    let offset = |at: usize| head[tensor]["data_offsets"][at].as_u64().unwrap() as usize;
    8 + head_len + offset(0)..8 + head_len + offset(1)
}
