//! One HTTP/2 connection from its first byte to its end.

use super::abuse_guard::AbuseGuard;
use super::call_tracking::{InFlight, TrackedService};
use super::connection_stats::ConnectionStats;
use super::connection_watch::ConnectionWatch;
use super::end::End;
use super::executor::InlineExecutor;
use super::limits::ConnectionLimits;
use super::read_backoff::ReadBackoff;
use super::service::HttpService;
use super::stages::Stages;
use super::stream_resets::StreamResets;
use super::write_coalescing::CoalescingIo;
use crate::admission::Flow;
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error as _;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::sync::Arc;
use std::time::Instant;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Requests that the peer cancelled before they were read, at once (inherited: h2's default; more of them in
/// one go are an attack, and a client's own limits hold it far below).
const RESET_UNSEEN_MAX: usize = 20;
/// Streams that the peer's errors made us reset, in the life of a connection (inherited:
/// hyper's default; a peer that does not know our limit of streams yet may be refused hundreds).
const RESET_BY_US_MAX: usize = 1024;

impl End {
    /// How hyper says that a connection ended by itself.
    fn of(result: &Result<(), hyper::Error>) -> Self {
        let error = result.as_ref().err().and_then(|error| error.source());
        let Some(error) = error.and_then(|error| error.downcast_ref::<h2::Error>()) else {
            return Self::Closed;
        };
        match error.reason() {
            _ if !error.is_library() => Self::Closed,
            Some(h2::Reason::ENHANCE_YOUR_CALM) => Self::Calmed,
            Some(h2::Reason::NO_ERROR) | None => Self::Closed,
            Some(_) => Self::Protocol,
        }
    }
}

/// Serves until the connection ends, it was shut down gracefully and its streams are done, or `kill`.
pub(super) async fn serve<S: HttpService>(
    stream: TcpStream,
    (service, flow): (S, Flow),
    limits: ConnectionLimits,
    stages: Stages,
    resets: Arc<StreamResets>,
) -> End {
    let preface = preface(stream, &limits);
    let stream = match stages.kill.run_until_cancelled(preface).await {
        None => return End::Killed,
        Some(Err(end)) => return end,
        Some(Ok(stream)) => stream,
    };
    let stats = ConnectionStats::default();
    let service = TrackedService::new(service, stats.clone());
    let guard = AbuseGuard::new(stats.clone(), resets);
    let backoff = ReadBackoff::new(flow.clone());
    let io = TokioIo::new(CoalescingIo::new(stream, PREFACE, guard, backoff));
    let driver = Driver {
        in_flight: service.in_flight(),
        watch: ConnectionWatch::new(stats.clone(), &limits, Instant::now()),
        limits,
        stages,
        flow,
    };
    let connection = driver.builder().serve_connection(io, service);
    let end = driver.run(connection).await;
    stats.end().unwrap_or(end)
}

type Served<S> =
    http2::Connection<TokioIo<CoalescingIo<TcpStream>>, TrackedService<S>, InlineExecutor>;

/// Polls a connection and holds it to its limits.
struct Driver {
    limits: ConnectionLimits,
    stages: Stages,
    watch: ConnectionWatch,
    in_flight: InFlight,
    flow: Flow,
}

impl Driver {
    fn builder(&self) -> http2::Builder<InlineExecutor> {
        let mut builder = http2::Builder::new(InlineExecutor);
        builder
            .timer(TokioTimer::new())
            // gRPC has no use for it.
            .auto_date_header(false)
            .max_concurrent_streams(self.limits.streams_max)
            .max_header_list_size(self.limits.header_list_bytes_max)
            .max_pending_accept_reset_streams(RESET_UNSEEN_MAX)
            .max_local_error_reset_streams(RESET_BY_US_MAX)
            .keep_alive_interval(self.limits.keepalive)
            .keep_alive_timeout(self.limits.keepalive);
        builder
    }

    async fn run<S: HttpService>(mut self, connection: Served<S>) -> End {
        let mut connection = pin!(connection);
        let mut aged = pin!(tokio::time::sleep(self.limits.age));
        let mut grace = pin!(async { tokio::time::sleep(self.limits.grace).await });
        let period = self.watch.interval();
        let mut ticks = tokio::time::interval_at(tokio::time::Instant::now() + period, period);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut is_draining = false;
        // Why the connection is shut down, and its end if the grace period is over first.
        let mut leaving = None;
        loop {
            let polled = poll_fn(|cx| {
                self.flow.refill();
                connection.as_mut().poll(cx)
            });
            tokio::select! {
                biased;
                ended = polled => {
                    return if leaving == Some(End::Idle) { End::Idle } else { End::of(&ended) };
                }
                () = self.stages.drain.cancelled(), if !is_draining => is_draining = true,
                () = aged.as_mut(), if leaving.is_none() => leaving = Some(End::Overstayed),
                // `kill` bounds a drain; the grace period does not.
                () = grace.as_mut(), if leaving.is_some() => return leaving.unwrap_or(End::Closed),
                () = self.stages.kill.cancelled() => return End::Killed,
                _ = ticks.tick() => match self.watch.judge(Instant::now(), self.in_flight.count()) {
                    Some(End::Idle) if leaving.is_none() => leaving = Some(End::Idle),
                    None | Some(End::Idle) => continue,
                    Some(end) => return end,
                },
            }
            // A second GOAWAY says nothing new.
            connection.as_mut().graceful_shutdown();
        }
    }
}

/// Reads the preface itself: hyper would wait for it without limit.
async fn preface(mut stream: TcpStream, limits: &ConnectionLimits) -> Result<TcpStream, End> {
    let mut first = [0; PREFACE.len()];
    let read = async {
        let mut len = 0;
        while len < first.len() {
            match stream.read(&mut first[len..]).await {
                Ok(0) | Err(_) => return Err(End::Closed),
                Ok(more) => len += more,
            }
            if first[..len] != PREFACE[..len] {
                // What stays unread would turn the end into a reset.
                let _ = stream.try_read(&mut [0; 1024]);
                return Err(End::NotHttp2);
            }
        }
        Ok(())
    };
    match tokio::time::timeout(limits.preface_timeout, read).await {
        Err(_) => Err(End::PrefaceTimeout),
        Ok(Err(end)) => Err(end),
        Ok(Ok(())) => Ok(stream),
    }
}
