//! Enforces the caller's deadline: `grpc-timeout` is parsed, passed on as an extension, and answered
//! DEADLINE_EXCEEDED when it has passed, whatever the handler is doing. A call without one gets the
//! listener's, so that a request whose body never comes does not hold its permit for ever.

use crate::error::CallError;
use http::{HeaderMap, Request, Response};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// The moment at which the caller stops waiting.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Deadline(pub Instant);

/// Wraps services in [`DeadlineService`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadlineLayer {
    /// For callers that set none; it is not passed on as an extension.
    pub(crate) default: Duration,
}

impl<S> Layer<S> for DeadlineLayer {
    type Service = DeadlineService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        DeadlineService {
            inner,
            default: self.default,
        }
    }
}

/// See the module.
#[derive(Clone, Debug)]
pub(crate) struct DeadlineService<S> {
    inner: S,
    default: Duration,
}

impl<S, B> Service<Request<B>> for DeadlineService<S>
where
    S: Service<Request<B>, Response = Response<Body>>,
{
    type Response = Response<Body>;
    type Error = S::Error;
    type Future = DeadlineFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let Some(left) = timeout(request.headers()) else {
            let call = tokio::time::timeout(self.default, self.inner.call(request));
            let begin_by = None;
            return DeadlineFuture::Limited { call, begin_by };
        };
        if left.is_zero() {
            return DeadlineFuture::Exceeded;
        }
        let deadline = Instant::now() + left;
        request.extensions_mut().insert(Deadline(deadline));
        let call = tokio::time::timeout(left, self.inner.call(request));
        let begin_by = Some(deadline);
        DeadlineFuture::Limited { call, begin_by }
    }
}

pin_project! {
    /// The call or its deadline, whichever comes first.
    #[project = Projected]
    pub(crate) enum DeadlineFuture<F> {
        /// A call that has not started by `begin_by` is not started.
        Limited { #[pin] call: tokio::time::Timeout<F>, begin_by: Option<Instant> },
        /// The deadline had passed when the call came.
        Exceeded,
    }
}

impl<F, E> Future for DeadlineFuture<F>
where
    F: Future<Output = Result<Response<Body>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        Poll::Ready(match self.project() {
            Projected::Limited { call, begin_by } => {
                let is_late = |by| Instant::now() >= by;
                if begin_by.take().is_some_and(is_late) {
                    return Poll::Ready(Ok(exceeded()));
                }
                ready!(call.poll(cx)).unwrap_or_else(|_| Ok(exceeded()))
            }
            Projected::Exceeded => Ok(exceeded()),
        })
    }
}

fn exceeded() -> Response<Body> {
    Status::from(CallError::DeadlineExceeded).into_http()
}

/// `grpc-timeout`: up to 8 digits and a unit. `None` where it is absent or not of that form, as a
/// caller that does not speak the protocol did not ask for a limit.
fn timeout(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get("grpc-timeout")?.to_str().ok()?;
    let (digits, unit) = text.split_at_checked(text.len().checked_sub(1)?)?;
    if digits.is_empty() || digits.len() > 8 || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let value: u64 = digits.parse().ok()?;
    match unit {
        "H" => Some(Duration::from_secs(value * 3600)),
        "M" => Some(Duration::from_secs(value * 60)),
        "S" => Some(Duration::from_secs(value)),
        "m" => Some(Duration::from_millis(value)),
        "u" => Some(Duration::from_micros(value)),
        "n" => Some(Duration::from_nanos(value)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        let cases = [
            ("1H", Some(Duration::from_secs(3600))),
            ("99999999S", Some(Duration::from_secs(99_999_999))),
            ("50m", Some(Duration::from_millis(50))),
            ("7u", Some(Duration::from_micros(7))),
            ("0n", Some(Duration::ZERO)),
            ("999999999S", None),
            ("S", None),
            ("", None),
            ("-1S", None),
            ("5x", None),
        ];
        for (text, expected) in cases {
            let mut headers = HeaderMap::new();
            headers.insert("grpc-timeout", text.parse().unwrap());
            assert_eq!(timeout(&headers), expected, "{text:?}");
        }
    }

    #[tokio::test]
    async fn call_whose_deadline_passed_before_its_turn_is_not_started() {
        let begun = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&begun);
        let service = tower::service_fn(move |_: Request<()>| {
            let seen = Arc::clone(&seen);
            async move {
                seen.store(true, Ordering::Relaxed);
                Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
            }
        });
        let default = Duration::from_secs(9);
        let mut service = DeadlineLayer { default }.layer(service);
        let request = Request::builder().header("grpc-timeout", "1n").body(());
        let call = service.call(request.unwrap());
        let response = call.await.unwrap();
        assert_eq!(response.headers()["grpc-status"], "4");
        assert!(!begun.load(Ordering::Relaxed));
    }

    #[tokio::test(start_paused = true)]
    async fn call_past_its_deadline_is_answered_deadline_exceeded() {
        let never = tower::service_fn(|_: Request<()>| async {
            std::future::pending::<()>().await;
            Ok::<_, std::convert::Infallible>(Response::new(Body::empty()))
        });
        for limit in ["1S", "0m", "none"] {
            let default = Duration::from_secs(9);
            let mut service = DeadlineLayer { default }.layer(never);
            let request = Request::builder()
                .header("grpc-timeout", limit)
                .body(())
                .unwrap();
            let response = service.call(request).await.unwrap();
            assert_eq!(response.headers()["grpc-status"], "4", "{limit}");
        }
    }
}
