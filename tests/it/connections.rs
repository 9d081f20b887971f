//! Peers that do not keep to the protocol or its limits.

use std::net::SocketAddr;

use hotshelf::grpc::proto::{ProductFilter, RecommendRequest, RecommendResponse};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tonic::Code;

use crate::harness::{RawConnection, Season, Server, Shop, until};

async fn server(shop: &Shop, settings: &[(&str, &str)]) -> Server {
    let version = shop.publish(Season::Spring).await.version;
    Server::serving(shop, version, settings).await
}

/// Connects, says this, and waits until the server has closed.
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
async fn connection_of_age_is_told_to_leave_and_its_calls_are_finished() {
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
async fn calls_beyond_the_limit_are_turned_away_at_once_and_told_when_to_come_back() {
    let shop = Shop::new();
    let server = server(&shop, &[("calls-max", "1")]).await;
    let mut connection = RawConnection::open(server.data).await;
    let path = "/hotshelf.v1.RecommendationService/Recommend";
    // Its message is still to come: the only place is taken for as long as that lasts.
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
        "health needs no place"
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
    until("the place again", async || {
        server.recommend("u0001").await.ok()
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn services_of_the_other_listener_are_not_served() {
    let shop = Shop::new();
    let server = server(&shop, &[]).await;
    let mut connection = RawConnection::open(server.data).await;
    let paths = [
        "/hotshelf.v1.ModelService/ReloadModel",
        "/hotshelf.v1.RecommendationService/Nothing",
        "/x",
        "/",
    ];
    for path in paths {
        let call = connection.begin(path, None).await;
        let headers = call
            .finish::<RecommendResponse>(&RecommendRequest::default())
            .await
            .unwrap_err();
        assert_eq!(headers["grpc-status"], "12", "{path}: {headers:?}");
    }
    server.stop().await;
}
