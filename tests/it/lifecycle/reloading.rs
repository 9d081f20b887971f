//! `ReloadModel`: what it changes, what it refuses, and what it leaves alone.

use hotshelf::grpc::proto::{ReloadModelRequest, ReloadModelResponse, VersionState};
use tonic::Code;

use crate::harness::{
    MODEL, RawConnection, Season, Server, Shop, Traffic, error_reason, open_to_all, until,
    violations,
};
use crate::store_outage::Store;
use crate::store_outage::proxy::Point;

const RELOAD: &str = "/hotshelf.v1.ModelService/ReloadModel";

#[tokio::test]
async fn reload_returns_versions_rollout_and_phases() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    let server = Server::start(&shop, &[]).await;
    let first = server
        .reload_as(ReloadModelRequest::default())
        .await
        .unwrap();
    assert_eq!(
        (first.previous_version, first.version, first.rollout),
        (None, 1, Some(1))
    );
    shop.publish(Season::Autumn).await;
    let request = ReloadModelRequest {
        model: MODEL.to_owned(),
        author: "ann".to_owned(),
        reason: "autumn is here".to_owned(),
        expected_rollout: Some(1),
        ..ReloadModelRequest::default()
    };
    let done = server.reload_as(request).await.unwrap();
    assert_eq!(
        (done.changed, done.previous_version, done.version),
        (true, Some(1), 2)
    );
    assert_eq!((done.rollout, done.state()), (Some(2), VersionState::Live));
    let steps: Vec<_> = done
        .phases
        .iter()
        .map(|phase| phase.name.as_str())
        .collect();
    assert_eq!(
        steps,
        [
            "fetch", "verify", "unpack", "probe", "warm_up", "rollout", "activate"
        ]
    );
    assert!(done.phases.iter().all(|phase| phase.duration.is_some()));
    let live = server.live().await;
    assert_eq!(
        (live.author.as_str(), live.reason.as_str()),
        ("ann", "autumn is here")
    );
    server.stop().await;
}

#[tokio::test]
async fn reload_of_what_is_live_changes_nothing() {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    let again = server.reload(version).await.unwrap();
    assert_eq!(
        (again.changed, again.previous_version, again.rollout),
        (false, Some(1), Some(1))
    );
    assert_eq!((again.state(), again.phases.len()), (VersionState::Live, 0));
    assert_eq!(shop.rollouts().len(), 1);
    server.stop().await;
}

#[tokio::test]
async fn concurrent_reloads_of_one_target_are_one_load_and_one_rollout() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let server = Server::serving(&shop, spring, &[]).await;
    let calls = futures::future::join_all((0..8).map(|_| server.reload(autumn))).await;
    for call in calls {
        let done = call.unwrap();
        assert_eq!((done.rollout, done.state()), (Some(2), VersionState::Live));
    }
    let loads = server
        .scrape()
        .await
        .sum("hotshelf_loads_total", &[("model", MODEL)]);
    assert_eq!(loads, 2.0, "one each of spring and autumn");
    assert_eq!(shop.rollouts().len(), 2);
    server.stop().await;
}

#[tokio::test]
async fn reload_refuses_impossible_requests() {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    let autumn = shop.publish(Season::Autumn).await.version;
    let request = |version| ReloadModelRequest {
        version: Some(version),
        ..Default::default()
    };
    let cases = [
        (
            ReloadModelRequest {
                expected_rollout: Some(7),
                ..request(autumn)
            },
            (
                Code::FailedPrecondition,
                "ROLLOUT_NOT_EXPECTED",
                "rollout 1",
            ),
        ),
        (request(99), (Code::NotFound, "UNKNOWN_VERSION", "99")),
        (
            ReloadModelRequest {
                model: "other".to_owned(),
                ..request(autumn)
            },
            (Code::NotFound, "UNKNOWN_MODEL", "\"other\""),
        ),
        (
            ReloadModelRequest {
                model: "../up".to_owned(),
                ..request(autumn)
            },
            (Code::NotFound, "UNKNOWN_MODEL", "../up"),
        ),
    ];
    for (request, (code, reason, said)) in cases {
        let refused = server.reload_as(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), error_reason(&refused).as_str()),
            (code, reason),
            "{refused:?}"
        );
        assert!(refused.message().contains(said), "{refused:?}");
    }
    let bad = ReloadModelRequest {
        author: "a".repeat(257),
        reason: "r".repeat(1_025),
        ..request(0)
    };
    let refused = server.reload_as(bad).await.unwrap_err();
    assert_eq!(refused.code(), Code::InvalidArgument);
    assert_eq!(violations(&refused), ["author", "reason", "version"]);
    assert_eq!(
        (server.live_version().await, shop.rollouts().len()),
        (Some(version), 1)
    );
    let failed = [("outcome", "failed")];
    let failed = server.scrape().await.sum("hotshelf_loads_total", &failed);
    assert_eq!(failed, 0.0, "a slip of the pen is no failed load");
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reload_near_its_deadline_returns_the_state_so_far_and_continues() {
    let Some(mut store) = Store::new().await else {
        return;
    };
    let spring = store.direct.publish(Season::Spring).await.version;
    let autumn = store.direct.publish(Season::Autumn).await.version;
    let server = Server::serving(&store.shop, spring, &[]).await;
    // The store stalls in the middle of a part.
    let point = Point::HalfAnswered;
    store.proxy.hold("GET", "users.arrow", point);

    let request = ReloadModelRequest {
        version: Some(autumn),
        ..ReloadModelRequest::default()
    };
    let mut connection = RawConnection::open(server.admin).await;
    let call = connection.begin(RELOAD, Some("1500m")).await;
    let so_far: ReloadModelResponse = call.finish(&request).await.unwrap();
    assert_eq!(
        (so_far.changed, so_far.state()),
        (false, VersionState::Loading)
    );
    assert_eq!(
        (so_far.previous_version, so_far.rollout),
        (Some(spring), Some(1))
    );
    assert_eq!(server.recommend("u0001").await.unwrap().version, spring);

    // The stalled read ends with an error; the load or the next call fetches the part again.
    store.proxy.reached().await;
    store.proxy.cut();
    until("the end of the stalled load", async || {
        let done = server.reload(autumn).await;
        done.ok().filter(|done| done.state() == VersionState::Live)
    })
    .await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, autumn);
    server.stop().await;
}

#[tokio::test]
async fn read_only_registry_is_served_from_and_refuses_reloads() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    Server::serving(&shop, spring, &[]).await.stop().await;
    open_to_all(shop.place(), 0o755);
    let folders = ["", MODEL, "toy/rollouts", "toy/versions"].map(|name| shop.root().join(name));
    folders.iter().for_each(|folder| open_to_all(folder, 0o555));

    let server = Server::start_unprivileged(&shop, shop.place(), &[]).await;
    server.until_ready().await;
    let traffic = Traffic::start(server.data, Shop::users(), 200);
    let refused = server.reload(autumn).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(error_reason(&refused), "STORE_READ_ONLY");
    let seen = traffic.finish();
    seen.assert_all_answered();
    assert_eq!(server.live_version().await, Some(spring));
    assert_eq!(
        server
            .scrape()
            .await
            .value("hotshelf_resident_versions", &[]),
        Some(1.0)
    );
    server.stop().await;
    folders.iter().for_each(|folder| open_to_all(folder, 0o755));
}
