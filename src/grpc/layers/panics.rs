//! Turns a handler's panic into INTERNAL and counts it, so that one bad request costs one request.

use crate::error::CallError;
use crate::metrics::Metrics;
use futures::future::{CatchUnwind, FutureExt};
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::future::Future;
use std::panic::AssertUnwindSafe;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// Wraps services in [`PanicService`].
#[derive(Clone)]
pub(crate) struct PanicLayer {
    metrics: Arc<Metrics>,
}

impl PanicLayer {
    /// Counts panics there.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for PanicLayer {
    type Service = PanicService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        PanicService {
            inner,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct PanicService<S> {
    inner: S,
    metrics: Arc<Metrics>,
}

impl<S, B> Service<Request<B>> for PanicService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = PanicFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Handlers run inside the future; making it runs no code of theirs.
        let call = AssertUnwindSafe(self.inner.call(request)).catch_unwind();
        PanicFuture {
            call,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

pin_project! {
    /// A call whose panics are caught.
    pub(crate) struct PanicFuture<F> {
        #[pin]
        call: CatchUnwind<AssertUnwindSafe<F>>,
        metrics: Arc<Metrics>,
    }
}

impl<F, E> Future for PanicFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        Poll::Ready(ready!(this.call.poll(cx)).unwrap_or_else(|_panic| {
            // The panic hook has logged what and where.
            this.metrics.traffic.panics.inc();
            Ok(Status::from(CallError::Internal("the handler panicked")).into_http())
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[tokio::test]
    async fn panic_is_internal_and_counted() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let inner = tower::service_fn(|request: Request<bool>| async move {
            assert!(*request.body(), "the handler's mistake");
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let mut service = PanicLayer::new(Arc::clone(&metrics)).layer(inner);
        let bad = service.call(Request::new(false)).await.unwrap();
        assert_eq!(bad.headers()["grpc-status"], "13");
        assert_eq!(metrics.traffic.panics.get(), 1);
        let good = service.call(Request::new(true)).await.unwrap();
        assert!(
            !good.headers().contains_key("grpc-status"),
            "the service lives on"
        );
    }
}
