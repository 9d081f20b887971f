//! The calls of one connection between hyper and a service: counted, and known to the guard for as
//! long as their answers wait to be sent.

use super::abuse_guard::Notes;
use crate::admission::{Decided, DecidedNow};
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
use tower::Service;

/// Error of a body that ends early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A service as a connection needs it; it is always ready.
pub trait HttpService:
    Service<
        Request<Incoming>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Decided + Send + 'static,
    > + Send
    + 'static
{
    /// Body of every answer.
    type Body: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<
            Request<Incoming>,
            Response = Response<B>,
            Error = Infallible,
            Future: Decided + Send + 'static,
        > + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

/// How many calls of a connection are not done.
#[derive(Clone, Debug, Default)]
pub(super) struct UnderWay(Arc<AtomicUsize>);

impl UnderWay {
    pub(super) fn count(&self) -> usize {
        self.0.load(Relaxed)
    }

    fn one_more(&self) -> CallUnderWay {
        self.0.fetch_add(1, Relaxed);
        CallUnderWay(Arc::clone(&self.0))
    }
}

#[derive(Debug)]
struct CallUnderWay(Arc<AtomicUsize>);

impl Drop for CallUnderWay {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

/// The service of one connection. hyper calls it from the connection's own task alone, and the lock
/// is the compiler's.
pub(super) struct Calls<S> {
    service: Mutex<S>,
    notes: Notes,
    under_way: UnderWay,
    decided: DecidedNow,
}

impl<S> Calls<S> {
    pub(super) fn new(service: S, notes: Notes) -> Self {
        Self {
            service: Mutex::new(service),
            notes,
            under_way: UnderWay::default(),
            decided: DecidedNow::default(),
        }
    }

    pub(super) fn under_way(&self) -> UnderWay {
        self.under_way.clone()
    }

    pub(super) fn decided(&self) -> DecidedNow {
        self.decided.clone()
    }
}

impl<S: HttpService> hyper::service::Service<Request<Incoming>> for Calls<S> {
    type Response = Response<Answer<S::Body>>;
    type Error = Infallible;
    type Future = CallFuture<S::Future>;

    fn call(&self, request: Request<Incoming>) -> Self::Future {
        let mut service = self.service.lock().unwrap_or_else(PoisonError::into_inner);
        let call = service.call(request);
        self.decided.set(call.is_decided());
        CallFuture {
            call,
            notes: self.notes.clone(),
            under_way: Some(self.under_way.one_more()),
        }
    }
}

pin_project! {
    /// A call under way.
    pub(super) struct CallFuture<F> {
        #[pin]
        call: F,
        notes: Notes,
        under_way: Option<CallUnderWay>,
    }
}

impl<F, B> Future for CallFuture<F>
where
    F: Future<Output = Result<Response<B>, Infallible>>,
{
    type Output = Result<Response<Answer<B>>, Infallible>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let Ok(response) = ready!(this.call.poll(cx));
        let (notes, under_way) = (this.notes.clone(), this.under_way.take());
        Poll::Ready(Ok(response.map(|body| Answer {
            body,
            notes,
            _under_way: under_way,
        })))
    }
}

pin_project! {
    /// The body of an answer, until it was handed on or given up.
    pub(super) struct Answer<B> {
        #[pin]
        body: B,
        notes: Notes,
        _under_way: Option<CallUnderWay>,
    }
}

impl<B: Body<Data = Bytes>> Body for Answer<B> {
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
            this.notes.answered(data.len());
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
