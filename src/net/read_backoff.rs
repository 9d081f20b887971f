//! Holds a connection's reads back for a while after its calls were turned away.

use crate::admission::Line;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep, sleep};

pub(super) struct Hold {
    line: Line,
    is_held: bool,
    // Made once it is needed, and kept.
    until: Option<Pin<Box<Sleep>>>,
}

impl Hold {
    pub(super) fn new(line: Line) -> Self {
        Self {
            line,
            is_held: false,
            until: None,
        }
    }

    /// Ready where more may be read.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(hold) = self.line.hold() {
            let until = self.until.get_or_insert_with(|| Box::pin(sleep(hold)));
            until.as_mut().reset(Instant::now() + hold);
            self.is_held = true;
        }
        if self.is_held
            && let Some(until) = &mut self.until
        {
            ready!(until.as_mut().poll(cx));
            self.is_held = false;
        }
        Poll::Ready(())
    }
}
