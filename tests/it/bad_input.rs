//! Requests as callers get them wrong: refused with every bad field, or answered as well as can be and
//! the answer says how.

use hotshelf::grpc::proto::{
    ListModelVersionsRequest, PriceRange, ProductFilter, Reason, RecommendRequest,
    RecommendResponse, SimilarProductsRequest, Strategy,
};
use tonic::Code;

use crate::harness::{MODEL, RawConnection, Season, Server, Shop, error_reason, violations};

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

fn filtered(filter: ProductFilter) -> RecommendRequest {
    RecommendRequest {
        filter: Some(filter),
        ..of("u0001")
    }
}

fn strings(count: usize) -> Vec<String> {
    vec!["p".to_owned(); count]
}

#[tokio::test]
async fn every_bad_field_is_named() {
    let shop = Shop::new();
    let server = server(&shop).await;
    let long = "x".repeat(257);
    let price = |min, max| ProductFilter {
        price: Some(PriceRange { min, max }),
        ..ProductFilter::default()
    };
    let cases = [
        (
            RecommendRequest {
                n: Some(0),
                ..of("u")
            },
            "n",
        ),
        (
            RecommendRequest {
                n: Some(101),
                ..of("u")
            },
            "n",
        ),
        (
            RecommendRequest {
                alpha: Some(f64::NAN),
                ..of("u")
            },
            "alpha",
        ),
        (
            RecommendRequest {
                alpha: Some(2.0),
                ..of("u")
            },
            "alpha",
        ),
        (
            RecommendRequest {
                alpha: Some(-0.1),
                ..of("u")
            },
            "alpha",
        ),
        (of(&long), "user_id"),
        (
            RecommendRequest {
                session_id: long.clone(),
                ..of("")
            },
            "session_id",
        ),
        (
            RecommendRequest {
                request_id: long.clone(),
                ..of("")
            },
            "request_id",
        ),
        (
            RecommendRequest {
                strategy: 9,
                ..of("u")
            },
            "strategy",
        ),
        (
            RecommendRequest {
                recent_product_ids: strings(101),
                ..of("u")
            },
            "recent_product_ids",
        ),
        (
            RecommendRequest {
                recent_product_ids: vec![String::new()],
                ..of("u")
            },
            "recent_product_ids[0]",
        ),
        (
            filtered(ProductFilter {
                exclude_product_ids: strings(1_001),
                ..Default::default()
            }),
            "filter.exclude_product_ids",
        ),
        (
            filtered(ProductFilter {
                exclude_product_ids: vec!["p".into(), long],
                ..Default::default()
            }),
            "filter.exclude_product_ids[1]",
        ),
        (
            filtered(ProductFilter {
                categories: strings(101),
                ..Default::default()
            }),
            "filter.categories",
        ),
        (
            filtered(ProductFilter {
                brands: vec![String::new()],
                ..Default::default()
            }),
            "filter.brands[0]",
        ),
        (filtered(price(Some(-1.0), None)), "filter.price.min"),
        (
            filtered(price(None, Some(f64::INFINITY))),
            "filter.price.max",
        ),
    ];
    let mut all = RecommendRequest::default();
    for (request, field) in &cases {
        let refused = server.ask(request.clone()).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{field}: {refused:?}"
        );
        assert_eq!(error_reason(&refused), "BAD_FIELDS");
        assert_eq!(violations(&refused), [*field]);
        assert!(refused.message().contains(field), "{refused:?}");
    }
    // And all of them at once.
    all.n = Some(0);
    all.alpha = Some(f64::NAN);
    all.strategy = -1;
    all.user_id = cases[5].0.user_id.clone();
    all.filter = cases[11].0.filter.clone();
    let refused = server.ask(all).await.unwrap_err();
    let fields = [
        "user_id",
        "n",
        "strategy",
        "alpha",
        "filter.exclude_product_ids",
    ];
    assert_eq!(violations(&refused), fields);

    let mut operator = server.operator().await;
    for page_size in [0, 1_001] {
        let request = ListModelVersionsRequest {
            page_size: Some(page_size),
            ..Default::default()
        };
        let refused = operator.list_model_versions(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), violations(&refused)),
            (Code::InvalidArgument, vec!["page_size".to_owned()])
        );
    }
    server.stop().await;
}

#[tokio::test]
async fn limits_themselves_are_allowed() {
    let shop = Shop::new();
    let server = server(&shop).await;
    let request = RecommendRequest {
        user_id: "x".repeat(256),
        n: Some(100),
        alpha: Some(1.0),
        ..filtered(ProductFilter {
            exclude_product_ids: strings(1_000),
            ..Default::default()
        })
    };
    assert_eq!(server.ask(request).await.unwrap().items.len(), 100);
    server.stop().await;
}

#[tokio::test]
async fn what_this_release_does_not_serve_is_named_and_not_ignored() {
    let shop = Shop::new();
    let server = server(&shop).await;
    let cases = [
        (
            RecommendRequest {
                recent_product_ids: strings(1),
                ..of("u0001")
            },
            "recent_product_ids",
        ),
        (
            filtered(ProductFilter {
                categories: strings(1),
                ..Default::default()
            }),
            "filter.categories",
        ),
        (
            filtered(ProductFilter {
                brands: strings(1),
                ..Default::default()
            }),
            "filter.brands",
        ),
        (
            filtered(ProductFilter {
                price: Some(PriceRange::default()),
                ..Default::default()
            }),
            "filter.price",
        ),
    ];
    for (request, field) in cases {
        let refused = server.ask(request).await.unwrap_err();
        assert_eq!(
            (refused.code(), error_reason(&refused).as_str()),
            (Code::Unimplemented, "NOT_SERVED_YET")
        );
        assert!(refused.message().contains(field), "{refused:?}");
    }
    let request = SimilarProductsRequest {
        product_id: "p0001".to_owned(),
        ..Default::default()
    };
    let refused = server
        .recommender()
        .await
        .similar_products(request)
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::Unimplemented);
    assert!(refused.message().contains("SimilarProducts"), "{refused:?}");
    server.stop().await;
}

#[tokio::test]
async fn strategies_that_need_content_are_refused_or_replaced_and_it_is_said() {
    let shop = Shop::new();
    let server = server(&shop).await;
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
async fn unknown_and_anonymous_people_get_what_is_popular() {
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
async fn exclusions_and_seen_products_stay_out() {
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
            include_seen: true,
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
async fn deadline_that_is_over_is_answered_deadline_exceeded() {
    let shop = Shop::new();
    let server = server(&shop).await;
    let mut connection = RawConnection::open(server.data).await;
    // Over when it comes, and over while the message is still to come.
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
