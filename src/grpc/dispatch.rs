//! Finds the service of a call by the first segment of its path.

use crate::error::CallError;
use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body as _, Incoming};
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// One gRPC service, its type erased.
pub(super) type Route = BoxCloneSyncService<Request<Incoming>, Response<Body>, Infallible>;

/// Services by their full name; the busiest one first.
#[derive(Clone)]
pub(super) struct Dispatch {
    routes: std::sync::Arc<[(&'static str, Route)]>,
}

impl Dispatch {
    pub(super) fn new(routes: Vec<(&'static str, Route)>) -> Self {
        Self {
            routes: routes.into(),
        }
    }
}

impl Service<Request<Incoming>> for Dispatch {
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        // Each service says when it is ready inside its own call.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        if request.method() != Method::POST {
            return Box::pin(after_first_frame(request.into_body(), not_a_call()));
        }
        let mut segments = request.uri().path().split('/');
        let service = segments.nth(1).unwrap_or_default();
        match self.routes.iter().find(|(name, _)| *name == service) {
            Some((_, route)) => Box::pin(route.clone().oneshot(request)),
            None => Box::pin(after_first_frame(request.into_body(), unknown())),
        }
    }
}

/// Answers once the request has a message or an end. An answer at its headers would close the stream, and HTTP/2
/// ignores errors of the peer on a closed stream.
async fn after_first_frame(
    mut body: Incoming,
    answer: Response<Body>,
) -> Result<Response<Body>, Infallible> {
    if !body.is_end_stream() {
        // An error of the stream is h2's to answer.
        let _ = body.frame().await;
    }
    Ok(answer)
}

/// For browsers and tools that speak plain HTTP. A CONNECT that succeeded would be a tunnel.
fn not_a_call() -> Response<Body> {
    let text = Bytes::from_static(b"gRPC calls are POST requests\n");
    let mut response = Response::new(Body::new(Full::new(text)));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let headers = response.headers_mut();
    headers.insert(ALLOW, HeaderValue::from_static("POST"));
    headers.insert(CONTENT_TYPE, HeaderValue::from_static("text/plain"));
    response
}

fn unknown() -> Response<Body> {
    Status::from(CallError::NotServed("this service, on this listener,")).into_http()
}
