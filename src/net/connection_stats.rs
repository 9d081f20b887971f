//! The stats of one connection, filled by the code that sees its frames and bytes, and read by the checks.

use super::end::End;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Shared by everything on one connection; clones are the same.
#[derive(Clone, Debug, Default)]
pub(super) struct ConnectionStats(Arc<Mutex<Counts>>);

/// See [`ConnectionStats`].
#[derive(Debug, Default)]
pub(super) struct Counts {
    /// Why the connection was ended on our side.
    pub(super) end: Option<End>,
    /// A frame or header block has begun and is incomplete.
    pub(super) unfinished_since: Option<Instant>,
    pub(super) requests: u64,
    /// Bytes of answers: given to HTTP/2, and written in DATA frames.
    given: u64,
    pub(super) written: u64,
    largest: u64,
    /// Bytes that wait for the socket, and those that it has taken.
    pub(super) buffered: usize,
    pub(super) sent: u64,
}

impl ConnectionStats {
    pub(super) fn lock(&self) -> MutexGuard<'_, Counts> {
        // Plain numbers: no panic leaves them half changed.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// So many bytes of an answer wait to be sent.
    pub(super) fn answered(&self, bytes: usize) {
        let mut counts = self.lock();
        counts.given += bytes as u64;
        counts.largest = counts.largest.max(bytes as u64);
    }

    /// Why the connection was ended on our side, if it was.
    pub(super) fn end(&self) -> Option<End> {
        self.lock().end
    }
}

impl Counts {
    /// Bytes of answers that HTTP/2 has not written.
    pub(super) fn unread(&self) -> u64 {
        self.given.saturating_sub(self.written)
    }

    /// A stream is reset, and what was still to be sent on it is dropped. How much is not known: no
    /// more than the largest answer.
    pub(super) fn forget_one(&mut self) {
        self.given -= self.unread().min(self.largest);
    }
}
