//! Peers that violate the protocol or its limits.

use std::any::Any;
use std::net::SocketAddr;
use std::process::Command;

use hotshelf::grpc::proto::{ProductFilter, RecommendRequest, RecommendResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::{Code, Status};

use crate::harness::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, call, call_headers, frame, header, message,
};
use crate::harness::{
    FramePeer, RawConnection, Scrape, Season, Server, Shop, error_reason, http_get, until,
};

async fn server(shop: &Shop, settings: &[(&str, &str)]) -> Server {
    let version = shop.publish(Season::Spring).await.version;
    Server::serving(shop, version, settings).await
}

/// Connects, sends these bytes, and waits until the server has closed.
async fn is_closed_after(to: SocketAddr, said: &[u8]) {
    let mut stream = TcpStream::connect(to).await.unwrap();
    stream.write_all(said).await.unwrap();
    let mut rest = Vec::new();
    // A reset closes as well as an end does.
    let read = tokio::time::timeout(crate::harness::PATIENCE, stream.read_to_end(&mut rest)).await;
    let _ended = read.expect("the server never closed");
    assert!(rest.is_empty(), "{rest:?}");
}

async fn until_refused(server: &Server, reason: &str, count: f64) {
    until(reason, async || {
        let scrape = server.scrape().await;
        let labels = [("listener", "data"), ("reason", reason)];
        let refused = scrape.value("hotshelf_net_connections_refused_total", &labels);
        (refused == Some(count)).then_some(())
    })
    .await;
}

#[tokio::test]
async fn silent_and_foreign_connections_are_closed_and_counted() {
    let shop = Shop::new();
    let server = server(&shop, &[("preface-timeout-ms", "1000")]).await;
    is_closed_after(server.data, b"").await;
    is_closed_after(server.data, b"PRI * HTTP/2.0\r\n").await;
    until_refused(&server, "preface_timeout", 2.0).await;
    is_closed_after(server.data, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await;
    is_closed_after(server.data, &[0x16, 0x03, 0x01, 0x02, 0x00]).await;
    until_refused(&server, "not_http2", 2.0).await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    server.stop().await;
}

#[tokio::test]
async fn connections_beyond_the_limit_are_closed_and_those_within_it_serve() {
    let shop = Shop::new();
    let server = server(&shop, &[("connections-max", "2")]).await;
    // Those that waited for readiness are gone.
    let open = async |server: &Server| {
        server
            .scrape()
            .await
            .value("hotshelf_net_connections", &[("listener", "data")])
    };
    until("no connection", async || {
        (open(&server).await.unwrap_or(0.0) == 0.0).then_some(())
    })
    .await;
    let one = RawConnection::open(server.data).await;
    let mut other = server.recommender().await;
    until("two connections", async || {
        (open(&server).await == Some(2.0)).then_some(())
    })
    .await;
    is_closed_after(server.data, b"").await;
    until_refused(&server, "connections_max", 1.0).await;
    let request = RecommendRequest {
        user_id: "u0001".to_owned(),
        ..RecommendRequest::default()
    };
    assert_eq!(
        other.recommend(request).await.unwrap().into_inner().version,
        1
    );
    drop(one);
    until("room again", async || {
        (open(&server).await == Some(1.0)).then_some(())
    })
    .await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    server.stop().await;
}

/// So many connections to each gRPC listener: half-open, idle and watching ones.
async fn hold(server: &Server, count: usize) -> Vec<Box<dyn Any>> {
    let mut held: Vec<Box<dyn Any>> = Vec::new();
    for at in [server.data, server.admin] {
        for number in 0..count {
            held.push(match number % 3 {
                0 => {
                    let mut half_open = TcpStream::connect(at).await.unwrap();
                    half_open.write_all(b"PRI * HTTP/2.0\r\n").await.unwrap();
                    Box::new(half_open)
                }
                1 => Box::new(RawConnection::open(at).await),
                _ => Box::new(Server::watch_health_at(at).await),
            });
        }
    }
    held
}

#[tokio::test]
async fn probe_gets_through_whatever_holds_the_connections() {
    let shop = Shop::new();
    let settings = [("connections-max", "30"), ("preface-timeout-ms", "60000")];
    let server = server(&shop, &settings).await;
    let mut held = hold(&server, 30).await;
    let beyond = |page: &Scrape, reason| {
        let refused = "hotshelf_net_connections_refused_total";
        page.value(refused, &[("listener", "data"), ("reason", reason)])
    };
    for _ in 0..20 {
        // Others come all the time, and say nothing.
        for at in [server.data, server.admin] {
            for _ in 0..20 {
                held.push(Box::new(TcpStream::connect(at).await.unwrap()));
            }
            assert!(Server::is_serving(at, "").await.unwrap());
        }
        assert_eq!(http_get(server.http, "/livez").await.0, 200);
    }
    let page = server.scrape().await;
    assert!(beyond(&page, "connections_max") >= Some(420.0));
    assert!(beyond(&page, "evicted") >= Some(1.0));
    // They are for probes alone.
    let refused = server.recommend("u0001").await.unwrap_err();
    assert_eq!(error_reason(&refused), "OVERLOADED");
    drop(held);
    until("room again", async || {
        server.recommend("u0001").await.is_ok().then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn few_descriptors_leave_some_for_probes() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    let mut command = Command::new("/bin/sh");
    command.args(["-c", r#"ulimit -n 700; exec "$0" "$@""#]);
    command.arg(env!("CARGO_BIN_EXE_hotshelf"));
    let mut server = Server::start_binary(&mut command, &shop, &[]).await;
    server.reload(1).await.unwrap();
    server.until_ready().await;
    let message =
        "the limit of file descriptors lowers connections_max; raise it (ulimit -n, LimitNOFILE)";
    let said = server.logged(message).await;
    assert_eq!(said["descriptors"], 700);
    let held = hold(&server, 250).await;
    for at in [server.data, server.admin] {
        assert!(Server::is_serving(at, "").await.unwrap());
    }
    assert_eq!(http_get(server.http, "/livez").await.0, 200);
    drop(held);
    until("room again", async || {
        server.recommend("u0001").await.is_ok().then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn message_above_the_limit_is_refused_and_the_connection_stays() {
    let shop = Shop::new();
    let server = server(&shop, &[("message-bytes-max", "1024")]).await;
    let mut client = server.recommender().await;
    let exclude_product_ids = vec!["p".repeat(100); 20];
    let filter = Some(ProductFilter {
        exclude_product_ids,
        ..ProductFilter::default()
    });
    let refused = client
        .recommend(RecommendRequest {
            filter,
            ..Default::default()
        })
        .await
        .unwrap_err();
    assert!(
        matches!(refused.code(), Code::OutOfRange | Code::ResourceExhausted),
        "{refused:?}"
    );
    let request = RecommendRequest {
        user_id: "u0001".to_owned(),
        ..Default::default()
    };
    assert_eq!(
        client
            .recommend(request)
            .await
            .unwrap()
            .into_inner()
            .version,
        1
    );
    server.stop().await;
}

#[tokio::test]
async fn connection_of_age_gets_goaway_and_its_calls_are_finished() {
    let shop = Shop::new();
    let server = server(&shop, &[("connection-age-ms", "2000")]).await;
    let mut connection = RawConnection::open(server.data).await;
    let path = "/hotshelf.v1.RecommendationService/Recommend";
    let call = connection.begin(path, None).await;
    until("GOAWAY", async || {
        connection.is_going_away().await.then_some(())
    })
    .await;
    let request = RecommendRequest {
        user_id: "u0001".to_owned(),
        ..Default::default()
    };
    let answer: RecommendResponse = call.finish(&request).await.unwrap();
    assert_eq!(answer.version, 1);
    connection.ended().await;
    server.stop().await;
}

#[tokio::test]
async fn calls_beyond_the_limit_are_rejected_at_once_with_a_pushback() {
    let shop = Shop::new();
    let server = server(&shop, &[("calls-max", "1")]).await;
    let mut connection = RawConnection::open(server.data).await;
    let path = "/hotshelf.v1.RecommendationService/Recommend";
    // Its message is still to come: until then it holds the only slot.
    let call = connection.begin(path, None).await;
    let request = RecommendRequest {
        user_id: "u0001".to_owned(),
        ..Default::default()
    };
    let second = connection.begin(path, None).await;
    let refused = second
        .finish::<RecommendResponse>(&request)
        .await
        .unwrap_err();
    assert_eq!(refused["grpc-status"], "14", "{refused:?}");
    assert!(
        refused.contains_key("grpc-retry-pushback-ms"),
        "{refused:?}"
    );
    assert!(
        Server::is_serving(server.data, "").await.unwrap(),
        "health needs no slot"
    );
    assert!(
        server
            .scrape()
            .await
            .value("hotshelf_grpc_shed_total", &[])
            .unwrap()
            == 1.0
    );
    let answer: RecommendResponse = call.finish(&request).await.unwrap();
    assert_eq!(answer.version, 1);
    until("the slot again", async || {
        server.recommend("u0001").await.ok()
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn unknown_methods_are_answered_alike_on_both_listeners() {
    let shop = Shop::new();
    let server = server(&shop, &[]).await;
    let paths = [
        "/hotshelf.v1.ModelService/Nothing",
        "/hotshelf.v1.RecommendationService/Nothing",
        "/grpc.health.v1.Health/Nothing",
        "/x",
        "/",
    ];
    for (listener, other) in [
        (server.data, "/hotshelf.v1.ModelService/ReloadModel"),
        (server.admin, "/hotshelf.v1.RecommendationService/Recommend"),
    ] {
        let mut connection = RawConnection::open(listener).await;
        for path in paths.into_iter().chain([other]) {
            let call = connection.begin(path, None).await;
            let nothing = RecommendRequest::default();
            let headers = call.finish::<RecommendResponse>(&nothing).await;
            let refused = Status::from_header_map(&headers.unwrap_err()).unwrap();
            assert_eq!(refused.code(), Code::Unimplemented, "{path}");
            assert_eq!(error_reason(&refused), "NOT_SERVED_YET", "{path}");
            assert!(refused.message().ends_with("is not served by this release"));
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn streams_beyond_the_limit_are_refused_and_the_connection_serves_on() {
    let shop = Shop::new();
    let server = server(&shop, &[("streams-max", "4")]).await;
    let mut peer = FramePeer::open(server.data, &[]).await;
    let path = "/hotshelf.v1.RecommendationService/Recommend";
    // Calls whose message is still to come: they stay open.
    let opened = |stream| frame(HEADERS, END_HEADERS, stream, &call_headers(path));
    let five: Vec<u8> = [1, 3, 5, 7, 9].into_iter().flat_map(opened).collect();
    peer.send(&five).await.unwrap();
    let refused = peer.read.find(|frame| frame.kind == RST_STREAM).await;
    let refused_stream = 7;
    assert_eq!((refused.stream, refused.payload[3]), (9, refused_stream));
    let body = message(&RecommendRequest::default());
    let finished = frame(DATA, END_STREAM, 1, &body);
    peer.send(&finished).await.unwrap();
    let answer = peer.read.find(|frame| frame.kind == HEADERS).await;
    assert_eq!(answer.stream, 1);
    drop(peer);
    server.stop().await;
}

/// While the request is open; frames for one that was answered before its end are ignored.
#[tokio::test]
async fn second_header_block_that_ends_nothing_resets_its_request_and_no_other() {
    let shop = Shop::new();
    let server = server(&shop, &[]).await;
    let mut peer = FramePeer::open(server.data, &[]).await;
    let path = "/hotshelf.v1.RecommendationService/Recommend";
    for (stream, trailer) in [(1, header("x-late", "1")), (3, header(":method", "POST"))] {
        let opened = frame(HEADERS, END_HEADERS, stream, &call_headers(path));
        let second = frame(HEADERS, END_HEADERS, stream, &trailer);
        peer.send(&opened).await.unwrap();
        peer.send(&second).await.unwrap();
        let reset = peer.read.find(|frame| frame.kind == RST_STREAM).await;
        let protocol_error = 1;
        assert_eq!((reset.stream, reset.payload[3]), (stream, protocol_error));
    }
    let whole = call(5, path, &RecommendRequest::default());
    peer.send(&whole).await.unwrap();
    let answer = peer.read.find(|frame| frame.kind == HEADERS).await;
    assert_eq!(answer.stream, 5);
    drop(peer);
    server.stop().await;
}
