//! Shutdown: clients see NOT_SERVING before anything fails, and calls in flight are finished.

use hotshelf::grpc::proto::{RecommendRequest, RecommendResponse, ReloadModelRequest};
use rustix::process::Signal;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpStream;
use tonic::Code;

use crate::harness::{RawConnection, Season, Server, Shop, Traffic, error_reason, http_get, until};
use crate::store_outage::Store;
use crate::store_outage::proxy::Point;

const RECOMMEND: &str = "/hotshelf.v1.RecommendationService/Recommend";

/// A server that can be ended, with one version live.
async fn server(shop: &Shop, settings: &[(&str, &str)]) -> Server {
    let version = shop.publish(Season::Spring).await.version;
    Server::serving(shop, version, settings).await
}

#[tokio::test]
async fn clients_that_leave_at_not_serving_see_no_failure() {
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
    let seen = traffic.leave();
    // A client that still sends requests is answered.
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    seen.assert_all_answered();
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}

#[tokio::test]
async fn call_in_flight_is_finished_after_goaway() {
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
        .logged("drain timed out; closing open connections")
        .await;
}

#[tokio::test]
async fn health_watchers_see_the_end_and_do_not_delay_it() {
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
async fn second_signal_ends_the_process_without_draining() {
    let shop = Shop::new();
    let mut server = server(&shop, &[("drain-delay-ms", "86400000")]).await;
    server.signal(Signal::TERM);
    server.logged("shutting down").await;
    // The first one may count as an echo of the same signal.
    let status = until("the end", async || {
        server.signal(Signal::TERM);
        server.has_ended()
    })
    .await;
    assert_eq!(status.code(), Some(1));
}

#[tokio::test]
async fn server_with_nothing_live_drains_too() {
    let mut server = Server::start(&Shop::new(), &[]).await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}

#[tokio::test]
async fn idle_connections_are_closed_at_once() {
    let shop = Shop::new();
    let mut server = server(&shop, &[("drain-timeout-ms", "86400000")]).await;
    let mut idle = Vec::new();
    for at in [server.data, server.data, server.admin] {
        idle.push(RawConnection::open(at).await);
    }
    server.signal(Signal::TERM);
    for connection in idle {
        connection.ended().await;
    }
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}

#[tokio::test]
async fn peer_that_never_reads_is_closed_at_the_drain_deadline() {
    let shop = Shop::new();
    let mut server = server(&shop, &[("drain-timeout-ms", "200")]).await;
    let mut deaf = TcpStream::connect(server.data).await.unwrap();
    // The preface and an empty SETTINGS frame; nothing that comes back is read or acknowledged.
    let hello = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0";
    deaf.write_all(hello).await.unwrap();
    until("its connection", async || {
        let metrics = server.scrape().await;
        let open = metrics.value("hotshelf_net_connections", &[("listener", "data")]);
        (open >= Some(1.0)).then_some(())
    })
    .await;
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0));
    server
        .logged("drain timed out; closing open connections")
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_in_progress_is_answered_shutting_down() {
    let Some(mut store) = Store::new().await else {
        return;
    };
    let spring = store.direct.publish(Season::Spring).await.version;
    let autumn = store.direct.publish(Season::Autumn).await.version;
    let mut server = Server::serving(&store.shop, spring, &[]).await;
    store
        .proxy
        .hold("GET", "versions/000002", Point::HalfAnswered);
    let mut operator = server.operator().await;
    let request = ReloadModelRequest {
        version: Some(autumn),
        ..ReloadModelRequest::default()
    };
    let call = tokio::spawn(async move { operator.reload_model(request).await });
    store.proxy.reached().await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, spring);
    assert!(!call.is_finished(), "{:?}", call.await);
    server.signal(Signal::TERM);
    let refused = call.await.unwrap().unwrap_err();
    assert_eq!(
        (refused.code(), error_reason(&refused).as_str()),
        (Code::Unavailable, "SHUTTING_DOWN")
    );
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_whose_registry_stalls_at_its_start_drains_too() {
    let Some(mut store) = Store::new().await else {
        return;
    };
    store.direct.publish(Season::Spring).await;
    store.proxy.hold("GET", "rollouts", Point::Done);
    let mut server = Server::start(&store.shop, &[]).await;
    store.proxy.reached().await;
    assert_eq!(http_get(server.http, "/livez").await.0, 200);
    assert_eq!(http_get(server.http, "/readyz").await.0, 503);
    server.signal(Signal::TERM);
    assert_eq!(server.ended().await.code(), Some(0));
    server.logged("drained").await;
}

#[tokio::test]
async fn hangup_drains_however_often_it_comes() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let settings = [("drain-delay-ms", "600"), ("drain-timeout-ms", "30000")];
    let mut server = Server::serving(&shop, spring.version, &settings).await;
    server.signal(Signal::HUP);
    server.logged("shutting down").await;
    // Beyond the time within which a signal counts as the echo of another one.
    until("the drain delay is half over", async || {
        server.signal(Signal::HUP);
        let waited = server.times_logged("received a signal") > 5;
        waited.then_some(())
    })
    .await;
    let status = server.ended().await;
    assert_eq!(status.code(), Some(0), "{:#?}", server.lines());
    assert_eq!(server.times_logged("drained"), 1);
}

#[tokio::test]
async fn hangup_ignored_by_nohup_leaves_the_server_alone() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::start_ignoring("HUP", &shop, &[]).await;
    server.reload(spring.version).await.unwrap();
    for _ in 0..3 {
        server.signal(Signal::HUP);
        assert!(server.recommend("u0001").await.is_ok());
    }
    assert_eq!(server.times_logged("received a signal"), 0);
    server.stop().await;
}

#[tokio::test]
async fn signals_of_other_tools_are_logged_and_nothing_else() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let mut server = Server::serving(&shop, spring.version, &[]).await;
    for (signal, times) in [(Signal::USR1, 1), (Signal::USR2, 2), (Signal::ALARM, 3)] {
        server.signal(signal);
        until("the signal is logged", async || {
            (server.times_logged("received a signal") == times).then_some(())
        })
        .await;
        assert!(server.recommend("u0001").await.is_ok(), "{signal:?}");
    }
    server.signal(Signal::QUIT);
    let status = server.ended().await;
    assert_eq!(status.code(), Some(0), "{:#?}", server.lines());
    assert_eq!(server.times_logged("drained"), 1);
}
