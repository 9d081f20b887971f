use super::*;

#[test]
fn every_bad_field_is_reported_at_once() {
    let fields = SimilarFields {
        product_id: String::new(),
        model: "m".repeat(64),
        n: Some(51),
        basis: Err("3 is none of the known bases".to_owned()),
        filter: ProductFilter {
            brands: vec![String::new()],
            ..ProductFilter::default()
        },
        user_id: "u".repeat(257),
        session_id: "s".repeat(257),
        request_id: "r".repeat(257),
        debug: false,
        pinned_version: None,
    };
    let Err(CallError::BadFields(bad)) = SimilarCall::validate(fields) else {
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
