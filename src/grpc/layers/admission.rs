//! The admission layer: decides once per call, after its headers and before its message is read.
//!
//! A call is rejected at once when too many are in flight or queued (`crate::admission` decides). A client
//! that learns so within microseconds can retry elsewhere; a queued one cannot. The rejection is one header
//! map, built once and cloned. An admitted call owns its permit, takes a turn in the fair queue for every
//! poll, and releases the permit when it is dropped.

use crate::admission::{Admission, Permit};
use crate::error::CallError;
use crate::metrics::Metrics;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// When a rejected caller should retry (chosen: some hundred answers later).
const PUSHBACK_MS: u32 = 50;

/// Services that are never rejected: health, on which load balancers decide, and reflection.
const EXEMPT: &str = "/grpc.";

/// The answer to a rejected call.
pub(crate) struct Rejection {
    headers: HeaderMap,
    metrics: Arc<Metrics>,
}

impl Rejection {
    /// Counts what is rejected in `metrics`.
    pub(crate) fn new(metrics: Arc<Metrics>) -> Arc<Self> {
        let overloaded = CallError::Overloaded {
            pushback_ms: PUSHBACK_MS,
        };
        let response: Response<Body> = Status::from(overloaded).into_http();
        Arc::new(Self {
            headers: response.into_parts().0.headers,
            metrics,
        })
    }

    fn response(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.headers.clone();
        response
    }
}

/// Wraps the services of one connection in [`AdmissionService`].
#[derive(Clone)]
pub(crate) struct AdmissionLayer {
    admission: Admission,
    rejection: Arc<Rejection>,
}

impl AdmissionLayer {
    /// A new connection's.
    pub(crate) fn new(admission: Admission, rejection: Arc<Rejection>) -> Self {
        Self {
            admission,
            rejection,
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
        let AdmissionLayer {
            admission,
            rejection,
        } = &self.layer;
        let permit = if request.uri().path().starts_with(EXEMPT) {
            Some(admission.exempt())
        } else {
            admission.admit()
        };
        match permit {
            Some(permit) => AdmissionFuture::Admitted {
                call: self.inner.call(request),
                permit,
            },
            None => {
                rejection.metrics.traffic.shed.inc();
                AdmissionFuture::Rejected {
                    rejection: Arc::clone(rejection),
                }
            }
        }
    }
}

pin_project! {
    /// An admitted call with its permit, or the rejection.
    #[project = Projected]
    pub(crate) enum AdmissionFuture<F> {
        /// The permit is given back with the future.
        Admitted { #[pin] call: F, permit: Permit },
        /// Answered by the first poll.
        Rejected { rejection: Arc<Rejection> },
    }
}

impl<F, E> Future for AdmissionFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project() {
            Projected::Admitted { call, permit } => {
                ready!(permit.poll_turn(cx));
                call.poll(cx)
            }
            Projected::Rejected { rejection } => Poll::Ready(Ok(rejection.response())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::admission::{ConcurrencyLimit, Flow};
    use std::convert::Infallible;
    use tonic_types::StatusExt;

    async fn answer(_: Request<()>) -> Result<Response<Body>, Infallible> {
        tokio::task::yield_now().await;
        Ok(Response::new(Body::empty()))
    }

    fn asking(path: &str) -> Request<()> {
        Request::builder().uri(path).body(()).unwrap()
    }

    #[tokio::test]
    async fn call_beyond_the_limit_is_rejected_and_permits_come_back() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let limit = ConcurrencyLimit::new(1);
        let rejection = Rejection::new(Arc::clone(&metrics));
        let connection = || {
            let admission = Admission::new(Arc::clone(&limit), Flow::alone());
            AdmissionLayer::new(admission, Arc::clone(&rejection))
        };
        let mut one = connection().layer(tower::service_fn(answer));
        let mut other = connection().layer(tower::service_fn(answer));
        let in_flight = one.call(asking("/a.B/C"));
        let rejected = other.call(asking("/a.B/C"));
        let rejected = rejected.await.unwrap();
        assert_eq!(rejected.headers()["grpc-status"], "14");
        assert_eq!(rejected.headers()["grpc-retry-pushback-ms"], "50");
        let status = Status::from_header_map(rejected.headers()).unwrap();
        assert_eq!(
            status.get_details_error_info().unwrap().reason,
            "OVERLOADED"
        );
        assert_eq!(metrics.traffic.shed.get(), 1);
        let health = other.call(asking("/grpc.health.v1.Health/Check"));
        assert!(!health.await.unwrap().headers().contains_key("grpc-status"));
        in_flight.await.unwrap();
        let admitted = other.call(asking("/a.B/C")).await.unwrap();
        assert!(!admitted.headers().contains_key("grpc-status"));
    }
}
