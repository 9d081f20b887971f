//! One HTTP/2 connection from its first byte to its end.

use super::abuse_guard::{Guard, Notes, Patience, Watch};
use super::call_tracking::{Calls, HttpService, UnderWay};
use super::write_coalescing::GatherIo;
use crate::admission::{Line, Turns};
use hyper::server::conn::http2;
use hyper_util::rt::{TokioIo, TokioTimer};
use std::error::Error as _;
use std::future::{Future as _, poll_fn};
use std::pin::pin;
use std::time::{Duration, Instant};
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;

/// What every HTTP/2 client sends first (RFC 9113, section 3.4).
const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Requests that the peer took back before they were looked at, at once (inherited: h2's default;
/// more of them in one go are an attack, and a client's own limits keep it far below).
const RESET_UNSEEN_MAX: usize = 20;
/// Streams that the peer made us reset by its mistakes, in the life of a connection (inherited:
/// hyper's default; a peer that does not know our limit of streams yet may be refused hundreds).
const RESET_BY_US_MAX: usize = 1024;

/// Limits of one connection.
#[derive(Clone, Debug)]
pub struct ConnectionLimits {
    /// From accept to the last byte of the preface.
    pub preface_timeout: Duration,
    /// From the first to the last byte of a frame or header block.
    pub frame_timeout: Duration,
    /// For the peer to take more of what it was answered.
    pub unread_timeout: Duration,
    /// Without a call under way or a request; then the peer is asked to leave.
    pub idle_timeout: Duration,
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
    /// A frame or header block that did not end in time.
    FrameTimeout,
    /// Frames that make work and ask for nothing.
    FrameFlood,
    /// Answers that the peer did not take.
    UnreadAnswers,
    /// It asked for nothing.
    Idle,
    /// The protocol was broken, or a limit of HTTP/2 itself exceeded.
    Protocol,
    /// Requests taken back, or faults of streams, beyond all measure.
    Calmed,
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

impl End {
    /// The label of the metric; `None` for an end in good order.
    pub(super) fn reason(self) -> Option<&'static str> {
        match self {
            Self::Closed => None,
            Self::PrefaceTimeout => Some("preface_timeout"),
            Self::NotHttp2 => Some("not_http2"),
            Self::FrameTimeout => Some("frame_timeout"),
            Self::FrameFlood => Some("frame_flood"),
            Self::UnreadAnswers => Some("unread_answers"),
            Self::Idle => Some("idle"),
            Self::Protocol => Some("protocol"),
            Self::Calmed => Some("calmed"),
            Self::Overstayed => Some("overstayed"),
            Self::Killed => Some("drain_timeout"),
        }
    }

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

/// Serves until the connection ends, its peer has to leave and its streams are done, or `kill`.
pub(super) async fn serve<S: HttpService>(
    stream: TcpStream,
    (service, line): (S, Line),
    limits: ConnectionLimits,
    stages: Stages,
) -> End {
    let preface = preface(stream, &limits);
    let stream = match stages.kill.run_until_cancelled(preface).await {
        None => return End::Killed,
        Some(Err(end)) => return end,
        Some(Ok(stream)) => stream,
    };
    let notes = Notes::default();
    let calls = Calls::new(service, notes.clone());
    let watched = Watched {
        under_way: calls.under_way(),
        watch: Watch::new(notes.clone(), limits.patience(), Instant::now()),
        limits,
        stages,
        line: line.clone(),
    };
    let guard = Guard::new(notes.clone());
    let io = GatherIo::new(stream, PREFACE, guard, line.clone());
    let builder = watched.builder(Turns::new(line.clone(), calls.decided()));
    let end = watched
        .run(builder.serve_connection(TokioIo::new(io), calls))
        .await;
    line.leave();
    notes.end().unwrap_or(end)
}

type Served<S> = http2::Connection<TokioIo<GatherIo<TcpStream>>, Calls<S>, Turns>;

/// A connection's limits, and what they are held against.
struct Watched {
    limits: ConnectionLimits,
    stages: Stages,
    watch: Watch,
    under_way: UnderWay,
    line: Line,
}

impl Watched {
    fn builder(&self, turns: Turns) -> http2::Builder<Turns> {
        let mut builder = http2::Builder::new(turns);
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
        // Why the peer was asked to leave, and how it ends that it does not.
        let mut leaving = None;
        loop {
            let look = poll_fn(|cx| {
                self.line.looks();
                connection.as_mut().poll(cx)
            });
            tokio::select! {
                biased;
                ended = look => {
                    return if leaving == Some(End::Idle) { End::Idle } else { End::of(&ended) };
                }
                () = self.stages.drain.cancelled(), if !is_draining => is_draining = true,
                () = aged.as_mut(), if leaving.is_none() => leaving = Some(End::Overstayed),
                // How long a drain may take is for whoever asked for it to say, by `kill`.
                () = grace.as_mut(), if leaving.is_some() => return leaving.unwrap_or(End::Closed),
                () = self.stages.kill.cancelled() => return End::Killed,
                _ = ticks.tick() => match self.watch.judge(Instant::now(), self.under_way.count()) {
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

impl ConnectionLimits {
    /// For tests of other things than limits: none is reached.
    #[cfg(test)]
    pub(crate) fn patient() -> Self {
        let hour = Duration::from_secs(3600);
        Self {
            preface_timeout: hour,
            frame_timeout: hour,
            unread_timeout: hour,
            idle_timeout: hour,
            streams_max: 100,
            header_list_bytes_max: 16_384,
            keepalive: hour,
            age: hour,
            grace: hour,
        }
    }

    fn patience(&self) -> Patience {
        Patience {
            frame: self.frame_timeout,
            unread: self.unread_timeout,
            idle: self.idle_timeout,
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
