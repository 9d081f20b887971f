use super::*;

fn fields() -> RecommendFields {
    RecommendFields {
        user_id: String::new(),
        session_id: String::new(),
        request_id: String::new(),
        model: String::new(),
        n: None,
        strategy: Ok(None),
        alpha: None,
        recent_product_ids: Vec::new(),
        filter: ProductFilter::default(),
        include_seen: None,
        include_names: false,
        debug: false,
        pinned_version: None,
    }
}

fn bad_fields(fields: RecommendFields) -> Vec<String> {
    match RecommendCall::validate(fields) {
        Err(CallError::BadFields(fields)) => fields.into_iter().map(|bad| bad.field).collect(),
        Err(other) => panic!("refused for another reason: {other:?}"),
        Ok(_) => Vec::new(),
    }
}

#[test]
fn every_bad_field_is_reported_at_once() {
    let fields = RecommendFields {
        user_id: "u".repeat(257),
        n: Some(0),
        alpha: Some(f64::NAN),
        strategy: Err("9 is none of the known strategies".to_owned()),
        filter: ProductFilter {
            exclude_product_ids: vec!["a".into(), String::new()],
            ..ProductFilter::default()
        },
        ..fields()
    };
    let expected = [
        "user_id",
        "n",
        "strategy",
        "alpha",
        "filter.exclude_product_ids[1]",
    ]
    .map(String::from);
    assert_eq!(bad_fields(fields), expected);
}

#[test]
fn bounds_are_inclusive() {
    for (n, is_good) in [(1, true), (100, true), (101, false), (0, false)] {
        let fields = RecommendFields {
            n: Some(n),
            ..fields()
        };
        assert_eq!(bad_fields(fields).is_empty(), is_good, "n = {n}");
    }
    for (alpha, is_good) in [(0.0, true), (1.0, true), (-0.1, false), (1.1, false)] {
        let fields = RecommendFields {
            alpha: Some(alpha),
            ..fields()
        };
        assert_eq!(bad_fields(fields).is_empty(), is_good, "alpha = {alpha}");
    }
}

#[test]
fn too_many_exclusions_are_refused() {
    let filter = ProductFilter {
        exclude_product_ids: vec!["p".to_owned(); 1_001],
        ..ProductFilter::default()
    };
    let fields = RecommendFields { filter, ..fields() };
    assert_eq!(bad_fields(fields), ["filter.exclude_product_ids"]);
}

#[test]
fn arm_is_chosen_by_user_else_session_else_request() {
    let key = |user: &str, session: &str| {
        let call = RecommendCall::validate(RecommendFields {
            user_id: user.to_owned(),
            session_id: session.to_owned(),
            request_id: "request".to_owned(),
            ..fields()
        });
        call.unwrap().split_key().to_owned()
    };
    assert_eq!(key("user", "session"), "user");
    assert_eq!(key("", "session"), "session");
    assert_eq!(key("", ""), "request");
}
