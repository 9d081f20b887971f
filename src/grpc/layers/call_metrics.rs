//! Counts, times and, at debug level, logs every call, whatever became of it.
//!
//! Methods come from a fixed list; everything else a caller may name is one series, `other`.

use crate::admission::Decided;
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

/// Every method that has a series of its own.
const METHODS: [&str; 9] = [
    "/hotshelf.v1.RecommendationService/Recommend",
    "/hotshelf.v1.RecommendationService/SimilarProducts",
    "/hotshelf.v1.ModelService/ReloadModel",
    "/hotshelf.v1.ModelService/ProposeRollout",
    "/hotshelf.v1.ModelService/GetModelStatus",
    "/hotshelf.v1.ModelService/ListModelVersions",
    "/grpc.health.v1.Health/Check",
    "/grpc.health.v1.Health/Watch",
    "other",
];

/// The place of what is not in the list.
const OTHER: usize = METHODS.len() - 1;

fn place_of(path: &str) -> usize {
    let known = METHODS[..OTHER].iter().position(|known| *known == path);
    known.unwrap_or(OTHER)
}

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
        let method = |method: &&str| MethodMetrics {
            latency: metrics
                .traffic
                .call_latency
                .with_label_values(&[listener, method]),
            codes: (0..CODES)
                .map(|code| {
                    metrics
                        .traffic
                        .calls
                        .with_label_values(&[listener, method, code_name(code)])
                })
                .collect(),
        };
        Arc::new(Self {
            methods: METHODS.iter().map(method).collect(),
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
        let method = place_of(path);
        let (metrics, began) = (Arc::clone(&self.metrics), Instant::now());
        let is_told = method == OTHER && tracing::enabled!(tracing::Level::DEBUG);
        let path = is_told.then(|| path.into());
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
    /// A call under way.
    pub(crate) struct CallFuture<F> {
        #[pin]
        call: F,
        metrics: Arc<CallMetrics>,
        method: usize,
        // Of a method that is none, where that is logged.
        path: Option<Box<str>>,
        began: Instant,
    }
}

impl<F: Decided> Decided for CallFuture<F> {
    fn is_decided(&self) -> bool {
        self.call.is_decided()
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
        let series = &this.metrics.methods[*this.method];
        series.latency.observe(took.as_secs_f64());
        series.codes[code].inc();
        tracing::debug!(
            method = METHODS[*this.method],
            path = this.path.as_deref(),
            code = code_name(code),
            ?took,
            "call"
        );
        Poll::Ready(outcome)
    }
}

/// The code of an answer. A refusal has it in its headers; an answer that begins with a message ends
/// with OK in its trailers unless a stream breaks later.
fn status_of<C>(response: &Response<C>) -> usize {
    // What was asked was no call.
    if !response.status().is_success() {
        return tonic::Code::Unimplemented as usize;
    }
    let Some(status) = response.headers().get("grpc-status") else {
        return 0;
    };
    let code = status.to_str().ok().and_then(|text| text.parse().ok());
    code.filter(|code| *code < CODES).unwrap_or(2)
}
