//! Turns calls away before anything of them is decoded.
//!
//! A call that is read by HTTP/2, given to the services and refused by them costs a good part of an
//! answer. What is refused here costs a look at its frames: a header block that does not change the
//! table of headers (RFC 7541) and names a known path can be left out of what HTTP/2 reads, with the
//! frames of its body, and is answered with bytes that were made once. A peer whose blocks do change it
//! is asked to keep no table.
//!
//! ```text
//! socket ─▶ guard ─▶ sieve ─────────────▶ HTTP/2 ─▶ services
//!                      └▶ refusal ─▶ socket
//! ```

mod headers;
mod sieve;

use bytes::{BufMut, Bytes, BytesMut};
use http::HeaderMap;
pub(super) use sieve::Sieve;
use std::sync::Arc;

/// A path as callers write it.
#[derive(Clone, Copy, Debug)]
pub struct KnownPath {
    /// In plain.
    pub plain: &'static str,
    /// In Huffman's code (RFC 7541, appendix B).
    pub coded: &'static [u8],
}

/// Decides on calls of one connection whose headers are all that is known of them.
pub trait Door: Send + Sync + 'static {
    /// Whether one more call may come in, where `ahead` others of the connection are about to.
    fn has_room(&self, ahead: usize) -> bool;

    /// So many calls to the path at this place in [`Refusals::paths`] were turned away.
    fn turned_away(&self, path: usize, count: u64);
}

/// Which calls may be turned away unread, and what they are answered.
#[derive(Clone, Debug)]
pub struct Refusals {
    /// The paths of these calls.
    pub paths: &'static [KnownPath],
    /// The header block of the answer.
    block: Bytes,
}

/// A connection's door and what it says to those who have to stay outside.
pub type Guarded = (Arc<dyn Door>, Refusals);

impl Refusals {
    /// Answers calls to `paths` with status 200 and these headers, and nothing else. Headers are
    /// written so that no table remembers them: the one that HTTP/2 keeps stays as it is.
    pub fn new(paths: &'static [KnownPath], headers: &HeaderMap) -> Self {
        let mut block = BytesMut::new();
        // `:status 200` of the static table.
        block.put_u8(0x88);
        for (name, value) in headers {
            // A literal without indexing, with a new name.
            block.put_u8(0);
            for text in [name.as_str().as_bytes(), value.as_bytes()] {
                put_len(&mut block, text.len());
                block.put_slice(text);
            }
        }
        Self {
            paths,
            block: block.freeze(),
        }
    }
}

/// A length in seven bits and, where they do not suffice, more bytes (RFC 7541, section 5.1).
fn put_len(to: &mut BytesMut, len: usize) {
    if len < 127 {
        to.put_u8(len as u8);
        return;
    }
    to.put_u8(127);
    let mut rest = len - 127;
    while rest >= 128 {
        to.put_u8((rest % 128) as u8 | 0x80);
        rest /= 128;
    }
    to.put_u8(rest as u8);
}

#[cfg(test)]
mod tests;
