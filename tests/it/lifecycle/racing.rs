//! Several who want different things.

use futures::future::join_all;
use hotshelf::grpc::proto::ReloadModelRequest;
use tonic::Code;

use crate::harness::{Season, Server, Shop, error_reason, until};

#[tokio::test]
async fn racing_reloads_end_in_one_rollout_that_all_follow() {
    let shop = Shop::new();
    for season in [Season::Spring, Season::Autumn, Season::Spring] {
        shop.publish(season).await;
    }
    let one = Server::serving(&shop, 1, &[]).await;
    let other = Server::start(&shop, &[]).await;
    other.until_live(1).await;
    let calls = [one.reload(2), other.reload(3)];
    let mut won = 0;
    for outcome in join_all(calls).await {
        match outcome {
            Ok(done) => won += usize::from(done.changed),
            Err(refused) => {
                assert_eq!(
                    (refused.code(), error_reason(&refused).as_str()),
                    (Code::Aborted, "ROLLOUT_LOST")
                );
                assert!(refused.message().contains("by tests"), "{refused:?}");
            }
        }
    }
    assert!(won > 0, "somebody wins");
    assert_eq!(shop.rollouts().len(), 1 + won, "losers wrote nothing");
    let newest = 1 + won as u64;
    for server in [&one, &other] {
        until("the newest rollout", async || {
            let live = server.live().await;
            (live.number == newest).then_some(())
        })
        .await;
    }
    assert_eq!(one.live_version().await, other.live_version().await);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn rollout_with_several_arms_is_replaced_only_if_the_request_names_it() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let autumn = shop.publish(Season::Autumn).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    shop.split([(spring.version, 7_000), (autumn.version, 3_000)], "salt")
        .await;
    until("both arms", async || {
        (server.live().await.arms.len() == 2).then_some(())
    })
    .await;
    // Every user's arm is the documented hash of salt and id.
    for user in Shop::users().iter().take(50) {
        let answer = server.recommend(user).await.unwrap();
        let is_first = Shop::bucket("salt", user) < 7_000;
        let (version, arm) = if is_first {
            (spring.version, "base")
        } else {
            (autumn.version, "candidate")
        };
        assert_eq!(
            (answer.version, answer.arm.as_str(), answer.rollout),
            (version, arm, 2),
            "{user}"
        );
    }
    let asked = |expected_rollout| ReloadModelRequest {
        version: Some(autumn.version),
        expected_rollout,
        ..ReloadModelRequest::default()
    };
    for expected in [None, Some(1)] {
        let refused = server.reload_as(asked(expected)).await.unwrap_err();
        assert_eq!(
            (refused.code(), error_reason(&refused).as_str()),
            (Code::FailedPrecondition, "ROLLOUT_NOT_EXPECTED")
        );
        assert!(refused.message().contains("rollout 2"), "{refused:?}");
    }
    let done = server.reload_as(asked(Some(2))).await.unwrap();
    assert_eq!((done.changed, done.rollout), (true, Some(3)));
    assert_eq!(server.live_version().await, Some(autumn.version));
    server.stop().await;
}

#[tokio::test]
async fn models_are_independent_and_the_server_is_ready_with_the_last() {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let outlet = shop.beside("outlet");
    outlet.publish(Season::Autumn).await;
    outlet.publish(Season::Spring).await;
    let server = Server::start(&shop, &[("models", "toy, outlet")]).await;
    server.reload(version).await.unwrap();
    assert_eq!(
        crate::harness::http_get(server.http, "/readyz").await.0,
        503
    );
    let reload = ReloadModelRequest {
        model: "outlet".to_owned(),
        ..ReloadModelRequest::default()
    };
    assert_eq!(server.reload_as(reload).await.unwrap().version, 2);
    server.until_ready().await;
    let asked = |model: &str| hotshelf::grpc::proto::RecommendRequest {
        model: model.to_owned(),
        user_id: "u0001".to_owned(),
        ..Default::default()
    };
    let answers = [
        server.ask(asked("")).await.unwrap(),
        server.ask(asked("outlet")).await.unwrap(),
    ];
    assert_eq!(
        answers.map(|answer| (answer.model, answer.version)),
        [("toy".to_owned(), 1), ("outlet".to_owned(), 2)]
    );
    server.stop().await;
}
