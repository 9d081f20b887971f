//! Finds the service of a call by the first segment of its path.

use crate::error::CallError;
use http::{Request, Response};
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use tonic::Status;
use tonic::body::Body;
use tower::util::BoxCloneSyncService;
use tower::{Service, ServiceExt};

/// One gRPC service, its type forgotten.
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
        let mut segments = request.uri().path().split('/');
        let service = segments.nth(1).unwrap_or_default();
        match self.routes.iter().find(|(name, _)| *name == service) {
            Some((_, route)) => Box::pin(route.clone().oneshot(request)),
            None => Box::pin(std::future::ready(Ok(unknown()))),
        }
    }
}

fn unknown() -> Response<Body> {
    Status::from(CallError::NotServed("this service, on this listener,")).into_http()
}
