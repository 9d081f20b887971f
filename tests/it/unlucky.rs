//! Peers that are slow, silent or impatient, on purpose or by bad luck.

use std::time::Duration;

use hotshelf::grpc::proto::{RecommendRequest, RecommendResponse};
use tokio::time::timeout;
use tonic::{Code, Status};
use tonic_health::pb::HealthCheckRequest;

use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, END_STREAM, GOAWAY, HEADERS, PING, RST_STREAM, Received,
    WINDOW_UPDATE, call, call_headers, frame, header, message,
};
use crate::harness::{
    FramePeer, Held, PATIENCE, RawConnection, Scrape, Season, Server, Shop, error_reason, until,
};

/// A setting of HTTP/2, and a code of its resets.
const INITIAL_WINDOW_SIZE: u16 = 4;
const REFUSED_STREAM: u8 = 7;
const RECOMMEND: &str = "/hotshelf.v1.RecommendationService/Recommend";
const WATCH: &str = "/grpc.health.v1.Health/Watch";

async fn server(settings: &[(&str, &str)]) -> Server {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    Server::serving(&shop, version, settings).await
}

/// A server with a short timeout for unread answers, and what it holds after its first answer.
async fn server_for_the_unread() -> (Server, Held) {
    let settings = [("unread-timeout-ms", "1000"), ("streams-max", "100")];
    let server = server(&settings).await;
    server.recommend("u0001").await.unwrap();
    let before = server.held();
    (server, before)
}

async fn until_closed_for(server: &Server, reason: &str, count: f64) {
    until(reason, async || {
        (closed_for(&server.scrape().await, reason) == Some(count)).then_some(())
    })
    .await;
}

/// Connections that were closed for this reason.
fn closed_for(scrape: &Scrape, reason: &str) -> Option<f64> {
    let labels = [("listener", "data"), ("reason", reason)];
    scrape.value("hotshelf_net_connections_refused_total", &labels)
}

fn somebody() -> RecommendRequest {
    RecommendRequest {
        user_id: "u0001".to_owned(),
        ..RecommendRequest::default()
    }
}

#[tokio::test]
async fn headers_that_drip_end_their_connection_in_time() {
    let server = server(&[("frame-timeout-ms", "1000")]).await;
    let whole = frame(HEADERS, END_HEADERS, 1, &call_headers(RECOMMEND));
    let apart = Duration::from_millis(100);
    let peer = FramePeer::open(server.data, &[]).await;
    assert!(peer.drip(&whole, apart).await, "a frame byte by byte");
    until_closed_for(&server, "frame_timeout", 1.0).await;
    // Every frame is there at once, and the block that they make never ends.
    let begin = frame(HEADERS, 0, 1, &call_headers(RECOMMEND));
    let more = frame(CONTINUATION, 0, 1, &[]);
    let mut peer = FramePeer::open(server.data, &[]).await;
    peer.send(&[begin, more].concat()).await.unwrap();
    peer.read.until_closed().await;
    until_closed_for(&server, "frame_timeout", 2.0).await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    server.stop().await;
}

#[tokio::test]
async fn message_that_drips_ends_its_call_and_not_its_connection() {
    let server = server(&[("call-timeout-ms", "1000"), ("calls-max", "1")]).await;
    let mut peer = FramePeer::open(server.data, &[]).await;
    let open = frame(HEADERS, END_HEADERS, 1, &call_headers(RECOMMEND));
    let body = message(&somebody());
    let first = frame(DATA, 0, 1, &body[..1]);
    peer.send(&[open, first].concat()).await.unwrap();
    let refused = peer.read.find(|frame| frame.stream == 1).await;
    assert_eq!((refused.kind, refused.flags), (HEADERS, 5), "{refused:?}");
    peer.send(&frame(RST_STREAM, 0, 1, &[0, 0, 0, 8]))
        .await
        .unwrap();
    // The only slot is free again, on this connection too.
    peer.send(&call(3, RECOMMEND, &somebody())).await.unwrap();
    let answer = peer.read.find(|frame| frame.stream == 3).await;
    assert_eq!((answer.kind, answer.flags), (HEADERS, END_HEADERS));
    let labels = [("listener", "data"), ("code", "DEADLINE_EXCEEDED")];
    let late = server
        .scrape()
        .await
        .sum("hotshelf_grpc_calls_total", &labels);
    assert_eq!(late, 1.0);
    drop(peer);
    server.stop().await;
}

#[tokio::test]
async fn idle_peer_gets_goaway_and_a_health_watcher_does_not() {
    let server = server(&[("idle-timeout-ms", "1000")]).await;
    let mut watcher = FramePeer::open(server.data, &[]).await;
    let watch = call(1, WATCH, &HealthCheckRequest::default());
    watcher.send(&watch).await.unwrap();
    watcher.read.find(|frame| frame.kind == DATA).await;
    // This one never sends a request.
    let mut silent = FramePeer::open(server.data, &[]).await;
    let goaway = silent.read.find(|frame| frame.kind == GOAWAY).await;
    assert_eq!(goaway.payload[4..8], [0; 4], "NO_ERROR");
    let ping = silent.read.find(|frame| frame.kind == PING).await;
    silent
        .send(&frame(PING, 1, 0, &ping.payload))
        .await
        .unwrap();
    silent.read.until_closed().await;
    let asked_once = RawConnection::open(server.data).await;
    until("GOAWAY", async || {
        asked_once.is_going_away().await.then_some(())
    })
    .await;
    asked_once.ended().await;
    until_closed_for(&server, "idle", 2.0).await;
    let open = server.scrape().await;
    let open = open.value("hotshelf_net_connections", &[("listener", "data")]);
    assert_eq!(open, Some(1.0), "the watcher's");
    // It came before both, and got no GOAWAY: the answer to its ping is all that it reads.
    let own = [1; 8];
    watcher.send(&frame(PING, 0, 0, &own)).await.unwrap();
    let is_it = |frame: &Received| frame.kind == GOAWAY || frame.payload == own;
    assert_eq!(watcher.read.find(is_it).await.kind, PING);
    drop(watcher);
    server.stop().await;
}

#[tokio::test]
async fn unread_answers_are_bounded_and_end_their_connection() {
    let (server, before) = server_for_the_unread().await;
    for (closed, window, refused) in [(1.0, 0, Some(50)), (2.0, 1, Some(50)), (3.0, 65_535, None)] {
        let mut peer = FramePeer::open(server.data, &[(INITIAL_WINDOW_SIZE, window)]).await;
        // The connection's own window is spent before these are all answered.
        peer.send(&long_calls(0..150)).await.unwrap();
        let mut resets = 0;
        while let Some(frame) = peer.read.next().await {
            resets += usize::from(frame.kind == RST_STREAM && frame.payload[3] == REFUSED_STREAM);
        }
        // While nothing of an answer is taken, no more than a hundred wait.
        assert!(refused.is_none_or(|refused| refused == resets), "{resets}");
        until_closed_for(&server, "unread_answers", closed).await;
        server.until_back_to(before, 24 << 20).await;
    }
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    server.stop().await;
}

/// Calls with long answers.
fn long_calls(numbers: std::ops::Range<u32>) -> Vec<u8> {
    let many = RecommendRequest {
        n: Some(100),
        ..somebody()
    };
    let ids = numbers.map(|number| 2 * number + 1);
    ids.flat_map(|id| call(id, RECOMMEND, &many)).collect()
}

/// Its windows are as wide as can be: the socket fills.
#[tokio::test]
async fn unread_socket_ends_its_connection() {
    let (server, before) = server_for_the_unread().await;
    let widest = (1 << 31) - 1;
    let wide = [(INITIAL_WINDOW_SIZE, widest)];
    let mut peer = FramePeer::with_small_buffer(server.data, &wide).await;
    let more = frame(WINDOW_UPDATE, 0, 0, &(widest - 65_535).to_be_bytes());
    peer.send(&more).await.unwrap();
    let closed = |scrape: &Scrape| closed_for(scrape, "unread_answers") == Some(1.0);
    let answered = |scrape: &Scrape| scrape.sum("hotshelf_version_requests_total", &[]);
    let first = answered(&server.scrape().await);
    let mut sent = 0;
    while !closed(&server.scrape().await) {
        // One hundred after the other, until the system takes no more of their answers.
        if peer.send(&long_calls(sent..sent + 100)).await.is_err() {
            break;
        }
        sent += 100;
        until("their answers or the end", async || {
            let scrape = server.scrape().await;
            let is_done = answered(&scrape) - first >= f64::from(sent);
            (is_done || closed(&scrape)).then_some(())
        })
        .await;
    }
    until_closed_for(&server, "unread_answers", 1.0).await;
    drop(peer);
    server.until_back_to(before, 24 << 20).await;
    server.stop().await;
}

#[tokio::test]
async fn impatient_calls_are_answered_once_each_and_leave_nothing_behind() {
    // The server's own limit is far off, so that the callers' deadlines alone end calls.
    let settings = [("calls-max", "64"), ("call-timeout-ms", "3600000")];
    let server = server(&settings).await;
    let before = server.held();
    let mut client = server.recommender().await;
    let mut codes = Vec::new();
    for turn in 0..500 {
        let mut request = tonic::Request::new(RecommendRequest {
            user_id: format!("u{:04}", turn % 200),
            ..RecommendRequest::default()
        });
        request.set_timeout(Duration::from_millis(1));
        let outcome = client.recommend(request).await;
        codes.push(outcome.map_or_else(|status| status.code(), |_| Code::Ok));
    }
    // A client's own clock may cancel what the server was about to refuse.
    let known = [Code::Ok, Code::DeadlineExceeded, Code::Cancelled];
    assert!(codes.iter().all(|code| known.contains(code)), "{codes:?}");
    // Messages that never come: the server alone keeps these deadlines.
    let mut connection = RawConnection::open(server.data).await;
    for _ in 0..200 {
        let call = connection.begin(RECOMMEND, Some("1m")).await;
        let late = timeout(PATIENCE, call.answer::<RecommendResponse>()).await;
        let late = late.expect("a deadline that is kept").unwrap_err();
        assert_eq!(late["grpc-status"], "4", "{late:?}");
    }
    drop((client, connection));
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    server.until_back_to(before, 24 << 20).await;
    server.stop().await;
}

#[tokio::test]
async fn deadline_that_has_passed_is_answered_and_nothing_is_computed() {
    let server = server(&[]).await;
    let mut peer = FramePeer::open(server.data, &[]).await;
    let computed = async || {
        let scrape = server.scrape().await;
        scrape.sum("hotshelf_version_requests_total", &[])
    };
    let before = computed().await;
    let timeouts = ["0n", "1n", "0H"];
    for (stream, timeout) in [1, 3, 5].into_iter().zip(timeouts) {
        // The message is there with the headers: only the deadline prevents an answer.
        let headers = [call_headers(RECOMMEND), header("grpc-timeout", timeout)].concat();
        let open = frame(HEADERS, END_HEADERS, stream, &headers);
        let body = frame(DATA, END_STREAM, stream, &message(&somebody()));
        peer.send(&[open, body].concat()).await.unwrap();
        let refused = peer.read.find(|frame| frame.stream == stream).await;
        assert_eq!((refused.kind, refused.flags), (HEADERS, 5), "{timeout}");
    }
    let labels = [("listener", "data"), ("code", "DEADLINE_EXCEEDED")];
    let scrape = server.scrape().await;
    let late = scrape.sum("hotshelf_grpc_calls_total", &labels);
    assert_eq!(late, timeouts.len() as f64);
    assert_eq!(computed().await, before);
    drop(peer);
    server.stop().await;
}

#[tokio::test]
async fn compressed_and_overlong_messages_are_refused_before_they_are_unpacked() {
    let server = server(&[]).await;
    let mut peer = FramePeer::open(server.data, &[]).await;
    // Four gigabytes are announced, and none is made room for, touched or not.
    let before = server.peak_address_bytes();
    let open = frame(HEADERS, END_HEADERS, 3, &call_headers(RECOMMEND));
    let announced = frame(DATA, 0, 3, &[0, 0xff, 0xff, 0xff, 0xff]);
    peer.send(&[open, announced].concat()).await.unwrap();
    let refused = peer.read.find(|frame| frame.stream == 3).await;
    assert_eq!(refused.kind, HEADERS);
    assert!(server.peak_address_bytes() < before + (4 << 30));
    let labels = [("listener", "data"), ("code", "OUT_OF_RANGE")];
    let scrape = server.scrape().await;
    assert_eq!(scrape.sum("hotshelf_grpc_calls_total", &labels), 1.0);
    drop(peer);
    let mut connection = RawConnection::open(server.data).await;
    let gzip = [("grpc-encoding", "gzip")];
    let compressed = connection.begin_with(RECOMMEND, &gzip).await;
    let refused = compressed.finish::<RecommendResponse>(&somebody()).await;
    let refused = Status::from_header_map(&refused.unwrap_err()).unwrap();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert_eq!(error_reason(&refused), "UNIMPLEMENTED");
    server.stop().await;
}

/// How a call ends for its peer; codes are those of HTTP/2 (RFC 9113, section 7).
#[derive(Debug, PartialEq)]
enum Ended {
    Answer,
    Refusal,
    Reset(u8),
    GoAway(u8),
}

#[tokio::test]
async fn strange_headers_fail_their_call_or_connection_and_no_other() {
    let server = server(&[]).await;
    let twice = ["grpc-timeout", "content-type", "te", "user-agent"];
    let twice = twice.map(|name| [header(name, "1S"), header(name, "\t~")].concat());
    let huge = header("x-huge", &"v".repeat(15_000));
    let thousands = header("x", "y").repeat(2_000);
    let too_large = [huge.clone(), huge].concat();
    let (broken, calm) = (1, 11);
    for (name, more, expected) in [
        ("twice", twice.concat(), Ended::Reset(broken)),
        ("two thousand", thousands, Ended::GoAway(calm)),
        (
            "no text",
            vec![0, 1, b'x', 3, 0xff, 0x80, 0xfe],
            Ended::Answer,
        ),
        ("upper case", header("X-Upper", "y"), Ended::GoAway(broken)),
        (
            "a line break",
            header("x-break", "a\r\nb: c"),
            Ended::GoAway(broken),
        ),
        (
            "connection",
            header("connection", "close"),
            Ended::Reset(broken),
        ),
        ("too large", too_large, Ended::Refusal),
    ] {
        let mut peer = FramePeer::open(server.data, &[]).await;
        let block = [call_headers(RECOMMEND), more].concat();
        let mut frames = Vec::new();
        let pieces: Vec<_> = block.chunks(16_000).collect();
        for (place, piece) in pieces.iter().enumerate() {
            let kind = if place == 0 { HEADERS } else { CONTINUATION };
            let is_last = place + 1 == pieces.len();
            frames.extend(frame(kind, END_HEADERS * u8::from(is_last), 1, piece));
        }
        let body = frame(DATA, END_STREAM, 1, &message(&somebody()));
        peer.send(&[frames, body].concat()).await.unwrap();
        let is_it = |frame: &Received| frame.stream == 1 || frame.kind == GOAWAY;
        let last = peer.read.find(is_it).await;
        let ended = match last.kind {
            RST_STREAM => Ended::Reset(last.payload[3]),
            GOAWAY => Ended::GoAway(last.payload[7]),
            _ if last.flags & END_STREAM == 0 => Ended::Answer,
            _ => Ended::Refusal,
        };
        assert_eq!(ended, expected, "{name}");
        assert_eq!(
            server.recommend("u0001").await.unwrap().version,
            1,
            "{name}"
        );
    }
    server.stop().await;
}
