//! Requests for what the live version does not have, and requests whose deadline has passed.

use hotshelf::grpc::proto::{ProductFilter, Reason, RecommendRequest, RecommendResponse, Strategy};
use tonic::Code;

use crate::harness::{MODEL, RawConnection, Season, Server, Shop, error_reason};

const RECOMMEND: &str = "/hotshelf.v1.RecommendationService/Recommend";

async fn server(shop: &Shop) -> Server {
    let version = shop.publish(Season::Spring).await.version;
    Server::serving(shop, version, &[]).await
}

fn of(user_id: &str) -> RecommendRequest {
    RecommendRequest {
        user_id: user_id.to_owned(),
        ..RecommendRequest::default()
    }
}

#[tokio::test]
async fn version_without_content_refuses_content_and_falls_back_from_hybrid() {
    let shop = Shop::new();
    let version = shop.publish_without_content(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    let asked = |strategy: Strategy| RecommendRequest {
        strategy: strategy.into(),
        ..of("u0042")
    };
    let refused = server.ask(asked(Strategy::Content)).await.unwrap_err();
    assert_eq!(
        (refused.code(), error_reason(&refused).as_str()),
        (Code::FailedPrecondition, "NO_CONTENT_PARTS")
    );
    let collaborative = server.ask(asked(Strategy::Collaborative)).await.unwrap();
    assert!(collaborative.fallbacks.is_empty());
    for strategy in [Strategy::Unspecified, Strategy::Hybrid] {
        let answer = server.ask(asked(strategy)).await.unwrap();
        assert_eq!(
            (answer.strategy(), answer.items.clone()),
            (Strategy::Collaborative, collaborative.items.clone())
        );
        assert_eq!(answer.fallbacks, ["no_content_parts"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn unknown_and_anonymous_people_get_popular_products() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    for user in ["nobody-knows-me", ""] {
        let answer = server.recommend(user).await.unwrap();
        assert_eq!(
            (answer.user_id.as_str(), answer.user_segment.as_str()),
            (user, "unknown")
        );
        assert!(
            answer
                .items
                .iter()
                .all(|item| item.reason() == Reason::Popular)
        );
        assert!(
            answer.fallbacks.contains(&"unknown_user".to_owned()),
            "{:?}",
            answer.fallbacks
        );
        let ids: Vec<_> = answer
            .items
            .iter()
            .map(|item| item.product_id.as_str())
            .collect();
        let popular: Vec<_> = spring
            .model
            .popular()
            .take(10)
            .map(|row| spring.model.products().id(row))
            .collect();
        assert_eq!(ids, popular);
        assert!(answer.items.iter().map(|item| item.rank).eq(1..=10));
    }
    server.stop().await;
}

#[tokio::test]
async fn excluded_and_seen_products_are_not_returned() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let top: Vec<_> = spring.top("u0042").into_iter().map(|(id, _)| id).collect();
    let exclude_product_ids = vec![top[0].clone(), top[3].clone(), "no-such-product".to_owned()];
    let filter = Some(ProductFilter {
        exclude_product_ids,
        ..ProductFilter::default()
    });
    let answer = server
        .ask(RecommendRequest {
            filter,
            ..of("u0042")
        })
        .await
        .unwrap();
    let ids: Vec<_> = answer
        .items
        .iter()
        .map(|item| item.product_id.clone())
        .collect();
    assert_eq!(ids.len(), 10);
    assert!(!ids.contains(&top[0]) && !ids.contains(&top[3]));
    let model = &spring.model;
    let user = model.users().find("u0042").unwrap();
    let is_seen = |id: &String| {
        model
            .history()
            .seen(user)
            .contains(&model.products().find(id).unwrap().0)
    };
    assert!(!ids.iter().any(is_seen));
    let again = server
        .ask(RecommendRequest {
            include_seen: Some(true),
            ..of("u0042")
        })
        .await
        .unwrap();
    assert!(again.items.iter().any(|item| is_seen(&item.product_id)));
    server.stop().await;
}

#[tokio::test]
async fn unknown_model_is_not_found() {
    let shop = Shop::new();
    let server = server(&shop).await;
    let named = |model: &str| RecommendRequest {
        model: model.to_owned(),
        ..of("u0001")
    };
    assert_eq!(server.ask(named(MODEL)).await.unwrap().model, MODEL);
    let refused = server.ask(named("other")).await.unwrap_err();
    assert_eq!(
        (refused.code(), error_reason(&refused).as_str()),
        (Code::NotFound, "UNKNOWN_MODEL")
    );
    assert!(refused.message().contains("other"), "{refused:?}");
    server.stop().await;
}

#[tokio::test]
async fn passed_deadline_is_deadline_exceeded() {
    let shop = Shop::new();
    let server = server(&shop).await;
    let mut connection = RawConnection::open(server.data).await;
    // Passed on arrival, and passed before the message arrives.
    for timeout in ["0m", "20m"] {
        let call = connection.begin(RECOMMEND, Some(timeout)).await;
        let headers = call.answer::<RecommendResponse>().await.unwrap_err();
        assert_eq!(headers["grpc-status"], "4", "{timeout}: {headers:?}");
        assert!(
            headers.contains_key("grpc-status-details-bin"),
            "{headers:?}"
        );
    }
    let call = connection.begin(RECOMMEND, Some("1H")).await;
    let answer: RecommendResponse = call.finish(&of("u0001")).await.unwrap();
    assert_eq!(answer.items.len(), 10);
    server.stop().await;
}
