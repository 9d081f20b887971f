//! What a listener serves, as its connections see it.

use crate::admission::Flow;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use std::convert::Infallible;
use tower::Service;

/// Error of a body that ends early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What a connection may be used for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// Every call.
    Calls,
    /// Health checks: it came while `connections_max` others were open, and lasts a second or two.
    Probe,
}

/// The services of one core, made there.
pub trait Services: 'static {
    /// What one connection is served with.
    type Service: HttpService;

    /// Serves a new connection, whose part of the core's fair queue is `flow`.
    fn connect(&self, flow: Flow, purpose: Purpose) -> Self::Service;
}

/// A service as a connection needs it; it is always ready.
pub trait HttpService:
    Service<
        Request<Incoming>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Send + 'static,
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
            Future: Send + 'static,
        > + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}
