//! Callers whose requests are malformed: it is their fault, and they are told so.

use bytes::Bytes;
use hotshelf::grpc::proto::{GetModelStatusRequest, RecommendRequest, RecommendResponse};
use prost::Message;
use tonic::{Code, Status};

use crate::harness::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, RST_STREAM, call_headers, call_headers_at, frame,
    header, message,
};
use crate::harness::{FramePeer, RawConnection, Season, Server, Shop, error_reason, until};

const RECOMMEND: &str = "/hotshelf.v1.RecommendationService/Recommend";
const SIMILAR: &str = "/hotshelf.v1.RecommendationService/SimilarProducts";
const STATUS: &str = "/hotshelf.v1.ModelService/GetModelStatus";
const CHECK: &str = "/grpc.health.v1.Health/Check";

async fn server() -> Server {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    Server::serving(&shop, version, &[]).await
}

fn somebody() -> RecommendRequest {
    RecommendRequest {
        user_id: "u0001".to_owned(),
        ..RecommendRequest::default()
    }
}

/// A gRPC frame with this flag, announced length and payload.
fn body(flag: u8, announced: usize, payload: &[u8]) -> Bytes {
    let announced = u32::try_from(announced).unwrap();
    [&[flag][..], &announced.to_be_bytes(), payload]
        .concat()
        .into()
}

fn whole(payload: &[u8]) -> Bytes {
    body(0, payload.len(), payload)
}

#[tokio::test]
async fn messages_that_do_not_decode_are_invalid_arguments_on_every_service() {
    let server = server().await;
    let encoded = somebody().encode_to_vec();
    // Field 1 of every request here is a text or absent.
    let bodies = [
        ("not UTF-8", whole(&[0x0a, 2, 0xff, 0xfe])),
        ("half a character", whole(&[0x0a, 1, 0xc3])),
        ("a field that is cut", whole(&encoded[..encoded.len() - 1])),
        ("a number that never ends", whole(&[0x08, 0xff, 0xff])),
        ("an unknown wire type", whole(&[0x0f, 1])),
        ("field number 0", whole(&[0x02, 0])),
        ("another type of field", whole(&[0x08, 1])),
        (
            "a message that is cut",
            body(0, encoded.len() + 10, &encoded),
        ),
        ("half a prefix", Bytes::from_static(&[0, 0])),
        ("no message", Bytes::new()),
        (
            "an unknown compression flag",
            body(2, encoded.len(), &encoded),
        ),
        (
            "compressed without a word",
            body(1, encoded.len(), &encoded),
        ),
    ];
    for (to, path) in [
        (server.data, RECOMMEND),
        (server.data, SIMILAR),
        (server.admin, STATUS),
        (server.data, CHECK),
    ] {
        let mut connection = RawConnection::open(to).await;
        for (name, body) in &bodies {
            let call = connection.begin(path, None).await;
            let answer = call.finish_with::<()>(body.clone()).await;
            let status = Status::from_header_map(&answer.unwrap_err()).unwrap();
            let said = format!("{path}, {name}: {status:?}");
            assert_eq!(status.code(), Code::InvalidArgument, "{said}");
            assert_eq!(error_reason(&status), "BAD_MESSAGE", "{said}");
        }
    }
    let internal = server.scrape().await;
    let internal = internal.sum("hotshelf_grpc_calls_total", &[("code", "INTERNAL")]);
    assert_eq!(internal, 0.0, "none of it is the server's fault");
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    server.stop().await;
}

#[tokio::test]
async fn malformed_timeout_is_an_invalid_argument_on_every_service() {
    let server = server().await;
    let mut data = RawConnection::open(server.data).await;
    let mut admin = RawConnection::open(server.admin).await;
    for timeout in ["5x", "-1S", "1.5S", "123456789S", "S", "", "1S2S", "soon"] {
        let call = data.begin(RECOMMEND, Some(timeout)).await;
        let answer = call.finish::<RecommendResponse>(&somebody()).await;
        let refused = Status::from_header_map(&answer.unwrap_err()).unwrap();
        assert_eq!(refused.code(), Code::InvalidArgument, "{timeout:?}");
        assert!(refused.message().contains("grpc-timeout"), "{refused:?}");
        let call = admin.begin(STATUS, Some(timeout)).await;
        let answer = call.finish::<()>(&GetModelStatusRequest::default()).await;
        assert_eq!(answer.unwrap_err()["grpc-status"], "3", "{timeout:?}");
    }
    let twice = [("grpc-timeout", "1S"), ("grpc-timeout", "2S")];
    let call = data.begin_with(RECOMMEND, &twice).await;
    let answer = call.finish::<RecommendResponse>(&somebody()).await;
    assert_eq!(answer.unwrap_err()["grpc-status"], "3");
    let call = data.begin(RECOMMEND, Some("5S")).await;
    let answer: RecommendResponse = call.finish(&somebody()).await.unwrap();
    assert_eq!(answer.version, 1);
    server.stop().await;
}

/// The kind of answer to a call with this block of headers.
async fn answered_or_reset(server: &Server, headers: &[u8]) -> u8 {
    let mut peer = FramePeer::open(server.data, &[]).await;
    let open = frame(HEADERS, END_HEADERS, 1, headers);
    let body = frame(DATA, END_STREAM, 1, &message(&somebody()));
    peer.send(&[open, body].concat()).await.unwrap();
    peer.read.find(|frame| frame.stream == 1).await.kind
}

#[tokio::test]
async fn every_authority_that_http_allows_is_served() {
    let server = server().await;
    for authority in [
        "localhost",
        "HOTSHELF.shop.svc:50051",
        "with_underscore",
        "[::1]:50051",
        "a,b",
        "user@host",
    ] {
        let headers = call_headers_at(RECOMMEND, authority);
        let kind = answered_or_reset(&server, &headers).await;
        assert_eq!(kind, HEADERS, "{authority:?}");
    }
    let without: Vec<u8> = [
        header(":method", "POST"),
        header(":scheme", "http"),
        header(":path", RECOMMEND),
        header("content-type", "application/grpc"),
        header("te", "trailers"),
    ]
    .concat();
    assert_eq!(answered_or_reset(&server, &without).await, HEADERS);
    server.stop().await;
}

#[tokio::test]
async fn invalid_authority_is_reset_counted_and_logged_with_the_remedy() {
    let mut server = server().await;
    let lists = [
        "10.0.0.1:50051,10.0.0.2:50051",
        "10.0.0.1:1,10.0.0.2:1,10.0.0.3:1",
        "[::1]:1,[::1]:2",
        "with blank",
        "/run/hotshelf.sock",
        "%2Frun%2Fhotshelf.sock",
    ];
    for authority in lists {
        let headers = call_headers_at(RECOMMEND, authority);
        let kind = answered_or_reset(&server, &headers).await;
        assert_eq!(kind, RST_STREAM, "{authority:?}");
    }
    let labels = [("listener", "data"), ("code", "PROTOCOL_ERROR")];
    until("resets counted", async || {
        let resets = server.scrape().await;
        let resets = resets.value("hotshelf_net_streams_reset_total", &labels);
        (resets == Some(lists.len() as f64)).then_some(())
    })
    .await;
    let said = "stream reset: malformed request headers; a client whose target is a list of addresses must set \
                grpc.default_authority";
    server.logged(said).await;
    let whole = call_headers(RECOMMEND);
    assert_eq!(answered_or_reset(&server, &whole).await, HEADERS);
    server.stop().await;
}
