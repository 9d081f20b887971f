//! Whatever callers write: the logs keep their lines, and the metrics their number of series.

use hotshelf::grpc::proto::{
    RecommendRequest, ReloadModelRequest, SimilarProductsRequest, SimilarityBasis,
};
use serde_json::Value;
use tonic::Code;

use crate::harness::frames::{
    DATA, END_HEADERS, END_STREAM, HEADERS, WINDOW_UPDATE, call_headers_at, frame, header, message,
};
use crate::harness::{FramePeer, RawConnection, Season, Server, Shop, until};

/// Random names of methods, and of whatever else a caller may name.
const NAMES: u32 = 100_000;
const CONNECTIONS: u32 = 4;
/// Calls sent at once on a connection; it may have 256.
const BATCH: u32 = 200;
const RECOMMEND: &str = "/hotshelf.v1.RecommendationService/Recommend";

/// A different name for every number, with what labels and logs might stumble over.
fn name(number: u32) -> String {
    let mixed = number.wrapping_mul(0x9e37_79b9);
    format!("n{mixed:08x}-{number}\"{{}}\\=")
}

/// A call with nothing in it that was ever said before.
fn odd_call(stream: u32, number: u32) -> Vec<u8> {
    let odd = name(number);
    // One in four asks a method that exists.
    let path = match number % 4 {
        0 => RECOMMEND.to_owned(),
        1 => format!("/hotshelf.v1.RecommendationService/{number:x}"),
        2 => format!("/hotshelf.v1.Service{number:x}/Recommend"),
        _ => format!("/{number:x}"),
    };
    let headers = [
        call_headers_at(&path, &format!("host-{number}")),
        header("user-agent", &odd),
        header("x-request-id", &odd),
        header(&format!("x-{number}"), "1"),
    ];
    let request = RecommendRequest {
        user_id: odd.clone(),
        // Mostly a model that nobody knows.
        model: if number.is_multiple_of(8) {
            String::new()
        } else {
            odd.clone()
        },
        session_id: odd,
        ..RecommendRequest::default()
    };
    [
        frame(HEADERS, END_HEADERS, stream, &headers.concat()),
        frame(DATA, END_STREAM, stream, &message(&request)),
    ]
    .concat()
}

async fn send_odd_calls(server: std::net::SocketAddr, numbers: std::ops::Range<u32>) {
    let mut peer = FramePeer::open(server, &[]).await;
    let mut stream = 1;
    for first in numbers.step_by(BATCH as usize) {
        let calls = (0..BATCH).map(|turn| odd_call(stream + 2 * turn, first + turn));
        let window = frame(WINDOW_UPDATE, 0, 0, &(1_u32 << 20).to_be_bytes());
        let bytes = calls.flatten().chain(window).collect::<Vec<u8>>();
        peer.send(&bytes).await.unwrap();
        for _ in 0..BATCH {
            let is_end = |flags: u8| flags & END_STREAM != 0;
            peer.read
                .find(|frame| frame.kind == HEADERS && is_end(frame.flags))
                .await;
        }
        stream += 2 * BATCH;
    }
}

#[tokio::test]
async fn series_do_not_grow_with_what_callers_name() {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    // A series that comes with its first call is there before they are counted.
    send_odd_calls(server.data, 0..BATCH).await;
    server.recommend("u0001").await.unwrap();
    let unknown_product = async |number: u32, basis: SimilarityBasis| {
        let request = SimilarProductsRequest {
            product_id: name(number),
            basis: basis.into(),
            ..SimilarProductsRequest::default()
        };
        server.similar(request).await.unwrap_err()
    };
    unknown_product(0, SimilarityBasis::Content).await;
    let before = server.scrape().await.len();
    let mut senders = tokio::task::JoinSet::new();
    for turn in 0..CONNECTIONS {
        let each = NAMES / CONNECTIONS;
        senders.spawn(send_odd_calls(server.data, turn * each..(turn + 1) * each));
    }
    for number in 0..200 {
        let refused = unknown_product(number, SimilarityBasis::Content).await;
        assert_eq!(refused.code(), Code::NotFound);
    }
    while let Some(sent) = senders.join_next().await {
        sent.unwrap();
    }
    let after = server.scrape().await;
    assert_eq!(after.len(), before);
    let calls = after.sum("hotshelf_grpc_calls_total", &[("listener", "data")]);
    assert!(calls > f64::from(NAMES), "{calls}");
    server.stop().await;
}

#[tokio::test]
async fn what_callers_write_is_escaped_and_cut_in_the_log() {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[("log-level", "debug")]).await;
    let (evil, long) = ("a\u{1b}[31m\nlevel=ERROR\u{202e}", "x".repeat(100_000));
    for user_id in [evil, &long] {
        // Answered or refused: it is what the log makes of it that counts.
        let _ = server.recommend(user_id).await;
    }
    let mut connection = RawConnection::open(server.data).await;
    let path = format!("/{}", "p".repeat(10_000));
    let call = connection.begin(&path, None).await;
    let nothing = RecommendRequest::default();
    let refused = call.finish::<RecommendRequest>(&nothing).await;
    assert_eq!(refused.unwrap_err()["grpc-status"], "12");
    let refused = server.reload_as(ReloadModelRequest {
        author: evil.to_owned(),
        ..ReloadModelRequest::default()
    });
    assert_eq!(refused.await.unwrap_err().code(), Code::InvalidArgument);
    // A reason may have several lines; the log still has one line for it.
    let other = shop.publish(Season::Autumn).await.version;
    let reason = "first line\n{\"level\":\"ERROR\",\"message\":\"forged\"}\tend".to_owned();
    let reload = ReloadModelRequest {
        version: Some(other),
        author: "tests".to_owned(),
        reason,
        ..ReloadModelRequest::default()
    };
    server.reload_as(reload).await.unwrap();
    let wild = format!("{{\"format\": \"\\u001b[31m\\n{}\"}}", "y".repeat(50_000));
    let record = shop.root().join("toy/rollouts/000003.json");
    std::fs::write(record, wild).unwrap();
    until("the record that is none, in the log", async || {
        (server.times_logged("rollout record skipped") == 1).then_some(())
    })
    .await;
    let lines = server.lines();
    for line in &lines {
        assert!(line.is_object(), "{line}");
        for text in line.as_object().unwrap().values().filter_map(Value::as_str) {
            assert!(text.chars().count() < 1_100, "{text}");
            let is_wild = |c: char| c.is_control() || c == '\u{202e}';
            assert!(!text.contains(is_wild), "{text:?}");
        }
    }
    let all = format!("{lines:#?}");
    for expected in [
        "first line\\\\n{",
        "}\\\\tend",
        &format!("{}… (9001 characters more)", "p".repeat(900)),
    ] {
        assert!(all.contains(expected), "{expected} is not in {all}");
    }
    server.stop().await;
}
