//! Adds the ErrorInfo that every error carries to those that tonic makes itself, such as an over-long message
//! or an unknown method.

use crate::error::{CallError, explained};
use futures::future::{FutureExt, Map};
use http::{Request, Response};
use std::task::{Context, Poll};
use tonic::body::Body;
use tonic::{Code, Status};
use tower::{Layer, Service};

/// Wraps services in [`DetailsService`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct DetailsLayer;

impl<S> Layer<S> for DetailsLayer {
    type Service = DetailsService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DetailsService { inner }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct DetailsService<S> {
    inner: S,
}

impl<S, B> Service<Request<B>> for DetailsService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future =
        Map<S::Future, fn(Result<Response<Body>, S::Error>) -> Result<Response<Body>, S::Error>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        self.inner
            .call(request)
            .map(|outcome| outcome.map(detailed))
    }
}

/// The answer as it is, unless it is an error without details.
fn detailed(response: Response<Body>) -> Response<Body> {
    let headers = response.headers();
    if !headers.contains_key("grpc-status") || headers.contains_key("grpc-status-details-bin") {
        return response;
    }
    match Status::from_header_map(headers) {
        // The generated services answer so where they have no such method.
        Some(status) if status.code() == Code::Unimplemented && status.message().is_empty() => {
            Status::from(CallError::NotServed("this call")).into_http()
        }
        // tonic's word for a message that does not decode, is cut or is missing; ours have details.
        Some(status) if status.code() == Code::Internal => {
            Status::from(CallError::BadMessage(status.message().to_owned())).into_http()
        }
        Some(status) if status.code() != Code::Ok => explained(&status).into_http(),
        _ => response,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tonic_types::StatusExt;

    #[test]
    fn error_without_details_gets_an_error_info_and_keeps_its_message() {
        let bare = Status::out_of_range("message too long").into_http();
        let status = Status::from_header_map(detailed(bare).headers()).unwrap();
        assert_eq!(status.message(), "message too long");
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "OUT_OF_RANGE");
    }

    #[test]
    fn message_that_tonic_cannot_decode_is_the_callers_fault() {
        let bare = Status::internal("data is not UTF-8 encoded").into_http();
        let status = Status::from_header_map(detailed(bare).headers()).unwrap();
        assert_eq!(status.code(), Code::InvalidArgument);
        assert!(status.message().ends_with("data is not UTF-8 encoded"));
        let info = status.get_details_error_info().unwrap();
        assert_eq!(info.reason, "BAD_MESSAGE");
        let ours = Status::from(CallError::Internal("the handler panicked"));
        let kept = detailed(ours.into_http());
        assert_eq!(kept.headers()["grpc-status"], "13");
    }

    #[test]
    fn error_with_details_stays_as_it_is() {
        let ours: Status = crate::error::CallError::DeadlineExceeded.into();
        let before = ours.clone().into_http::<Body>();
        assert_eq!(detailed(ours.into_http()).headers(), before.headers());
    }
}
