//! Which requests of a connection wait for their answer, by the frames that pass. It only decides when to send:
//! a request that both sides end hides another one until none is open.

use super::super::frames::{Head, kind};

/// See the module. A request counts as answered once its answer has begun: that of a watch never ends.
#[derive(Debug, Default)]
pub(super) struct Unanswered {
    open: u64,
    /// Streams whose answer has begun and not ended: more than a few only where answers wait for window or
    /// stream.
    begun: Vec<u32>,
}

impl Unanswered {
    pub(super) fn is_none(&self) -> bool {
        self.open == 0
    }

    pub(super) fn asked(&mut self) {
        self.open += 1;
    }

    /// One request has its answer, or will have none.
    fn answered(&mut self) {
        self.open = self.open.saturating_sub(1);
    }

    /// A frame is written.
    pub(super) fn wrote(&mut self, head: Head) {
        if head.ends_answer() {
            self.end(head.stream);
        } else if head.kind == kind::HEADERS {
            self.answered();
            self.begun.push(head.stream);
        }
    }

    /// No more is sent on this stream.
    pub(super) fn end(&mut self, stream: u32) {
        match self.begun.iter().position(|begun| *begun == stream) {
            Some(at) => drop(self.begun.swap_remove(at)),
            None => self.answered(),
        }
    }
}
