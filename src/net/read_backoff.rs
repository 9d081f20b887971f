//! Delays the next read of a connection after its calls were rejected.

use crate::admission::Flow;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use tokio::time::{Instant, Sleep, sleep};

pub(super) struct ReadBackoff {
    flow: Flow,
    is_waiting: bool,
    // Made with the first rejection.
    until: Option<Pin<Box<Sleep>>>,
}

impl ReadBackoff {
    pub(super) fn new(flow: Flow) -> Self {
        Self {
            flow,
            is_waiting: false,
            until: None,
        }
    }

    /// Ready where more may be read.
    pub(super) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(backoff) = self.flow.read_backoff() {
            let until = self.until.get_or_insert_with(|| Box::pin(sleep(backoff)));
            until.as_mut().reset(Instant::now() + backoff);
            self.is_waiting = true;
        }
        if self.is_waiting
            && let Some(until) = &mut self.until
        {
            ready!(until.as_mut().poll(cx));
            self.is_waiting = false;
        }
        Poll::Ready(())
    }
}
