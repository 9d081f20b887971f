//! Promises of Recommend for any version with content: filters, the limits of alpha, anonymous
//! visitors with recent products, plans by name.

use std::collections::BTreeSet;

use hotshelf::grpc::proto::{
    PriceRange, ProductFilter, Reason, RecommendRequest, RecommendResponse, SimilarProductsRequest,
    SimilarityBasis, Strategy,
};

use crate::harness::{BRANDS, CATEGORIES, Season, Server, Shop, catalogue};

async fn serving() -> (Shop, Server) {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    (shop, server)
}

fn of(user_id: &str, strategy: Strategy) -> RecommendRequest {
    RecommendRequest {
        user_id: user_id.to_owned(),
        strategy: strategy.into(),
        ..RecommendRequest::default()
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().copied().map(String::from).collect()
}

fn ids(answer: &RecommendResponse) -> Vec<&str> {
    let items = answer.items.iter();
    items.map(|item| item.product_id.as_str()).collect()
}

fn filters() -> [ProductFilter; 4] {
    let price = |min, max| Some(PriceRange { min, max });
    [
        ProductFilter {
            categories: texts(&[CATEGORIES[0], CATEGORIES[3]]),
            brands: texts(&[BRANDS[2]]),
            ..ProductFilter::default()
        },
        // Of a price that one shelf has.
        ProductFilter {
            price: price(Some(9.5), Some(9.5)),
            ..ProductFilter::default()
        },
        ProductFilter {
            categories: texts(&["none", CATEGORIES[1]]),
            price: price(None, Some(6.0)),
            exclude_product_ids: texts(&["p0001", "p0005", "none"]),
            ..ProductFilter::default()
        },
        ProductFilter {
            brands: texts(&[BRANDS[0], BRANDS[1]]),
            price: price(Some(25.0), None),
            ..ProductFilter::default()
        },
    ]
}

/// Ids of the products that pass, by the catalogue.
fn passing(filter: &ProductFilter) -> BTreeSet<String> {
    let any = |wanted: &[String], has: &Option<String>| {
        wanted.is_empty() || has.as_ref().is_some_and(|has| wanted.contains(has))
    };
    let is_affordable = |price: Option<f32>| {
        let Some(range) = filter.price else {
            return true;
        };
        let (min, max) = (range.min.unwrap_or(0.0), range.max.unwrap_or(f64::MAX));
        price.is_some_and(|price| (min..=max).contains(&f64::from(price)))
    };
    let products = catalogue().into_iter().filter(|product| {
        any(&filter.categories, &product.category)
            && any(&filter.brands, &product.brand)
            && is_affordable(product.price)
            && !filter.exclude_product_ids.contains(&product.id)
    });
    products.map(|product| product.id).collect()
}

#[tokio::test]
async fn every_strategy_returns_exactly_the_matching_products() {
    let (_shop, server) = serving().await;
    for filter in filters() {
        let passing = passing(&filter);
        assert!((3..100).contains(&passing.len()), "{}", passing.len());
        for strategy in [Strategy::Hybrid, Strategy::Collaborative, Strategy::Content] {
            for (user, recents) in [("u0042", &[][..]), ("", &["p0010", "p0014"]), ("", &[])] {
                let all = RecommendRequest {
                    n: Some(100),
                    recent_product_ids: texts(recents),
                    filter: Some(filter.clone()),
                    include_seen: Some(true),
                    ..of(user, strategy)
                };
                let few = RecommendRequest {
                    n: Some(3),
                    ..all.clone()
                };
                let answer = server.ask(all).await.unwrap();
                let given: BTreeSet<_> = ids(&answer).into_iter().map(str::to_owned).collect();
                assert_eq!(given, passing, "{strategy:?} for {user:?} {recents:?}");
                assert_eq!(answer.items.len(), passing.len(), "none twice");
                let few = server.ask(few).await.unwrap();
                assert_eq!(ids(&few), ids(&answer)[..3], "{strategy:?} for {user:?}");
            }
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn filter_without_matches_is_answered_with_a_fallback() {
    let (_shop, server) = serving().await;
    for user in ["u0042", ""] {
        let answer = server
            .ask(RecommendRequest {
                filter: Some(ProductFilter {
                    categories: texts(&["no-such-category"]),
                    ..ProductFilter::default()
                }),
                ..of(user, Strategy::Hybrid)
            })
            .await
            .unwrap();
        assert!(answer.items.is_empty(), "{answer:?}");
        let said = &answer.fallbacks;
        assert!(said.contains(&"nothing_matches".to_owned()), "{said:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn alpha_of_one_or_zero_gives_the_order_of_one_side() {
    let (_shop, server) = serving().await;
    for user in ["u0007", "u0042", "u0133"] {
        let hybrid = async |alpha: Option<f64>| {
            let asked = RecommendRequest {
                alpha,
                debug: true,
                ..of(user, Strategy::Hybrid)
            };
            server.ask(asked).await.unwrap()
        };
        let either = async |strategy| server.ask(of(user, strategy)).await.unwrap();
        let by_factors = either(Strategy::Collaborative).await;
        let by_content = either(Strategy::Content).await;
        assert_eq!(ids(&hybrid(Some(1.0)).await), ids(&by_factors), "{user}");
        assert_eq!(ids(&hybrid(Some(0.0)).await), ids(&by_content), "{user}");
        assert_ne!(ids(&by_factors), ids(&by_content), "{user}");
        let blend = hybrid(None).await;
        assert_eq!(blend.strategy(), Strategy::Hybrid);
        assert!(blend.fallbacks.is_empty(), "{blend:?}");
        // A product that only one side retrieved says so, and still has both scores.
        let mut reasons = blend.items.iter().map(|item| item.reason());
        assert!(reasons.any(|reason| reason == Reason::Hybrid), "{blend:?}");
        for item in &blend.items {
            assert!(item.collaborative_score.is_some() && item.content_score.is_some());
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn debug_names_the_plan_of_each_side() {
    let (_shop, server) = serving().await;
    for (strategy, sides) in [
        (Strategy::Hybrid, [true, true]),
        (Strategy::Collaborative, [true, false]),
        (Strategy::Content, [false, true]),
    ] {
        let asked = RecommendRequest {
            debug: true,
            ..of("u0042", strategy)
        };
        let debug = server.ask(asked).await.unwrap().debug.unwrap();
        let retrievals = [&debug.collaborative, &debug.content];
        assert_eq!(retrievals.map(Option::is_some), sides, "{strategy:?}");
        for retrieval in retrievals.into_iter().flatten() {
            let plan = retrieval.plan.as_str();
            assert!(["exact", "hnsw", "matches", "neighbours"].contains(&plan));
            assert!(retrieval.rows_scored > 0, "{retrieval:?}");
        }
        let alpha = (strategy == Strategy::Hybrid).then_some(0.7);
        assert_eq!(debug.alpha, alpha);
    }
    let similar = SimilarProductsRequest {
        product_id: "p0001".to_owned(),
        debug: true,
        ..SimilarProductsRequest::default()
    };
    let answer = server.similar(similar).await.unwrap();
    assert_eq!(answer.basis(), SimilarityBasis::Content);
    assert!(answer.fallbacks.is_empty() && !answer.cache_hit);
    let debug = answer.debug.unwrap();
    assert!(debug.content.is_some() && debug.collaborative.is_none());
    server.stop().await;
}

#[tokio::test]
async fn anonymous_visitors_with_recent_products_are_folded_in() {
    let (_shop, server) = serving().await;
    let recents = ["p0010", "none", "p0014", "p0018", "none"];
    let asked = |strategy| RecommendRequest {
        recent_product_ids: texts(&recents),
        ..of("", strategy)
    };
    let answer = server.ask(asked(Strategy::Collaborative)).await.unwrap();
    assert_eq!(answer.items.len(), 10);
    for item in &answer.items {
        assert_eq!(item.reason(), Reason::FoldIn);
        assert!(!recents.contains(&item.product_id.as_str()), "{item:?}");
    }
    assert_eq!(answer.recent_product_ids_unknown, 2);
    assert_eq!(answer.user_segment, "unknown");
    // All three are of one taste, and so is what their people have.
    let is_wool = |id: &&str| id[1..].parse::<usize>().unwrap() % 4 == 2;
    let alike = ids(&answer).iter().filter(|id| is_wool(id)).count();
    assert!(alike >= 8, "{answer:?}");
    let popular = server.recommend("").await.unwrap();
    assert_ne!(ids(&answer), ids(&popular));
    let again = RecommendRequest {
        include_seen: Some(true),
        n: Some(100),
        ..asked(Strategy::Hybrid)
    };
    let answer = server.ask(again).await.unwrap();
    assert!(ids(&answer).contains(&"p0010"), "{answer:?}");
    server.stop().await;
}
