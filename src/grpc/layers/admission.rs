//! Turns calls away at once when too many are under way or wait: a caller that is told so within
//! microseconds can go elsewhere, one that queues cannot.
//!
//! Calls under way are counted per listener, and of their places (`calls_max`) no connection takes
//! more than are left to others. Those that wait are counted per core (`crate::admission::Line`), and of
//! the line every connection has the same part, and what others leave of theirs. The decision falls
//! when the headers are there, before the message is read; the refusal is made once and copied.

use crate::admission::{Decided, Line};
use crate::error::CallError;
use crate::metrics::Metrics;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// When a caller that was turned away should come back (chosen: some hundred answers later).
const PUSHBACK_MS: u32 = 50;

/// Services that answer under overload too: health, for whoever decides where traffic goes, and
/// reflection.
const ALWAYS: &str = "/grpc.";

/// The places of one listener.
pub(crate) struct Places {
    max: usize,
    taken: AtomicUsize,
    refusal: HeaderMap,
    metrics: Arc<Metrics>,
}

impl Places {
    /// So many calls may be under way.
    pub(crate) fn new(max: usize, metrics: Arc<Metrics>) -> Arc<Self> {
        let refused = CallError::Overloaded {
            pushback_ms: PUSHBACK_MS,
        };
        let refusal: Response<Body> = Status::from(refused).into_http();
        Arc::new(Self {
            max,
            taken: AtomicUsize::new(0),
            refusal: refusal.into_parts().0.headers,
            metrics,
        })
    }

    fn refusal(&self) -> Response<Body> {
        let mut response = Response::new(Body::empty());
        *response.headers_mut() = self.refusal.clone();
        response
    }
}

/// Wraps the services of one connection in [`AdmissionService`].
#[derive(Clone)]
pub(crate) struct AdmissionLayer {
    places: Arc<Places>,
    line: Line,
    own: Arc<AtomicUsize>,
}

impl AdmissionLayer {
    /// A new connection's.
    pub(crate) fn new(places: Arc<Places>, line: Line) -> Self {
        Self {
            places,
            line,
            own: Arc::default(),
        }
    }

    /// Whether one more call finds a place.
    fn has_room(&self) -> bool {
        let taken = self.places.taken.load(Relaxed);
        let left = self.places.max.saturating_sub(taken);
        self.own.load(Relaxed) < left && self.line.has_room()
    }

    fn take(&self) -> Option<Place> {
        // Other cores may take the last places at the same moment: then a few more are taken.
        if !self.has_room() {
            return None;
        }
        self.places.taken.fetch_add(1, Relaxed);
        self.own.fetch_add(1, Relaxed);
        Some(Place {
            places: Arc::clone(&self.places),
            own: Arc::clone(&self.own),
        })
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
        if request.uri().path().starts_with(ALWAYS) {
            return AdmissionFuture::Admitted {
                call: self.inner.call(request),
                place: None,
            };
        }
        match self.layer.take() {
            None => {
                self.layer.line.turned_away();
                AdmissionFuture::TurnedAway {
                    places: Arc::clone(&self.layer.places),
                }
            }
            place => AdmissionFuture::Admitted {
                call: self.inner.call(request),
                place,
            },
        }
    }
}

/// A call's place, given back when it is dropped.
pub(crate) struct Place {
    places: Arc<Places>,
    own: Arc<AtomicUsize>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.places.taken.fetch_sub(1, Relaxed);
        self.own.fetch_sub(1, Relaxed);
    }
}

pin_project! {
    /// A call that has a place or needs none, or the refusal.
    #[project = Projected]
    pub(crate) enum AdmissionFuture<F> {
        /// The place is given back with the future.
        Admitted { #[pin] call: F, place: Option<Place> },
        /// No place.
        TurnedAway { places: Arc<Places> },
    }
}

impl<F> Decided for AdmissionFuture<F> {
    fn is_decided(&self) -> bool {
        matches!(self, Self::TurnedAway { .. })
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
            Projected::TurnedAway { places } => {
                places.metrics.traffic.shed.inc();
                Poll::Ready(Ok(places.refusal()))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
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
    async fn the_call_beyond_the_limit_is_turned_away_and_places_come_back() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let places = Places::new(1, Arc::clone(&metrics));
        let connection = || AdmissionLayer::new(Arc::clone(&places), Line::alone());
        let mut one = connection().layer(tower::service_fn(answer));
        let mut other = connection().layer(tower::service_fn(answer));
        let under_way = one.call(asking("/a.B/C"));
        let turned_away = other.call(asking("/a.B/C"));
        assert!(turned_away.is_decided() && !under_way.is_decided());
        let refused = turned_away.await.unwrap();
        assert_eq!(refused.headers()["grpc-status"], "14");
        assert_eq!(refused.headers()["grpc-retry-pushback-ms"], "50");
        let status = Status::from_header_map(refused.headers()).unwrap();
        assert_eq!(
            status.get_details_error_info().unwrap().reason,
            "OVERLOADED"
        );
        assert_eq!(metrics.traffic.shed.get(), 1);
        let health = other.call(asking("/grpc.health.v1.Health/Check"));
        assert!(!health.is_decided());
        under_way.await.unwrap();
        let admitted = other.call(asking("/a.B/C")).await.unwrap();
        assert!(!admitted.headers().contains_key("grpc-status"));
    }

    #[test]
    fn nobody_takes_more_places_than_are_left_to_others() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let places = Places::new(100, metrics);
        let connections: Vec<_> = (0..4)
            .map(|_| AdmissionLayer::new(Arc::clone(&places), Line::alone()))
            .collect();
        let mut taken: Vec<_> = std::iter::from_fn(|| connections[0].take()).collect();
        assert_eq!(taken.len(), 50);
        taken.extend(std::iter::from_fn(|| connections[1].take()));
        taken.extend(std::iter::from_fn(|| connections[2].take()));
        assert!(connections[0].take().is_none());
        assert!(
            connections[3].take().is_some(),
            "there is room for one more"
        );
        drop(taken);
        assert_eq!(places.taken.load(Relaxed), 0);
    }
}
