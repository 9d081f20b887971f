//! Peers that flood. Meanwhile another client is served; afterwards the server holds no more than before, and
//! the metric gives the reason why the connection was closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use hotshelf::grpc::proto::RecommendRequest;

use crate::harness::frames::{
    CONTINUATION, DATA, END_HEADERS, HEADERS, PING, PRIORITY, RST_STREAM, Received, SETTINGS,
    WINDOW_UPDATE, call, call_headers, frame,
};
use crate::harness::{FramePeer, Held, Scrape, Season, Server, Shop, until};

const RECOMMEND: &str = "/hotshelf.v1.RecommendationService/Recommend";
/// Frames of each flood: far more than any of them is allowed.
const FRAMES: u32 = 100_000;
/// Requests opened before they are cancelled (chosen: fewer than the streams of a connection).
const BATCH: u32 = 50;
/// Connections that flood at the same time.
const FLOODERS: usize = 4;
/// What an allocator may keep after a flood (chosen: some connections' buffers; a leak of one small
/// object for each frame would pass it).
const SLACK: u64 = 24 << 20;

/// Our frame budget.
const FLOOD: &[&str] = &["frame_flood"];
/// A limit of HTTP/2's own.
const CALMED: &[&str] = &["calmed"];
/// Whichever limit is reached first.
const EITHER: &[&str] = &["frame_flood", "calmed"];

async fn server() -> Server {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    // Memory that every thread and the first connections allocate once is not measured.
    for user in Shop::users().iter().take(50) {
        server.recommend(user).await.unwrap();
    }
    server
}

fn refused(scrape: &Scrape, reasons: &[&str]) -> f64 {
    let count = |reason: &&str| {
        let labels = [("listener", "data"), ("reason", *reason)];
        scrape.sum("hotshelf_net_connections_refused_total", &labels)
    };
    reasons.iter().map(count).sum()
}

/// A well-behaved client, asking for as long as the others flood.
struct Healthy {
    stop: Arc<AtomicBool>,
    asking: tokio::task::JoinHandle<u32>,
}

impl Healthy {
    async fn start(server: &Server) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (seen, mut client) = (Arc::clone(&stop), server.recommender().await);
        let asking = tokio::spawn(async move {
            let mut answers = 0;
            while answers < 20 || !seen.load(Ordering::Relaxed) {
                let request = RecommendRequest {
                    user_id: format!("u{:04}", answers % 200),
                    ..RecommendRequest::default()
                };
                client
                    .recommend(request)
                    .await
                    .expect("a well-behaved client");
                answers += 1;
            }
            answers
        });
        Self { stop, asking }
    }

    async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        assert!(self.asking.await.unwrap() >= 20);
    }
}

/// Floods over some connections with what `bytes` makes for each turn, after `first`.
async fn withstands(
    server: &Server,
    (name, reasons): (&str, &[&str]),
    (first, bytes): (Vec<u8>, impl Fn(u32) -> Vec<u8> + Clone + Send + 'static),
) {
    let before: Held = server.held();
    let counted = refused(&server.scrape().await, reasons);
    let healthy = Healthy::start(server).await;
    let mut floods = tokio::task::JoinSet::new();
    for _ in 0..FLOODERS {
        let (data, first, bytes) = (server.data, first.clone(), bytes.clone());
        floods.spawn(async move {
            let mut peer = FramePeer::open(data, &[]).await;
            peer.send(&first).await.unwrap();
            peer.flood(bytes, FRAMES).await
        });
    }
    while let Some(closed) = floods.join_next().await {
        assert!(closed.unwrap(), "{name}: not closed");
    }
    healthy.stop().await;
    until(&format!("{name}: {reasons:?} counted"), async || {
        let now = refused(&server.scrape().await, reasons);
        (now == counted + FLOODERS as f64).then_some(())
    })
    .await;
    server.until_back_to(before, SLACK).await;
}

#[tokio::test]
async fn control_frames_without_requests_end_their_connection_and_no_other() {
    let server = server().await;
    let flood = |one: Vec<u8>| (Vec::new(), move |_| one.clone());
    for (name, one) in [
        ("PING", frame(PING, 0, 0, &[7; 8])),
        ("SETTINGS", frame(SETTINGS, 0, 0, &[0, 4, 0, 0, 0xff, 0xff])),
        ("WINDOW_UPDATE", frame(WINDOW_UPDATE, 0, 0, &[0, 0, 0, 1])),
        ("PRIORITY", frame(PRIORITY, 0, 3, &[0, 0, 0, 0, 1])),
        ("a frame of no known type", frame(0x77, 0, 0, &[1; 20])),
    ] {
        withstands(&server, (name, FLOOD), flood(one)).await;
    }
    server.stop().await;
}

#[tokio::test]
async fn body_or_header_block_in_empty_frames_ends_its_connection_and_no_other() {
    let server = server().await;
    let open = frame(HEADERS, END_HEADERS, 1, &call_headers(RECOMMEND));
    let empty = |_| frame(DATA, 0, 1, &[]);
    withstands(&server, ("empty DATA", EITHER), (open.clone(), empty)).await;
    let announced = frame(DATA, 0, 1, &[0, 0, 0xf, 0xff, 0xff]);
    let tiny = |_| frame(DATA, 0, 1, &[0]);
    let message = [open, announced].concat();
    withstands(&server, ("tiny DATA", EITHER), (message, tiny)).await;
    let block = frame(HEADERS, 0, 1, &call_headers(RECOMMEND));
    let more = |_| frame(CONTINUATION, 0, 1, &[]);
    withstands(&server, ("CONTINUATION", EITHER), (block, more)).await;
    server.stop().await;
}

#[tokio::test]
async fn requests_cancelled_at_once_end_their_connection_and_no_other() {
    let server = server().await;
    let stream = |turn: u32| 2 * turn + 1;
    let request = RecommendRequest::default();
    let reset = move |turn: u32| {
        let cancelled = frame(RST_STREAM, 0, stream(turn), &[0, 0, 0, 8]);
        [call(stream(turn), RECOMMEND, &request), cancelled].concat()
    };
    withstands(&server, ("rapid reset", CALMED), (Vec::new(), reset)).await;
    // The peer makes the server reset: a window beyond all bounds.
    let made_to_reset = move |turn: u32| {
        let headers = call_headers(RECOMMEND);
        let open = frame(HEADERS, END_HEADERS, stream(turn), &headers);
        let update = [0x7f, 0xff, 0xff, 0xff];
        let overflow = frame(WINDOW_UPDATE, 0, stream(turn), &update);
        [open, overflow].concat()
    };
    let made = ("resets by the server", CALMED);
    withstands(&server, made, (Vec::new(), made_to_reset)).await;
    server.stop().await;
}

#[tokio::test]
async fn requests_cancelled_one_after_the_other_spend_the_budget() {
    let server = server().await;
    let before = server.held();
    let healthy = Healthy::start(&server).await;
    let mut peer = FramePeer::open(server.data, &[]).await;
    let ping = frame(PING, 0, 0, &[1; 8]);
    // The server has read each request before it is cancelled: the pong shows it. Some at a time, so that a slow
    // machine does not refill the budget between two of them.
    for round in 0..FRAMES / BATCH {
        let streams = (round * BATCH..(round + 1) * BATCH).map(|number| 2 * number + 1);
        let open = |stream| frame(HEADERS, END_HEADERS, stream, &call_headers(RECOMMEND));
        let opened: Vec<u8> = streams.clone().flat_map(open).collect();
        if peer.send(&[opened, ping.clone()].concat()).await.is_err() {
            break;
        }
        let mut next = peer.read.next().await;
        while next.as_ref().is_some_and(|next| next.kind != PING) {
            next = peer.read.next().await;
        }
        let cancel = |stream| frame(RST_STREAM, 0, stream, &[0, 0, 0, 8]);
        let cancelled: Vec<u8> = streams.flat_map(cancel).collect();
        if next.is_none() || peer.send(&cancelled).await.is_err() {
            break;
        }
        assert!(round + 1 < FRAMES / BATCH, "never closed");
    }
    healthy.stop().await;
    until("frame_flood counted", async || {
        (refused(&server.scrape().await, FLOOD) == 1.0).then_some(())
    })
    .await;
    drop(peer);
    server.until_back_to(before, SLACK).await;
    server.stop().await;
}

#[tokio::test]
async fn greedy_client_does_not_starve_another() {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let settings = [
        ("data-threads", "1"),
        ("wait-max-ms", "1"),
        ("calls-max", "64"),
    ];
    let server = Server::serving(&shop, version, &settings).await;
    server.recommend("u0001").await.unwrap();
    let before = server.held();
    let healthy = Healthy::start(&server).await;
    let mut peer = FramePeer::open(server.data, &[]).await;
    // As many at once as a connection may have, and again when all are answered.
    let (mut first, streams) = (1, 200);
    let request = RecommendRequest::default();
    for _ in 0..20 {
        let ids = (0..streams).map(|turn| first + 2 * turn);
        let calls: Vec<u8> = ids.flat_map(|id| call(id, RECOMMEND, &request)).collect();
        peer.send(&calls).await.unwrap();
        for _ in 0..streams {
            let is_end = |frame: &Received| frame.kind == HEADERS && frame.flags & 1 == 1;
            peer.read.find(is_end).await;
        }
        let window = frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes());
        peer.send(&window).await.unwrap();
        first += 2 * streams;
    }
    healthy.stop().await;
    let shed = server.scrape().await.value("hotshelf_grpc_shed_total", &[]);
    assert!(shed.unwrap() > 0.0);
    drop(peer);
    server.until_back_to(before, SLACK).await;
    server.stop().await;
}

#[tokio::test]
async fn storm_of_connections_is_accepted_at_its_rate_and_others_are_served() {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let settings = [("accepts-per-s-max", "200")];
    let server = Server::serving(&shop, version, &settings).await;
    let before = server.held();
    let healthy = Healthy::start(&server).await;
    let mut storm = tokio::task::JoinSet::new();
    for _ in 0..FLOODERS {
        let data = server.data;
        storm.spawn(async move {
            for _ in 0..100 {
                tokio::net::TcpStream::connect(data).await.unwrap();
            }
        });
    }
    while let Some(ended) = storm.join_next().await {
        ended.unwrap();
    }
    let data = [("listener", "data")];
    until("connections held back", async || {
        let held = server
            .scrape()
            .await
            .value("hotshelf_net_accepts_held_total", &data);
        (held? > 0.0).then_some(())
    })
    .await;
    healthy.stop().await;
    until("none of them is open", async || {
        let open = server
            .scrape()
            .await
            .value("hotshelf_net_connections", &data);
        (open == Some(0.0)).then_some(())
    })
    .await;
    server.until_back_to(before, SLACK).await;
    server.stop().await;
}
