//! Turns calls away at once when too many are under way or wait: a caller that is told so within
//! microseconds can go elsewhere, one that queues cannot.
//!
//! Calls under way are counted per listener, and of their places (`calls_max`) no connection takes
//! more than are left to others. Those that wait are counted per core (`crate::net::Line`), and of
//! the line every connection has the same part, and what others leave of theirs. The decision falls
//! when the headers are there, before the message is read and, where the door can, before anything is
//! decoded; the refusal is made once and copied.

use super::calls::CallMetrics;
use crate::error::CallError;
use crate::metrics::Metrics;
use crate::net::{Decided, Door, KnownPath, Line};
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

/// Calls that may be turned away before they are decoded. A test holds the coded form against what
/// HTTP/2 writes.
pub(crate) const RECOMMENDATION_PATHS: &[KnownPath] = &[
    KnownPath {
        plain: "/hotshelf.v1.RecommendationService/Recommend",
        coded: b"\x62\x73\xa5\x13\x96\x89\x57\xee\x15\xf6\x94\x87\xa6\x92\xd5\x20\xd2\x63\xd5\xb8\xb6\x77\x31\x0a\xc6\
            \xd2\x90\xf4\xd2\x5a\xa4",
    },
    KnownPath {
        plain: "/hotshelf.v1.RecommendationService/SimilarProducts",
        coded: b"\x62\x73\xa5\x13\x96\x89\x57\xee\x15\xf6\x94\x87\xa6\x92\xd5\x20\xd2\x63\xd5\xb8\xb6\x77\x31\x0a\xc6\
            \xe3\x52\x6a\x07\x66\xbb\x0f\x25\xa4\x4a\x3f",
    },
];

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

    /// The headers that are all of the answer to a call without a place.
    pub(crate) fn refusal_headers(&self) -> &HeaderMap {
        &self.refusal
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

    /// Whether one more call finds a place, `ahead` others of the connection being about to.
    fn has_room(&self, ahead: usize) -> bool {
        let taken = self.places.taken.load(Relaxed) + ahead;
        let left = self.places.max.saturating_sub(taken);
        self.own.load(Relaxed) + ahead < left && self.line.has_room(ahead)
    }

    fn take(&self) -> Option<Place> {
        // Other cores may take the last places at the same moment: then a few more are taken.
        if !self.has_room(0) {
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

/// A connection's door: the same decision for calls that nobody has decoded.
pub(crate) struct AdmissionDoor {
    admission: AdmissionLayer,
    calls: Arc<CallMetrics>,
}

impl AdmissionDoor {
    /// Of the connection with this layer.
    pub(crate) fn new(admission: AdmissionLayer, calls: Arc<CallMetrics>) -> Self {
        Self { admission, calls }
    }
}

impl Door for AdmissionDoor {
    fn has_room(&self, ahead: usize) -> bool {
        self.admission.has_room(ahead)
    }

    fn turned_away(&self, path: usize, count: u64) {
        self.admission.places.metrics.traffic.shed.inc_by(count);
        let path = RECOMMENDATION_PATHS[path].plain;
        self.calls.turned_away(path, count);
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

    #[tokio::test]
    async fn known_paths_are_coded_as_http2_codes_them() {
        for path in RECOMMENDATION_PATHS {
            let (near, mut far) = tokio::io::duplex(1 << 16);
            let (mut requests, connection) = h2::client::handshake(near).await.unwrap();
            let driver = tokio::spawn(connection);
            let request = Request::get(format!("http://localhost{}", path.plain)).body(());
            let answer = requests.send_request(request.unwrap(), true).unwrap();
            let mut bytes = Vec::new();
            while !bytes
                .windows(path.coded.len())
                .any(|window| window == path.coded)
            {
                let mut more = [0; 1024];
                let read = tokio::io::AsyncReadExt::read(&mut far, &mut more);
                let read = tokio::time::timeout(std::time::Duration::from_secs(5), read).await;
                let len = read
                    .unwrap_or_else(|_| panic!("not coded so: {path:?}"))
                    .unwrap();
                assert!(len > 0);
                bytes.extend_from_slice(&more[..len]);
            }
            drop(answer);
            driver.abort();
        }
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
