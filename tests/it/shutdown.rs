//! The end of a server: callers hear of it before anything fails, and what is under way is finished.

use hotshelf::grpc::proto::{RecommendRequest, RecommendResponse};
use rustix::process::Signal;

use crate::harness::{RawConnection, Season, Server, Shop, Traffic, until};

const RECOMMEND: &str = "/hotshelf.v1.RecommendationService/Recommend";

/// A server that can be ended, with one version live.
async fn server(shop: &Shop, settings: &[(&str, &str)]) -> Server {
    let version = shop.publish(Season::Spring).await.version;
    Server::serving(shop, version, settings).await
}

#[tokio::test]
async fn callers_who_turn_away_at_not_serving_see_no_failure() {
    let shop = Shop::new();
    // Long enough for a busy machine to notice NOT_SERVING before GOAWAY.
    let mut server = server(&shop, &[("drain-delay-ms", "5000")]).await;
    let traffic = Traffic::start(server.data, Shop::users(), 1_000);
    until("load", async || (traffic.answers_of(1) > 500).then_some(())).await;
    server.signal(Signal::TERM);
    until("NOT_SERVING", async || {
        let is_serving = Server::is_serving(server.data, "").await.unwrap();
        (!is_serving).then_some(())
    })
    .await;
    let seen = traffic.turn_away();
    // Whoever asks all the same is still answered.
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    seen.assert_all_answered();
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}

#[tokio::test]
async fn call_under_way_is_finished_after_goaway() {
    let shop = Shop::new();
    let mut server = server(&shop, &[]).await;
    let mut connection = RawConnection::open(server.data).await;
    let call = connection.begin(RECOMMEND, None).await;
    server.signal(Signal::TERM);
    until("GOAWAY", async || {
        connection.is_going_away().await.then_some(())
    })
    .await;
    let request = RecommendRequest {
        user_id: "u0001".to_owned(),
        ..RecommendRequest::default()
    };
    let answer: RecommendResponse = call.finish(&request).await.unwrap();
    assert_eq!((answer.version, answer.items.len()), (1, 10));
    connection.ended().await;
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}

#[tokio::test]
async fn call_that_never_ends_is_closed_at_the_drain_deadline() {
    let shop = Shop::new();
    let mut server = server(&shop, &[("drain-timeout-ms", "200")]).await;
    let mut connection = RawConnection::open(server.data).await;
    let call = connection.begin(RECOMMEND, None).await;
    server.signal(Signal::INT);
    connection.ended().await;
    drop(call);
    assert_eq!(server.ended().await.code(), Some(0));
    server
        .logged("drain deadline reached; closing what is left")
        .await;
}

#[tokio::test]
async fn watchers_of_health_hear_of_the_end_and_do_not_hold_it_up() {
    let shop = Shop::new();
    let mut server = server(&shop, &[]).await;
    let mut watch = server.watch_health().await;
    let is_serving = watch.message().await.unwrap().unwrap().status == 1;
    assert!(is_serving);
    server.signal(Signal::TERM);
    let next = watch.message().await.unwrap().unwrap();
    assert_ne!(next.status, 1);
    // Its end may come as one of the stream or of the connection.
    while let Ok(Some(more)) = watch.message().await {
        assert_ne!(more.status, 1);
    }
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}

#[tokio::test]
async fn second_signal_ends_the_process_without_draining_and_not_well() {
    let shop = Shop::new();
    let mut server = server(&shop, &[("drain-delay-ms", "86400000")]).await;
    server.signal(Signal::TERM);
    server.logged("shutting down").await;
    // At first it may be taken for an echo of the same signal.
    let status = until("the end", async || {
        server.signal(Signal::TERM);
        server.has_ended()
    })
    .await;
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn server_with_nothing_live_ends_well_too() {
    let mut server = Server::start(&Shop::new(), &[]).await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}
