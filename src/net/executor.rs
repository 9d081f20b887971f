//! Runs a connection's calls. Each starts where it is read, in the connection's own task, and becomes a separate
//! task only if it has to wait.

use futures::task::AtomicWaker;
use hyper::rt::Executor;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

/// Polls every future once where it is given, and spawns it if it is pending.
#[derive(Clone, Copy, Debug)]
pub(crate) struct InlineExecutor;

impl<F> Executor<F> for InlineExecutor
where
    F: Future<Output = ()> + Send + 'static,
{
    fn execute(&self, call: F) {
        let mut call = Box::pin(call);
        let relay = Arc::new(Relay::default());
        let waker = Waker::from(Arc::clone(&relay));
        if call
            .as_mut()
            .poll(&mut Context::from_waker(&waker))
            .is_pending()
        {
            let relay = Some(relay);
            tokio::spawn(Spawned { call, relay });
        }
    }
}

/// Wakes the task that a future became after its first poll.
#[derive(Default)]
struct Relay {
    task: AtomicWaker,
    is_woken: AtomicBool,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.is_woken.store(true, Ordering::Release);
        self.task.wake();
    }
}

/// A future that was polled before. It is not polled again until it asks for it: a call's poll takes a
/// turn in the fair queue.
struct Spawned<F> {
    call: Pin<Box<F>>,
    /// Until the first wake.
    relay: Option<Arc<Relay>>,
}

impl<F: Future<Output = ()>> Future for Spawned<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(relay) = &self.relay {
            relay.task.register(cx.waker());
            if !relay.is_woken.load(Ordering::Acquire) {
                return Poll::Pending;
            }
            self.relay = None;
        }
        self.call.as_mut().poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicUsize;
    use tokio::sync::oneshot;

    /// Counts the polls of a future.
    async fn counted(polls: Arc<AtomicUsize>, call: impl Future<Output = ()>) {
        let mut call = std::pin::pin!(call);
        std::future::poll_fn(|cx| {
            polls.fetch_add(1, Ordering::Relaxed);
            call.as_mut().poll(cx)
        })
        .await;
    }

    #[tokio::test]
    async fn call_is_polled_where_it_is_read_and_again_only_when_woken() {
        let polls = Arc::new(AtomicUsize::new(0));
        let count = || polls.load(Ordering::Relaxed);
        InlineExecutor.execute(counted(Arc::clone(&polls), async {}));
        assert_eq!(count(), 1);
        let (open, opened) = oneshot::channel::<()>();
        let (done, is_done) = oneshot::channel();
        InlineExecutor.execute(counted(Arc::clone(&polls), async {
            opened.await.unwrap();
            done.send(()).unwrap();
        }));
        (0..10).for_each(|_| drop(tokio::spawn(async {})));
        tokio::task::yield_now().await;
        assert_eq!(count(), 2, "nothing woke it");
        open.send(()).unwrap();
        is_done.await.unwrap();
        assert_eq!(count(), 3);
    }

    #[tokio::test]
    async fn wake_between_the_first_poll_and_the_task_is_not_lost() {
        let (done, is_done) = oneshot::channel();
        InlineExecutor.execute(async {
            tokio::task::yield_now().await;
            let mut is_again = false;
            std::future::poll_fn(|cx| {
                cx.waker().wake_by_ref();
                if std::mem::replace(&mut is_again, true) {
                    return Poll::Ready(());
                }
                Poll::Pending
            })
            .await;
            done.send(()).unwrap();
        });
        is_done.await.unwrap();
    }
}
