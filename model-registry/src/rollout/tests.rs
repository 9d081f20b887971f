use super::*;
use serde_json::{Value, json};

fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

fn arm(name: &str, number: u64, share_bp: u16) -> Arm {
    Arm {
        name: name.to_owned(),
        version: version(number),
        share_bp,
        manifest_sha256: None,
    }
}

fn draft(arms: Vec<Arm>) -> RolloutDraft {
    RolloutDraft {
        arms,
        ..RolloutDraft::all_to(version(1), "ann", "because")
    }
}

fn good() -> Value {
    json!({
        "format": 1, "model": "shop", "number": 31,
        "parent": { "number": 30, "sha256": "00".repeat(32) },
        "nonce": "cd".repeat(16), "salt": "s",
        "arms": [{ "name": "main", "version": 7, "share_bp": 9_000 },
                 { "name": "canary", "version": 8, "share_bp": 1_000 }],
        "author": "ann", "reason": "fresher prices", "created_at": "2026-11-24T02:00:00Z"
    })
}

#[test]
fn shares_add_up_to_ten_thousand_over_one_to_eight_arms() {
    assert!(draft(vec![arm("main", 1, 10_000)]).check().is_ok());
    assert!(
        draft(vec![arm("main", 1, 10_000), arm("shadow", 2, 0)])
            .check()
            .is_ok()
    );
    assert!(
        draft((1..=8).map(|n| arm(&format!("a{n}"), n, 1_250)).collect())
            .check()
            .is_ok()
    );
    for (arms, said) in [
        (vec![], "number of arms"),
        (
            (1..=9).map(|n| arm(&format!("a{n}"), n, 1_111)).collect(),
            "number of arms",
        ),
        (vec![arm("main", 1, 9_999)], "sum of shares"),
        (
            vec![arm("a", 1, 65_535), arm("b", 2, 10_001)],
            "sum of shares",
        ),
        (
            vec![arm("a", 1, 5_000), arm("b", 1, 5_000)],
            "version of an arm",
        ),
        (
            vec![arm("a", 1, 5_000), arm("a", 2, 5_000)],
            "a name once only",
        ),
        (vec![arm("../a", 1, 10_000)], "../a"),
    ] {
        let error = draft(arms).check().unwrap_err().to_string();
        assert!(error.contains(said), "{error}");
    }
}

#[test]
fn author_and_reason_are_required() {
    for (author, reason) in [("", "why"), ("ann", " "), ("ann", "a\u{1b}[31m")] {
        assert!(
            RolloutDraft::all_to(version(1), author, reason)
                .check()
                .is_err()
        );
    }
    assert!(
        RolloutDraft::all_to(version(1), "a".repeat(257), "why")
            .check()
            .is_err()
    );
    assert!(
        RolloutDraft::all_to(version(1), "ann", "w".repeat(1_025))
            .check()
            .is_err()
    );
    let salted = RolloutDraft {
        salt: Some("s".repeat(129)),
        ..draft(vec![arm("main", 1, 10_000)])
    };
    assert!(salted.check().is_err());
}

#[test]
fn record_keeps_the_digest_of_its_stored_bytes() {
    let bytes = serde_json::to_vec(&good()).unwrap();
    let record = RolloutRecord::parse(&bytes).unwrap();
    assert_eq!(record.sha256, Sha256Digest::of(&bytes));
    let written = json::write(&record);
    assert!(!String::from_utf8_lossy(&written).contains(&record.sha256.to_string()));
    let again = RolloutRecord::parse(&written).unwrap();
    assert_eq!(
        RolloutRecord {
            sha256: record.sha256,
            ..again
        },
        record
    );
}

#[test]
fn records_that_break_the_format_are_corrupt() {
    for (field, value) in [
        ("/number", json!(0)),
        ("/parent/number", json!(31)),
        ("/arms/0/share_bp", json!(9_001)),
        ("/arms/0/share_bp", json!(70_000)),
        ("/arms/0/version", json!(8)),
        ("/salt", json!("")),
        ("/author", json!("")),
        ("/created_at", json!("")),
    ] {
        let mut broken = good();
        *broken.pointer_mut(field).unwrap() = value;
        let error = RolloutRecord::parse(&serde_json::to_vec(&broken).unwrap()).unwrap_err();
        assert_eq!(error.kind(), "corrupt", "{field}");
    }
    let newer = RolloutRecord::parse(br#"{"format": 2, "arms": 7}"#).unwrap_err();
    assert_eq!(newer.kind(), "unsupported_format");
}

#[test]
fn hostile_records_are_corrupt_and_say_why() {
    let nine: Vec<Arm> = (1..=9).map(|n| arm(&format!("a{n}"), n, 1_111)).collect();
    for (field, value, said) in [
        (
            "/arms",
            json!(nine),
            "number of arms \"9\" breaks its limit: 1 to 8",
        ),
        (
            "/arms",
            json!([]),
            "number of arms \"0\" breaks its limit: 1 to 8",
        ),
        (
            "/arms/0/share_bp",
            json!(8_999),
            "sum of shares \"9999\" breaks its limit",
        ),
        (
            "/arms/0/version",
            json!(8),
            "version of an arm \"8\" breaks its limit",
        ),
        ("/arms/0/version", json!(u64::MAX), "from 1 to 2^53 − 1"),
        (
            "/arms/0/version",
            json!(1e300),
            "invalid type: floating point",
        ),
        (
            "/arms/0/name",
            json!("../main"),
            "arm \"../main\" breaks its limit",
        ),
    ] {
        let mut hostile = good();
        *hostile.pointer_mut(field).unwrap() = value;
        let error = RolloutRecord::parse(&serde_json::to_vec(&hostile).unwrap()).unwrap_err();
        assert_eq!(error.kind(), "corrupt", "{field}");
        let found = error.with_causes();
        assert!(found.contains(said), "{said:?} in {found:?}");
    }
    let nested = format!("{{\"format\":1,\"x\":{}", "[".repeat(60_000));
    let error = RolloutRecord::parse(nested.as_bytes())
        .unwrap_err()
        .with_causes();
    assert!(error.contains("EOF while parsing a list"), "{error}");
}
