//! Keys of the response cache: everything that decides an answer, written unambiguously.
//!
//! Two requests share a key only if the same bytes answer both. Texts are prefixed with their length, lists
//! with their count, options with a flag, so keys are unambiguous. Calls are destructured field by field,
//! without `..`: a field added later does not compile until its author decides whether it belongs to the key.

use crate::metrics::CallKind;

/// A key; compared byte by byte.
pub(super) type Key = Vec<u8>;

/// Bytes of most keys, so that writing one allocates once.
const USUAL_BYTES: usize = 192;

/// What of a key is the same for every kind of call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Answering<'a> {
    /// [`super::Encoding::ID`].
    pub(super) encoding: u8,
    /// Name of the model.
    pub(super) model: &'a str,
    /// Number of the live rollout.
    pub(super) rollout: u64,
    /// The arm of that rollout.
    pub(super) arm: &'a str,
    /// The version that answers.
    pub(super) version: u64,
    /// And which one of that number.
    pub(super) manifest_sha256: &'a [u8; 32],
}

/// A request that can be the rest of a key.
pub(super) trait CanonicalCall {
    /// Tells kinds of calls apart.
    const KIND: CallKind;

    /// Writes every field that changes the answer. Requests that mean the same write the same.
    fn write_key(&self, key: &mut KeyWriter);
}

/// Writes the key of `call`, as answered by `answering`.
pub(super) fn key_of<C: CanonicalCall>(answering: Answering<'_>, call: &C) -> Key {
    let Answering {
        encoding,
        model,
        rollout,
        arm,
        version,
        manifest_sha256,
    } = answering;
    let mut key = KeyWriter(Vec::with_capacity(USUAL_BYTES));
    key.byte(C::KIND as u8);
    key.byte(encoding);
    key.number(rollout);
    key.number(version);
    key.text(model);
    key.text(arm);
    key.0.extend(manifest_sha256);
    call.write_key(&mut key);
    key.0
}

/// Appends values so that each can be read back without knowing the others.
#[derive(Debug)]
pub(super) struct KeyWriter(Vec<u8>);

impl KeyWriter {
    pub(super) fn byte(&mut self, byte: u8) {
        self.0.push(byte);
    }

    pub(super) fn flag(&mut self, flag: bool) {
        self.byte(flag.into());
    }

    pub(super) fn number(&mut self, number: u64) {
        self.0.extend(number.to_le_bytes());
    }

    pub(super) fn text(&mut self, text: &str) {
        self.len(text.len());
        self.0.extend(text.as_bytes());
    }

    pub(super) fn texts(&mut self, texts: &[String]) {
        self.len(texts.len());
        for text in texts {
            self.text(text);
        }
    }

    pub(super) fn optional_f64(&mut self, number: Option<f64>) {
        self.flag(number.is_some());
        self.number(number.unwrap_or_default().to_bits());
    }

    fn len(&mut self, len: usize) {
        let len = u32::try_from(len).expect("messages are shorter than 4 GiB");
        self.0.extend(len.to_le_bytes());
    }
}

#[cfg(test)]
mod tests;
