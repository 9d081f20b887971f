use super::*;
use serde_json::{Value, json};

fn model() -> ModelName {
    "shop".parse().unwrap()
}

fn replica() -> ReplicaId {
    "pod-7".parse().unwrap()
}

fn good() -> Value {
    json!({
        "format": 1, "model": "shop", "replica": "pod-7", "address": "10.1.2.3:50051",
        "build": "0.1.0", "started_at": "2026-11-24T02:00:00Z", "written_at": "2026-11-24T02:01:00Z",
        "heard": { "number": 31, "sha256": "0a".repeat(32) }, "live": null,
        "arms": [{ "name": "main", "version": 7, "share_bp": 10_000 }],
        "versions": [{ "version": 7, "state": "live", "since": "2026-11-24T02:00:09Z" }],
        "degraded": "", "registry_trouble": ""
    })
}

fn parse(value: &Value) -> Result<ReplicaState, Error> {
    ReplicaState::parse_at(&model(), &replica(), value.to_string().as_bytes())
}

#[test]
fn replica_file_survives_a_round_trip() {
    let mut state = parse(&good()).unwrap();
    state.degraded = "wanted rollout 31,\nserving 30".to_owned();
    let bytes = json::write(&state);
    let read = ReplicaState::parse_at(&model(), &replica(), &bytes).unwrap();
    assert_eq!(read, state);
}

#[test]
fn unknown_fields_and_states_of_a_newer_release_are_tolerated() {
    let mut value = good();
    value["colour"] = json!("blue");
    value["versions"][0]["state"] = json!("polishing");
    let state = parse(&value).unwrap();
    assert_eq!(state.versions[0].state, "polishing");
    assert!(state.versions[0].is_in_use());
}

#[test]
fn file_over_a_limit_is_corrupt_and_names_the_limit() {
    let version = good()["versions"][0].clone();
    let arm = good()["arms"][0].clone();
    let cases: [(&str, Value, &str); 13] = [
        ("/model", json!("other"), "replica pod-7 and model other"),
        ("/replica", json!("pod-8"), "replica pod-8 and model shop"),
        ("/address", json!(""), "address"),
        ("/address", json!("x".repeat(257)), "address"),
        ("/build", json!("a\u{1b}[2J"), "build"),
        ("/started_at", json!("yesterday"), "started_at"),
        ("/arms/0/share_bp", json!(10_001), "share of an arm"),
        ("/arms/0/name", json!("../main"), "arm"),
        ("/arms", json!(vec![arm; 9]), "number of arms"),
        ("/versions", json!(vec![version; 65]), "number of versions"),
        ("/versions/0/state", json!("LIVE"), "state of a version"),
        ("/versions/0/since", json!(12), "not a record of this kind"),
        ("/degraded", json!("x".repeat(4_097)), "degraded"),
    ];
    for (field, value, said) in cases {
        let mut file = good();
        *file.pointer_mut(field).unwrap() = value;
        let error = parse(&file).unwrap_err();
        assert_eq!(error.kind(), "corrupt", "{field}");
        assert!(error.to_string().contains(said), "{field}: {error}");
    }
    let mut newer = good();
    newer["format"] = json!(2);
    assert_eq!(parse(&newer).unwrap_err().kind(), "unsupported_format");
}

#[test]
fn notes_are_truncated_to_fit() {
    let mut state = parse(&good()).unwrap();
    state.degraded = "\u{7}é".repeat(4_000);
    state.registry_trouble = format!("  {}  ", "x".repeat(5_000));
    state.versions = vec![state.versions[0].clone(); 100];
    state.versions[0].reason = "y".repeat(1_025);
    let fitted = state.truncated();
    fitted.check().unwrap();
    assert_eq!(fitted.versions.len(), 64);
    assert!(fitted.versions[0].reason.ends_with("y…"));
    assert_eq!(fitted.versions[0].reason.len(), 1_024);
    assert!(fitted.registry_trouble.ends_with("x…"));
    // The largest that can be: every text at its limit, in the letters that JSON makes longest.
    state.degraded = "\n\"".repeat(2_048);
    state.registry_trouble.clone_from(&state.degraded);
    for version in &mut state.versions {
        version.reason = "\"\\".repeat(512);
    }
    let bytes = json::write(&state.truncated());
    assert!((bytes.len() as u64) < REPLICA_BYTES_MAX, "{}", bytes.len());
}
