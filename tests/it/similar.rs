//! `SimilarProducts` over the wire.

use std::collections::BTreeSet;

use hotshelf::grpc::proto::{
    PriceRange, ProductFilter, RecommendRequest, SimilarProductsRequest, SimilarityBasis,
};
use hotshelf_model::{Basis, Filter, Scratch, SimilarQuery};
use tonic::Code;
use tonic_types::StatusExt;

use crate::harness::{
    BRANDS, CATEGORIES, Published, Season, Server, Shop, catalogue, error_reason, until,
};

fn like(product_id: &str) -> SimilarProductsRequest {
    SimilarProductsRequest {
        product_id: product_id.to_owned(),
        ..SimilarProductsRequest::default()
    }
}

fn filtered(filter: ProductFilter) -> SimilarProductsRequest {
    SimilarProductsRequest {
        filter: Some(filter),
        n: Some(50),
        ..like("p0001")
    }
}

/// What the model alone answers to an unfiltered request.
fn expected(published: &Published, basis: Option<Basis>) -> (Vec<(String, f32)>, Basis) {
    let query = SimilarQuery {
        product_id: "p0001",
        n: 10,
        basis,
        filter: Filter::default(),
        exclude_product_ids: &[],
    };
    let answer = published.model.similar(&query, &mut Scratch::default());
    let answer = answer.unwrap();
    let products = published.model.products();
    let items = answer.items.iter();
    let items = items.map(|item| (products.id(item.product).to_owned(), item.similarity));
    (items.collect(), answer.basis)
}

#[tokio::test]
async fn similar_products_are_the_models_own_with_catalogue_fields() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let catalogue = catalogue();
    for (asked, basis) in [
        (SimilarityBasis::Unspecified, None),
        (SimilarityBasis::Collaborative, Some(Basis::Collaborative)),
    ] {
        let (expected, used) = expected(&spring, basis);
        let answer = server
            .similar(SimilarProductsRequest {
                basis: asked.into(),
                ..like("p0001")
            })
            .await
            .unwrap();
        let used = match used {
            Basis::Content => SimilarityBasis::Content,
            Basis::Collaborative => SimilarityBasis::Collaborative,
            Basis::Sequence => SimilarityBasis::Sequence,
        };
        assert_eq!(
            (answer.product_id.as_str(), answer.basis()),
            ("p0001", used)
        );
        assert_eq!(
            (answer.version, answer.rollout, answer.arm.as_str()),
            (1, 1, "main")
        );
        let given: Vec<_> = answer
            .items
            .iter()
            .map(|item| (item.product_id.clone(), item.similarity_score as f32))
            .collect();
        assert_eq!(given, expected);
        assert!(answer.items.iter().map(|item| item.rank).eq(1..=10));
        for item in &answer.items {
            assert_ne!(item.product_id, "p0001");
            let said = catalogue.iter().find(|said| said.id == item.product_id);
            let said = said.unwrap();
            let texts = (item.product_name.as_str(), item.category.as_str());
            let text = |text: &'_ Option<String>| text.clone().unwrap_or_default();
            assert_eq!(texts, (&*text(&said.name), &*text(&said.category)));
            assert_eq!(item.price, said.price);
        }
    }
    server.stop().await;
}

#[tokio::test]
async fn filter_returns_exactly_the_matching_products() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let strings = |texts: &[&str]| texts.iter().copied().map(String::from).collect();
    let filters = [
        ProductFilter {
            categories: strings(&[CATEGORIES[2], CATEGORIES[3]]),
            brands: strings(&[BRANDS[1]]),
            ..ProductFilter::default()
        },
        ProductFilter {
            brands: strings(&[BRANDS[0], BRANDS[4]]),
            price: Some(PriceRange {
                min: Some(10.5),
                max: Some(20.0),
            }),
            exclude_product_ids: strings(&["p0080", "p0081", "none"]),
            ..ProductFilter::default()
        },
    ];
    for filter in filters {
        let any = |wanted: &[String], has: &Option<String>| {
            wanted.is_empty() || has.as_ref().is_some_and(|has| wanted.contains(has))
        };
        let price = filter.price.unwrap_or_default();
        let (min, max) = (price.min.unwrap_or(0.0), price.max.unwrap_or(f64::MAX));
        let matching = catalogue().into_iter().filter(|product| {
            let is_priced = product.price.map(f64::from);
            let is_affordable = is_priced.is_some_and(|price| (min..=max).contains(&price));
            any(&filter.categories, &product.category)
                && any(&filter.brands, &product.brand)
                && (filter.price.is_none() || is_affordable)
                && !filter.exclude_product_ids.contains(&product.id)
                && product.id != "p0001"
        });
        let matching: BTreeSet<String> = matching.map(|product| product.id).collect();
        assert!((10..50).contains(&matching.len()), "{}", matching.len());
        let answer = server.similar(filtered(filter)).await.unwrap();
        let given = answer.items.into_iter().map(|item| item.product_id);
        assert_eq!(given.collect::<BTreeSet<_>>(), matching);
    }
    server.stop().await;
}

#[tokio::test]
async fn filter_without_matches_is_answered_with_a_fallback() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    for category in ["no-such-category", CATEGORIES[0]] {
        let answer = server
            .similar(SimilarProductsRequest {
                basis: SimilarityBasis::Collaborative.into(),
                ..filtered(ProductFilter {
                    categories: vec![category.to_owned()],
                    price: Some(PriceRange {
                        min: Some(1e9),
                        max: None,
                    }),
                    ..ProductFilter::default()
                })
            })
            .await
            .unwrap();
        assert!(answer.items.is_empty(), "{answer:?}");
        assert_eq!(answer.fallbacks, ["nothing_matches"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn unknown_product_is_not_found_and_named() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let refused = server.similar(like("no-such-product")).await.unwrap_err();
    assert_eq!(
        (refused.code(), error_reason(&refused).as_str()),
        (Code::NotFound, "UNKNOWN_PRODUCT")
    );
    let resource = refused.get_details_resource_info().unwrap();
    assert_eq!(
        (&*resource.resource_type, &*resource.resource_name),
        ("product", "no-such-product")
    );
    let other_model = SimilarProductsRequest {
        model: "other".to_owned(),
        ..like("p0001")
    };
    let refused = server.similar(other_model).await.unwrap_err();
    assert_eq!(error_reason(&refused), "UNKNOWN_MODEL");
    server.stop().await;
}

#[tokio::test]
async fn version_without_content_falls_back_to_factors_unless_content_is_requested() {
    let shop = Shop::new();
    let spring = shop.publish_without_content(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let answer = server.similar(like("p0001")).await.unwrap();
    assert_eq!(answer.basis(), SimilarityBasis::Collaborative);
    assert_eq!(answer.fallbacks, ["no_content_parts"]);
    let content = SimilarProductsRequest {
        basis: SimilarityBasis::Content.into(),
        ..like("p0001")
    };
    let refused = server.similar(content).await.unwrap_err();
    assert_eq!(
        (refused.code(), error_reason(&refused).as_str()),
        (Code::FailedPrecondition, "NO_CONTENT_PARTS")
    );
    server.stop().await;
}

#[tokio::test]
async fn similar_products_uses_the_same_arm_as_recommend() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let server = Server::serving(&shop, spring, &[]).await;
    shop.split([(spring, 5_000), (autumn, 5_000)], "salt").await;
    until("both arms", async || {
        (server.live().await.arms.len() == 2).then_some(())
    })
    .await;
    let mut seen = BTreeSet::new();
    for user in Shop::users().iter().take(20) {
        for (user_id, session_id, request_id) in [
            (user.as_str(), "visit", "call"),
            ("", user, "call"),
            ("", "", user),
        ] {
            let [user_id, session_id, request_id] =
                [user_id, session_id, request_id].map(str::to_owned);
            let expected = if Shop::bucket("salt", user) < 5_000 {
                ("base", spring)
            } else {
                ("candidate", autumn)
            };
            let similar = server
                .similar(SimilarProductsRequest {
                    user_id: user_id.clone(),
                    session_id: session_id.clone(),
                    request_id: request_id.clone(),
                    ..like("p0001")
                })
                .await
                .unwrap();
            let recommended = server
                .ask(RecommendRequest {
                    user_id,
                    session_id,
                    request_id,
                    ..RecommendRequest::default()
                })
                .await
                .unwrap();
            assert_eq!((similar.arm.as_str(), similar.version), expected);
            assert_eq!((recommended.arm.as_str(), recommended.version), expected);
            seen.insert(expected);
        }
    }
    assert_eq!(seen.len(), 2, "both arms answered");
    server.stop().await;
}
