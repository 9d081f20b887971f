//! Invalid requests are refused with every bad field named.

use hotshelf::grpc::proto::{
    ListModelVersionsRequest, PriceRange, ProductFilter, RecommendRequest, SimilarProductsRequest,
};
use tonic::Code;

use crate::harness::{Season, Server, Shop, error_reason, violations};

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

fn like(product_id: &str) -> SimilarProductsRequest {
    SimilarProductsRequest {
        product_id: product_id.to_owned(),
        ..SimilarProductsRequest::default()
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

/// Makes one field bad.
type Spoil = fn(&mut RecommendRequest);

fn filter(request: &mut RecommendRequest) -> &mut ProductFilter {
    request.filter.get_or_insert_default()
}

fn price(request: &mut RecommendRequest) -> &mut PriceRange {
    filter(request).price.get_or_insert_default()
}

/// Asserts that each spoiled request is refused and names its field, and that a request with all of
/// them names all.
async fn assert_each_is_named(cases: &[(&str, Spoil)]) {
    let shop = Shop::new();
    let server = server(&shop).await;
    let mut all = RecommendRequest::default();
    for (field, spoil) in cases {
        let mut request = of("u0001");
        spoil(&mut request);
        spoil(&mut all);
        let refused = server.ask(request).await.unwrap_err();
        assert_eq!(
            refused.code(),
            Code::InvalidArgument,
            "{field}: {refused:?}"
        );
        assert_eq!(error_reason(&refused), "BAD_FIELDS");
        assert_eq!(violations(&refused), [*field]);
        assert!(refused.message().contains(field), "{refused:?}");
    }
    let refused = server.ask(all).await.unwrap_err();
    let mut named = violations(&refused);
    named.sort();
    let mut fields: Vec<_> = cases.iter().map(|(field, _)| *field).collect();
    fields.sort_unstable();
    // A later way to spoil a field takes the place of an earlier one.
    fields.dedup();
    assert_eq!(named, fields);
    server.stop().await;
}

#[tokio::test]
async fn every_bad_field_is_named() {
    assert_each_is_named(&[
        ("n", |r| r.n = Some(0)),
        ("n", |r| r.n = Some(101)),
        ("alpha", |r| r.alpha = Some(f64::NAN)),
        ("alpha", |r| r.alpha = Some(2.0)),
        ("alpha", |r| r.alpha = Some(-0.1)),
        ("user_id", |r| r.user_id = "x".repeat(257)),
        ("session_id", |r| r.session_id = "x".repeat(257)),
        ("request_id", |r| r.request_id = "x".repeat(257)),
        ("strategy", |r| r.strategy = 9),
        ("strategy", |r| r.strategy = -1),
        ("recent_product_ids", |r| {
            r.recent_product_ids = strings(101);
        }),
    ])
    .await;
}

#[tokio::test]
async fn every_bad_field_of_a_filter_is_named() {
    assert_each_is_named(&[
        ("filter.exclude_product_ids", |r| {
            filter(r).exclude_product_ids = strings(1_001);
        }),
        ("filter.categories", |r| filter(r).categories = strings(101)),
        ("filter.brands[1]", |r| {
            filter(r).brands = vec!["b".to_owned(), String::new()];
        }),
        ("filter.price.min", |r| price(r).min = Some(-1.0)),
        ("filter.price.max", |r| price(r).max = Some(f64::INFINITY)),
        ("recent_product_ids[0]", |r| {
            r.recent_product_ids = vec![String::new()];
        }),
    ])
    .await;
    assert_each_is_named(&[
        ("filter.exclude_product_ids[0]", |r| {
            filter(r).exclude_product_ids = vec!["x".repeat(257)];
        }),
        ("filter.price.min", |r| {
            price(r).min = Some(2.0);
            price(r).max = Some(1.0);
        }),
    ])
    .await;
}

#[tokio::test]
async fn bad_page_sizes_are_named() {
    let shop = Shop::new();
    let server = server(&shop).await;
    let mut operator = server.operator().await;
    for page_size in [0, 1_001] {
        let page_size = Some(page_size);
        let request = ListModelVersionsRequest {
            page_size,
            ..Default::default()
        };
        let refused = operator.list_model_versions(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert_eq!(violations(&refused), ["page_size"]);
    }
    server.stop().await;
}

#[tokio::test]
async fn values_at_the_limits_are_accepted() {
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

/// Makes one field of a SimilarProducts bad.
type SpoilSimilar = fn(&mut SimilarProductsRequest);

#[tokio::test]
async fn every_bad_field_of_similar_products_is_named() {
    let shop = Shop::new();
    let server = server(&shop).await;
    let cases: [(&str, SpoilSimilar); 10] = [
        ("product_id", |r| r.product_id.clear()),
        ("product_id", |r| r.product_id = "x".repeat(257)),
        ("n", |r| r.n = Some(0)),
        ("n", |r| r.n = Some(51)),
        ("basis", |r| r.basis = 4),
        ("model", |r| r.model = "x".repeat(64)),
        ("user_id", |r| r.user_id = "x".repeat(257)),
        ("session_id", |r| r.session_id = "x".repeat(257)),
        ("request_id", |r| r.request_id = "x".repeat(257)),
        ("filter.price.min", |r| {
            let price = PriceRange {
                min: Some(2.0),
                max: Some(1.0),
            };
            r.filter.get_or_insert_default().price = Some(price);
        }),
    ];
    for (field, spoil) in cases {
        let mut request = like("p0001");
        spoil(&mut request);
        let refused = server.similar(request).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument, "{field}");
        assert_eq!(error_reason(&refused), "BAD_FIELDS");
        assert_eq!(violations(&refused), [field]);
    }
    let most = SimilarProductsRequest {
        n: Some(50),
        ..like("p0001")
    };
    assert_eq!(server.similar(most).await.unwrap().items.len(), 50);
    server.stop().await;
}
