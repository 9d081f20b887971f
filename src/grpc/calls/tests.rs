use super::*;
use crate::grpc::proto::PriceRange;

fn bad_fields(request: RecommendRequest) -> Vec<String> {
    match RecommendCall::parse(request) {
        Err(CallError::BadFields(fields)) => fields.into_iter().map(|bad| bad.field).collect(),
        Err(other) => panic!("refused for another reason: {other:?}"),
        Ok(_) => Vec::new(),
    }
}

#[test]
fn every_bad_field_is_named_at_once() {
    let request = RecommendRequest {
        user_id: "u".repeat(257),
        n: Some(0),
        alpha: Some(f64::NAN),
        strategy: 9,
        filter: Some(ProductFilter {
            exclude_product_ids: vec!["a".into(), String::new()],
            ..ProductFilter::default()
        }),
        ..RecommendRequest::default()
    };
    let expected = [
        "user_id",
        "n",
        "strategy",
        "alpha",
        "filter.exclude_product_ids[1]",
    ]
    .map(String::from);
    assert_eq!(bad_fields(request), expected);
}

#[test]
fn bounds_are_inclusive() {
    for (n, is_good) in [(1, true), (100, true), (101, false), (0, false)] {
        let request = RecommendRequest {
            n: Some(n),
            ..RecommendRequest::default()
        };
        assert_eq!(bad_fields(request).is_empty(), is_good, "n = {n}");
    }
    for (alpha, is_good) in [(0.0, true), (1.0, true), (-0.1, false), (1.1, false)] {
        let request = RecommendRequest {
            alpha: Some(alpha),
            ..RecommendRequest::default()
        };
        assert_eq!(bad_fields(request).is_empty(), is_good, "alpha = {alpha}");
    }
}

#[test]
fn too_many_exclusions_are_refused() {
    let filter = ProductFilter {
        exclude_product_ids: vec!["p".to_owned(); 1_001],
        ..ProductFilter::default()
    };
    let request = RecommendRequest {
        filter: Some(filter),
        ..RecommendRequest::default()
    };
    assert_eq!(bad_fields(request), ["filter.exclude_product_ids"]);
}

fn canonical_of(request: RecommendRequest) -> RecommendRequest {
    RecommendCall::parse(request).unwrap().request
}

fn filtered(filter: ProductFilter) -> RecommendRequest {
    RecommendRequest {
        filter: Some(filter),
        ..RecommendRequest::default()
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().copied().map(String::from).collect()
}

#[test]
fn what_means_the_same_is_written_the_same() {
    let sorted = filtered(ProductFilter {
        categories: texts(&["a", "b"]),
        brands: texts(&["x"]),
        exclude_product_ids: texts(&["p1", "p2"]),
        price: Some(PriceRange {
            min: Some(0.0),
            max: None,
        }),
    });
    let jumbled = RecommendRequest {
        n: Some(10),
        strategy: WireStrategy::Hybrid.into(),
        session_id: "visit".to_owned(),
        request_id: "call".to_owned(),
        ..filtered(ProductFilter {
            categories: texts(&["b", "a", "b"]),
            brands: texts(&["x", "x"]),
            exclude_product_ids: texts(&["p2", "p1"]),
            price: Some(PriceRange {
                min: Some(-0.0),
                max: None,
            }),
        })
    };
    let encoded = |request| prost::Message::encode_to_vec(&canonical_of(request));
    assert_eq!(encoded(sorted), encoded(jumbled));
    let open = filtered(ProductFilter {
        price: Some(PriceRange::default()),
        ..ProductFilter::default()
    });
    assert_eq!(
        canonical_of(open),
        canonical_of(RecommendRequest::default())
    );
}

#[test]
fn recent_products_keep_their_order() {
    let of = |recents| RecommendRequest {
        recent_product_ids: texts(recents),
        ..RecommendRequest::default()
    };
    assert_ne!(canonical_of(of(&["a", "b"])), canonical_of(of(&["b", "a"])));
    assert_ne!(canonical_of(of(&["a"])), canonical_of(of(&["a", "a"])));
}

#[test]
fn traffic_is_split_by_user_or_session_or_request() {
    let key = |user: &str, session: &str| {
        let call = RecommendCall::parse(RecommendRequest {
            user_id: user.to_owned(),
            session_id: session.to_owned(),
            request_id: "request".to_owned(),
            ..RecommendRequest::default()
        });
        let call = call.unwrap();
        call.address.sticky_key(&call.request.user_id).to_owned()
    };
    assert_eq!(key("user", "session"), "user");
    assert_eq!(key("", "session"), "session");
    assert_eq!(key("", ""), "request");
}

#[test]
fn every_bad_field_of_similar_products_is_named_at_once() {
    let request = SimilarProductsRequest {
        n: Some(51),
        basis: 3,
        user_id: "u".repeat(257),
        session_id: "s".repeat(257),
        request_id: "r".repeat(257),
        model: "m".repeat(64),
        filter: Some(ProductFilter {
            brands: vec![String::new()],
            ..ProductFilter::default()
        }),
        ..SimilarProductsRequest::default()
    };
    let Err(CallError::BadFields(bad)) = SimilarCall::parse(request) else {
        panic!("accepted");
    };
    let fields: Vec<_> = bad.iter().map(|bad| bad.field.as_str()).collect();
    let expected = [
        "product_id",
        "model",
        "n",
        "basis",
        "filter.brands[0]",
        "user_id",
        "session_id",
        "request_id",
    ];
    assert_eq!(fields, expected);
}
