use super::super::service::Purpose;
use super::*;
use crate::admission::Flow;
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use std::convert::Infallible;
use std::future::{Ready, ready};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::net::TcpStream;

/// Panics in the connection's own task, where it is asked to.
#[derive(Clone, Copy)]
struct Fragile;

impl tower::Service<Request<Incoming>> for Fragile {
    type Response = Response<Empty<Bytes>>;
    type Error = Infallible;
    type Future = Ready<Result<Self::Response, Infallible>>;

    fn poll_ready(&mut self, _cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Incoming>) -> Self::Future {
        assert_ne!(request.uri().path(), "/panic");
        ready(Ok(Response::new(Empty::new())))
    }
}

impl Services for Fragile {
    type Service = Self;

    fn connect(&self, _flow: Flow, _purpose: Purpose) -> Self {
        *self
    }
}

fn config(listener: TcpListener) -> PlaneConfig {
    PlaneConfig {
        name: "data",
        listener,
        cores: 1,
        connections_max: 2,
        accepts_per_s_max: 1_000,
        limits: ConnectionLimits::patient(),
        queue: QueueLimits {
            delay_max: Duration::from_secs(3600),
        },
        jitter: ChaCha8Rng::seed_from_u64(1),
    }
}

fn supervisor(metrics: &Metrics) -> Supervisor {
    Supervisor::new(metrics.lifecycle.task_restarts.clone())
}

/// One GET on a connection of its own; `None` where that was closed instead.
async fn get(to: SocketAddr, path: &str) -> Option<http::StatusCode> {
    let stream = TcpStream::connect(to).await.unwrap();
    let (mut requests, connection) = h2::client::handshake(stream).await.ok()?;
    let driver = tokio::spawn(connection);
    let request = Request::get(format!("http://localhost{path}")).body(());
    let (answer, _) = requests.send_request(request.unwrap(), true).ok()?;
    let answer = answer.await.ok().map(|response| response.status());
    drop(requests);
    // Once it has ended, nothing of it is left to be counted.
    let _ = driver.await;
    answer
}

#[tokio::test]
async fn panic_in_a_connections_task_ends_that_connection_and_frees_its_slot() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let listener = super::super::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let plane = Plane::start(config(listener), (&metrics, &supervisor(&metrics)), || {
        Fragile
    })
    .unwrap();
    // More often than there may be connections.
    for _ in 0..5 {
        assert_eq!(get(plane.address, "/panic").await, None);
    }
    assert_eq!(get(plane.address, "/").await, Some(http::StatusCode::OK));
    let refused = &metrics.traffic.connections_refused;
    let panicked = refused.with_label_values(&["data", "panicked"]);
    assert_eq!(panicked.get(), 5);
    plane.stages.drain.cancel();
    plane.ended().await;
    let open = metrics.traffic.connections.with_label_values(&["data"]);
    assert_eq!(open.get(), 0);
}

#[tokio::test]
async fn connections_beyond_the_rate_wait_and_are_served() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let listener = super::super::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let config = PlaneConfig {
        connections_max: 100,
        accepts_per_s_max: 50,
        ..config(listener)
    };
    let plane = Plane::start(config, (&metrics, &supervisor(&metrics)), || Fragile).unwrap();
    let storm = (0..30).map(|_| get(plane.address, "/"));
    let answers = futures::future::join_all(storm).await;
    assert!(
        answers
            .iter()
            .all(|answer| *answer == Some(http::StatusCode::OK))
    );
    let held = metrics.traffic.accepts_held.with_label_values(&["data"]);
    assert!(held.get() > 0);
    plane.stages.drain.cancel();
    plane.ended().await;
}

/// Panics on the core's thread, outside of any connection's task.
#[derive(Clone, Copy)]
struct FragileCore;

impl Services for FragileCore {
    type Service = Fragile;

    fn connect(&self, _flow: Flow, _purpose: Purpose) -> Fragile {
        panic!("a core's mistake");
    }
}

#[tokio::test]
async fn panic_of_a_core_is_noticed_and_the_drain_does_not_wait_for_it() {
    let metrics = Arc::new(Metrics::new().unwrap());
    let listener = super::super::listen("127.0.0.1:0".parse().unwrap()).unwrap();
    let shared = (&metrics, &supervisor(&metrics));
    let plane = Plane::start(config(listener), shared, || FragileCore).unwrap();
    let mut ended = Box::pin(plane.core_ended());
    assert!(futures::poll!(ended.as_mut()).is_pending());
    let _stream = TcpStream::connect(plane.address).await.unwrap();
    ended.await;
    plane.stages.drain.cancel();
    plane.ended().await;
}
