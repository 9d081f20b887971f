//! One HTTP/2 connection from its first byte to its end.

use super::gather::GatherIo;
use bytes::Bytes;
use http::{Request, Response};
use hyper::body::{Body, Incoming};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use std::convert::Infallible;
use std::pin::pin;
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_util::sync::CancellationToken;
use tower::Service;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Error of a body that ends early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A service as a connection needs it.
pub trait HttpService:
    Service<
        Request<Incoming>,
        Response = Response<Self::Body>,
        Error = Infallible,
        Future: Send + 'static,
    > + Clone
    + Send
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
        > + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Body = B;
}

/// Limits of one connection.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// From accept to the last byte of the preface.
    pub preface_timeout: Duration,
    /// Streams open at once.
    pub streams_max: u32,
    /// Bytes of the headers of one request.
    pub header_list_bytes_max: u32,
    /// Silence after which the peer is pinged, and then the wait for its answer.
    pub keepalive: Duration,
    /// Age at which the peer is asked to connect anew, so that load spreads over new replicas.
    pub age: Duration,
    /// From then on, the time for what is under way; what is left is closed.
    pub grace: Duration,
}

/// How a connection ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// In good order, or by the peer.
    Closed,
    /// No preface in time.
    PrefaceTimeout,
    /// It speaks something else.
    NotHttp2,
    /// It was asked to connect anew and did not finish in time.
    Overstayed,
    /// The drain deadline came first.
    Killed,
}

/// The two stages of shutdown.
#[derive(Clone, Debug, Default)]
pub struct Stages {
    /// No new connections and streams; what is under way is finished.
    pub drain: CancellationToken,
    /// Everything ends.
    pub kill: CancellationToken,
}

/// Serves until the connection ends, the peer's age is reached and its streams are done, or `kill`.
pub(super) async fn serve<S: HttpService>(
    stream: TcpStream,
    service: S,
    limits: ConnectionLimits,
    stages: Stages,
) -> End {
    let Some(result) = stages
        .kill
        .run_until_cancelled(preface(stream, &limits))
        .await
    else {
        return End::Killed;
    };
    let io = match result {
        Ok(io) => io,
        Err(end) => return end,
    };
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits.streams_max)
        .max_header_list_size(limits.header_list_bytes_max)
        .keep_alive_interval(limits.keepalive)
        .keep_alive_timeout(limits.keepalive);
    let service = TowerToHyperService::new(service);
    let mut connection = pin!(builder.serve_connection(TokioIo::new(io), service));
    let mut aged = pin!(tokio::time::sleep(limits.age));
    let mut grace = pin!(async { tokio::time::sleep(limits.grace).await });
    let (mut is_aged, mut is_draining) = (false, false);
    loop {
        tokio::select! {
            biased;
            // An error here is the peer's or the network's; the metrics count connections, not them.
            _ended = connection.as_mut() => return End::Closed,
            () = stages.drain.cancelled(), if !is_draining => is_draining = true,
            () = aged.as_mut(), if !is_aged => is_aged = true,
            // How long a drain may take is for whoever asked for it to say, by `kill`.
            () = grace.as_mut(), if is_aged => return End::Overstayed,
            () = stages.kill.cancelled() => return End::Killed,
        }
        // A second GOAWAY says nothing new.
        connection.as_mut().graceful_shutdown();
    }
}

/// Reads the preface itself: hyper would wait for it without limit.
async fn preface(
    mut stream: TcpStream,
    limits: &ConnectionLimits,
) -> Result<GatherIo<TcpStream>, End> {
    let mut first = [0; PREFACE.len()];
    let read = async {
        let mut len = 0;
        while len < first.len() {
            match stream.read(&mut first[len..]).await {
                Ok(0) | Err(_) => return Err(End::Closed),
                Ok(more) => len += more,
            }
            if first[..len] != PREFACE[..len] {
                return Err(End::NotHttp2);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(limits.preface_timeout, read).await {
        Err(_) => Err(End::PrefaceTimeout),
        Ok(Err(end)) => Err(end),
        Ok(Ok(())) => Ok(GatherIo::new(stream, Bytes::from_static(PREFACE))),
    }
}
