//! Enforces the caller's deadline: `grpc-timeout` is parsed, passed on as an extension, and answered
//! DEADLINE_EXCEEDED when it has passed, whatever the handler is doing. A call without a deadline gets the
//! listener's, so that a request whose body never arrives does not hold its permit forever. A malformed deadline
//! is INVALID_ARGUMENT: if it were ignored, the call would outlive its caller.

use crate::error::{BadField, CallError};
use http::{HeaderMap, HeaderValue, Request, Response};
use pin_project_lite::pin_project;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};
use tonic::Status;
use tonic::body::Body;
use tower::{Layer, Service};

/// The caller's header (gRPC over HTTP/2, "Requests").
const TIMEOUT: &str = "grpc-timeout";
/// How much of a malformed timeout the error quotes (chosen: more than any well-formed one has).
const QUOTED_CHARS: usize = 32;

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
        let left = match timeout(request.headers()) {
            Err(malformed) => return DeadlineFuture::refused(malformed),
            Ok(None) => {
                let call = tokio::time::timeout(self.default, self.inner.call(request));
                let begin_by = None;
                return DeadlineFuture::Limited { call, begin_by };
            }
            Ok(Some(left)) => left,
        };
        if left.is_zero() {
            return DeadlineFuture::refused(CallError::DeadlineExceeded);
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
        /// The deadline had passed when the call came, or is malformed.
        Refused { error: Option<CallError> },
    }
}

impl<F> DeadlineFuture<F> {
    fn refused(error: CallError) -> Self {
        let error = Some(error);
        Self::Refused { error }
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
            Projected::Refused { error } => Ok(answer(error.take())),
        })
    }
}

fn exceeded() -> Response<Body> {
    answer(None)
}

/// DEADLINE_EXCEEDED unless there is another error.
fn answer(error: Option<CallError>) -> Response<Body> {
    Status::from(error.unwrap_or(CallError::DeadlineExceeded)).into_http()
}

/// `grpc-timeout`, `None` where it is absent.
fn timeout(headers: &HeaderMap) -> Result<Option<Duration>, CallError> {
    let mut values = headers.get_all(TIMEOUT).iter();
    let Some(value) = values.next() else {
        return Ok(None);
    };
    let parsed = value.to_str().ok().and_then(duration);
    match (parsed, values.next()) {
        (Some(timeout), None) => Ok(Some(timeout)),
        (_, another) => Err(malformed(value, another)),
    }
}

/// Up to 8 digits and a unit.
fn duration(text: &str) -> Option<Duration> {
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

fn malformed(value: &HeaderValue, another: Option<&HeaderValue>) -> CallError {
    let why = if another.is_some() {
        "there is more than one".to_owned()
    } else {
        let text = String::from_utf8_lossy(value.as_bytes());
        let quoted: String = text.chars().take(QUOTED_CHARS).collect();
        format!("{quoted:?} is not a timeout: 1 to 8 digits and one of H, M, S, m, u, n")
    };
    CallError::BadFields(vec![BadField {
        field: format!("metadata {TIMEOUT}"),
        why,
    }])
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    fn read(values: &[&[u8]]) -> Result<Option<Duration>, CallError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(TIMEOUT, HeaderValue::from_bytes(value).unwrap());
        }
        timeout(&headers)
    }

    #[test]
    fn timeouts_are_read_as_the_protocol_writes_them() {
        assert_eq!(read(&[]), Ok(None));
        for (text, expected) in [
            ("1H", Duration::from_secs(3600)),
            ("99999999S", Duration::from_secs(99_999_999)),
            ("50m", Duration::from_millis(50)),
            ("7u", Duration::from_micros(7)),
            ("0n", Duration::ZERO),
        ] {
            assert_eq!(read(&[text.as_bytes()]), Ok(Some(expected)), "{text:?}");
        }
    }

    #[test]
    fn malformed_timeouts_are_bad_fields() {
        let texts: [&[u8]; 9] = [
            b"999999999S",
            b"S",
            b"",
            b"-1S",
            b"5x",
            b"1.5S",
            b"5 S",
            b"none",
            b"5\xc2\xb5",
        ];
        for text in texts {
            let error = read(&[text]).unwrap_err();
            assert_eq!(error.reason(), "BAD_FIELDS", "{text:?}");
        }
        assert!(read(&[b"1S", b"2S"]).is_err(), "which of them?");
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
        let ask = async |request: http::request::Builder| {
            let default = Duration::from_secs(9);
            let mut service = DeadlineLayer { default }.layer(never);
            let response = service.call(request.body(()).unwrap()).await.unwrap();
            response.headers()["grpc-status"].clone()
        };
        assert_eq!(ask(Request::builder()).await, "4");
        for (limit, code) in [("1S", "4"), ("0m", "4"), ("soon", "3")] {
            let request = Request::builder().header(TIMEOUT, limit);
            assert_eq!(ask(request).await, code, "{limit}");
        }
    }
}
