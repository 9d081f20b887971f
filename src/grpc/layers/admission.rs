//! Turns calls away at once when too many are under way: a caller that is told so within
//! microseconds can go elsewhere, one that queues cannot.
//!
//! One counter per listener, shared by its cores. tower's own limit waits for a place and its
//! load shedding reports an error that no service here may have, so a place is taken or refused in
//! one step instead.

use crate::error::CallError;
use crate::metrics::Metrics;
use http::{Request, Response};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// When a caller that was turned away should come back (chosen: some hundred answers later).
const PUSHBACK_MS: u32 = 50;

/// Wraps services in [`AdmissionService`].
#[derive(Clone)]
pub(crate) struct AdmissionLayer {
    places: Arc<Semaphore>,
    metrics: Arc<Metrics>,
}

impl AdmissionLayer {
    /// Every service wrapped by one layer or its clones takes from the same places.
    pub(crate) fn new(places: usize, metrics: Arc<Metrics>) -> Self {
        Self {
            places: Arc::new(Semaphore::new(places)),
            metrics,
        }
    }
}

impl<S> Layer<S> for AdmissionLayer {
    type Service = AdmissionService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        AdmissionService {
            inner,
            layer: self.clone(),
        }
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct AdmissionService<S> {
    inner: S,
    layer: AdmissionLayer,
}

impl<S, B> Service<Request<B>> for AdmissionService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = AdmissionFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        match Arc::clone(&self.layer.places).try_acquire_owned() {
            Ok(place) => AdmissionFuture::Admitted {
                call: self.inner.call(request),
                place,
            },
            Err(_) => {
                self.layer.metrics.traffic.shed.inc();
                AdmissionFuture::TurnedAway
            }
        }
    }
}

pin_project! {
    /// A call that has a place, or the refusal.
    #[project = Projected]
    pub(crate) enum AdmissionFuture<F> {
        /// The place is given back with the future.
        Admitted { #[pin] call: F, place: OwnedSemaphorePermit },
        /// No place.
        TurnedAway,
    }
}

impl<F, E> Future for AdmissionFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Admitted { call, .. } => call.poll(cx),
            Projected::TurnedAway => {
                let refused = CallError::Overloaded {
                    pushback_ms: PUSHBACK_MS,
                };
                Poll::Ready(Ok(Status::from(refused).into_http()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    #[tokio::test]
    async fn the_call_beyond_the_limit_is_turned_away_and_places_come_back() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let layer = AdmissionLayer::new(1, Arc::clone(&metrics));
        let answer = |_: Request<()>| async {
            tokio::task::yield_now().await;
            Ok::<_, Infallible>(Response::new(Body::empty()))
        };
        let mut one = layer.layer(tower::service_fn(answer));
        let mut other = layer.layer(tower::service_fn(answer));
        let under_way = one.call(Request::new(()));
        let refused = other.call(Request::new(())).await.unwrap();
        assert_eq!(refused.headers()["grpc-status"], "14");
        assert_eq!(refused.headers()["grpc-retry-pushback-ms"], "50");
        assert_eq!(metrics.traffic.shed.get(), 1);
        under_way.await.unwrap();
        let admitted = other.call(Request::new(())).await.unwrap();
        assert!(!admitted.headers().contains_key("grpc-status"));
    }
}
