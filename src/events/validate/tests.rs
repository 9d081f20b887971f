use super::*;

/// 2026-11-30T12:00:00Z.
const NOW: i64 = 1_796_040_000_000_000;
const NOW_S: i64 = NOW / 1_000_000;

fn good() -> EventFields {
    EventFields {
        event_id: "e1".to_owned(),
        user_id: "ann".to_owned(),
        product_id: "p1".to_owned(),
        event_type: "view".to_owned(),
        occurred_at: Some((NOW_S - 60, 5_000)),
        ..EventFields::default()
    }
}

fn types() -> EventTypes {
    EventTypes::parse("search").unwrap()
}

/// The fields that are rejected.
fn rejected(fields: EventFields) -> Vec<String> {
    let bad = fields.validate(&types(), NOW).unwrap_err();
    bad.into_iter().map(|bad| bad.field).collect()
}

#[test]
fn good_event_keeps_every_field() {
    let fields = EventFields {
        session_id: "s1".to_owned(),
        quantity: Some(2.0),
        order_value: Some(-3.5),
        answer_id: "a1".to_owned(),
        ..good()
    };
    let event = fields.validate(&types(), NOW).unwrap();
    assert_eq!(
        event,
        Event {
            event_id: "e1".to_owned(),
            user_id: Some("ann".to_owned()),
            session_id: Some("s1".to_owned()),
            product_id: "p1".to_owned(),
            event_type: "view".to_owned(),
            occurred_at: NOW - 60_000_000 + 5,
            accepted_at: NOW,
            quantity: Some(2.0),
            order_value: Some(-3.5),
            answer_id: Some("a1".to_owned()),
        }
    );
}

#[test]
fn every_bad_value_is_rejected_by_its_field() {
    let long = "x".repeat(257);
    let with = |change: &dyn Fn(&mut EventFields)| {
        let mut fields = good();
        change(&mut fields);
        fields
    };
    let at = |seconds, nanos| move |e: &mut EventFields| e.occurred_at = Some((seconds, nanos));
    for (field, fields) in [
        ("event_id", with(&|e| e.event_id.clear())),
        ("event_id", with(&|e| e.event_id = long.clone())),
        ("user_id", with(&|e| e.user_id = long.clone())),
        ("user_id", with(&|e| e.user_id.clear())),
        ("session_id", with(&|e| e.session_id = long.clone())),
        ("product_id", with(&|e| e.product_id.clear())),
        ("product_id", with(&|e| e.product_id = long.clone())),
        ("type", with(&|e| e.event_type = "like".to_owned())),
        ("type", with(&|e| e.event_type.clear())),
        ("type", with(&|e| e.event_type = "View".to_owned())),
        ("occurred_at", with(&at(NOW_S + 301, 0))),
        ("occurred_at", with(&at(NOW_S - 90 * 86_400 - 1, 0))),
        ("occurred_at", with(&at(NOW_S, -1))),
        ("occurred_at", with(&at(NOW_S, 1_000_000_000))),
        ("occurred_at", with(&at(i64::MAX, 0))),
        ("occurred_at", with(&at(i64::MIN, 0))),
        ("quantity", with(&|e| e.quantity = Some(-1.0))),
        ("quantity", with(&|e| e.quantity = Some(f64::NAN))),
        ("quantity", with(&|e| e.quantity = Some(f64::INFINITY))),
        ("order_value", with(&|e| e.order_value = Some(f64::NAN))),
        (
            "order_value",
            with(&|e| e.order_value = Some(f64::NEG_INFINITY)),
        ),
        ("answer_id", with(&|e| e.answer_id = long.clone())),
    ] {
        assert_eq!(rejected(fields.clone()), [field], "{fields:?}");
    }
}

#[test]
fn values_at_their_limits_are_accepted() {
    let longest = "x".repeat(256);
    let at_limits = [
        EventFields {
            event_id: longest.clone(),
            user_id: longest.clone(),
            session_id: longest.clone(),
            product_id: longest.clone(),
            answer_id: longest,
            quantity: Some(0.0),
            ..good()
        },
        EventFields {
            occurred_at: Some((NOW_S + 300, 0)),
            ..good()
        },
        EventFields {
            occurred_at: Some((NOW_S - 90 * 86_400, 0)),
            ..good()
        },
        EventFields {
            user_id: String::new(),
            session_id: "s1".to_owned(),
            ..good()
        },
        // Only the usual types need a product.
        EventFields {
            event_type: "search".to_owned(),
            product_id: String::new(),
            ..good()
        },
    ];
    for fields in at_limits {
        let accepted = fields.clone().validate(&types(), NOW);
        assert!(accepted.is_ok(), "{fields:?}: {accepted:?}");
    }
}

#[test]
fn event_without_a_time_happened_when_it_was_accepted() {
    let fields = EventFields {
        occurred_at: None,
        ..good()
    };
    assert_eq!(fields.validate(&types(), NOW).unwrap().occurred_at, NOW);
}

#[test]
fn all_bad_fields_of_an_event_are_named() {
    let fields = EventFields {
        quantity: Some(-1.0),
        order_value: Some(f64::NAN),
        ..EventFields::default()
    };
    assert_eq!(
        rejected(fields),
        ["event_id", "user_id", "type", "quantity", "order_value"]
    );
}

#[test]
fn rejections_quote_no_id_and_little_of_a_type() {
    let secret = "ann@example.com".repeat(20);
    let fields = EventFields {
        user_id: secret,
        event_type: "like".repeat(100),
        ..good()
    };
    let bad = fields.validate(&types(), NOW).unwrap_err();
    for bad in bad {
        assert!(!bad.why.contains("ann@"), "{bad:?}");
        assert!(bad.why.len() < 300, "{bad:?}");
    }
}
