//! Counts the calls of one connection between hyper and the service, and the bytes of their answers until they
//! are sent.

use super::connection_stats::ConnectionStats;
use super::service::HttpService;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use pin_project_lite::pin_project;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

/// How many calls of a connection are not done.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight(Arc<AtomicUsize>);

impl InFlight {
    pub(super) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }

    fn one_more(&self) -> InFlightCall {
        self.0.fetch_add(1, Relaxed);
        InFlightCall(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct InFlightCall(Arc<AtomicUsize>);

impl Drop for InFlightCall {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The service of one connection. hyper calls it only from the connection's own task; only the compiler needs
/// the lock.
pub(super) struct TrackedService<S> {
    service: Mutex<S>,
    stats: ConnectionStats,
    in_flight: InFlight,
}

impl<S> TrackedService<S> {
    pub(super) fn new(service: S, stats: ConnectionStats) -> Self {
        Self {
            service: Mutex::new(service),
            stats,
            in_flight: InFlight::default(),
        }
    }

    pub(super) fn in_flight(&self) -> InFlight {
        self.in_flight.clone()
    }
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for TrackedService<S> {
    type Response = Response<TrackedBody<S::Body>>;
    type Error = Infallible;
    type Future = TrackedCall<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        let call = service.call(request);
        TrackedCall {
            call,
            stats: self.stats.clone(),
            in_flight: Some(self.in_flight.one_more()),
        }
    }
}

pin_project! {
    /// A call in flight.
    pub(super) struct TrackedCall<F> {
        #[pin]
        call: F,
        stats: ConnectionStats,
        in_flight: Option<InFlightCall>,
    }
}

impl<F, B> Future for TrackedCall<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<TrackedBody<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.call.poll(cx));
        let (stats, in_flight) = (this.stats.clone(), this.in_flight.take());
        Poll::Ready(Ok(response.map(|body| TrackedBody {
            body,
            stats,
            _in_flight: in_flight,
        })))
    }
}

pin_project! {
    /// The body of an answer, until it was handed on or dropped.
    pub(super) struct TrackedBody<B> {
        #[pin]
        body: B,
        stats: ConnectionStats,
        _in_flight: Option<InFlightCall>,
    }
}

impl<B: Body<Data = Bytes>> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let this = self.project();
        let frame = ready!(this.body.poll_frame(cx));
        if let Some(Ok(frame)) = &frame
            && let Some(data) = frame.data_ref()
        {
            this.stats.answered(data.len());
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
