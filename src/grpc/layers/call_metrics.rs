//! Counts, times and, at debug level, logs every call, whatever its outcome. A method that no descriptor has
//! counts as `other`.

use super::super::methods::MethodId;
use crate::error::code_name;
use crate::metrics::Metrics;
use http::{Request, Response};
use pin_project_lite::pin_project;
use prometheus::{Histogram, IntCounter};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Instant;
use tower::{Layer, Service};

/// Codes of the protocol, 0 to 16.
const CODES: usize = 17;

/// Handles of one listener, looked up once.
pub(crate) struct CallMetrics {
    methods: Vec<MethodMetrics>,
}

struct MethodMetrics {
    latency: Histogram,
    codes: Vec<IntCounter>,
}

impl CallMetrics {
    /// Makes the series of one listener.
    pub(crate) fn new(metrics: &Metrics, listener: &str) -> Arc<Self> {
        let method = |method: MethodId| {
            let labels = [listener, method.label()];
            let calls = &metrics.traffic.calls;
            MethodMetrics {
                latency: metrics.traffic.call_latency.with_label_values(&labels),
                codes: (0..CODES)
                    .map(|code| calls.with_label_values(&[labels[0], labels[1], code_name(code)]))
                    .collect(),
            }
        };
        Arc::new(Self {
            methods: MethodId::all().map(method).collect(),
        })
    }
}

/// Wraps services in [`CallService`].
#[derive(Clone)]
pub(crate) struct CallLayer {
    metrics: Arc<CallMetrics>,
}

impl CallLayer {
    /// Counts into these series.
    pub(crate) fn new(metrics: Arc<CallMetrics>) -> Self {
        Self { metrics }
    }
}

impl<S> Layer<S> for CallLayer {
    type Service = CallService<S>;

    fn layer(&self, inner: S) -> Self::Service {
        CallService {
            inner,
            metrics: Arc::clone(&self.metrics),
        }
    }
}

/// See the module.
#[derive(Clone)]
pub(crate) struct CallService<S> {
    inner: S,
    metrics: Arc<CallMetrics>,
}

impl<S, B, C> Service<Request<B>> for CallService<S>
where
    S: Service<Request<B>, Response = Response<C>>,
{
    type Response = Response<C>;
    type Error = S::Error;
    type Future = CallFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let path = request.uri().path();
        let method = MethodId::of(path);
        let (metrics, began) = (Arc::clone(&self.metrics), Instant::now());
        let is_logged = method.is_unknown() && tracing::enabled!(tracing::Level::DEBUG);
        let path = is_logged.then(|| path.into());
        CallFuture {
            call: self.inner.call(request),
            metrics,
            method,
            path,
            began,
        }
    }
}

pin_project! {
    /// A call in flight.
    pub(crate) struct CallFuture<F> {
        #[pin]
        call: F,
        metrics: Arc<CallMetrics>,
        method: MethodId,
        // Of an unknown method, where that is logged.
        path: Option<Box<str>>,
        began: Instant,
    }
}

impl<F, E, C> Future for CallFuture<F>
where
    F: Future<Output = Result<Response<C>, E>>,
{
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let outcome = ready!(this.call.poll(cx));
        let took = this.began.elapsed();
        let code = outcome.as_ref().map_or(2, status_of);
        let series = &this.metrics.methods[this.method.index()];
        series.latency.observe(took.as_secs_f64());
        series.codes[code].inc();
        tracing::debug!(
            method = this.method.label(),
            path = this.path.as_deref(),
            code = code_name(code),
            ?took,
            "call"
        );
        Poll::Ready(outcome)
    }
}

/// The code of an answer. An error has it in its headers; an answer that begins with a message ends with OK
/// in its trailers unless a stream breaks later.
fn status_of<C>(response: &Response<C>) -> usize {
    // The request was no gRPC call.
    if !response.status().is_success() {
        return tonic::Code::Unimplemented as usize;
    }
    let Some(status) = response.headers().get("grpc-status") else {
        return 0;
    };
    let code = status.to_str().ok().and_then(|text| text.parse().ok());
    code.filter(|code| *code < CODES).unwrap_or(2)
}
