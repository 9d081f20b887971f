use super::*;
use serde_json::{Value, json};

fn model() -> ModelName {
    "shop".parse().unwrap()
}

fn good() -> Value {
    json!({
        "format": 1, "model": "shop", "version": 12,
        "upload": "ab".repeat(16), "nonce": "cd".repeat(16),
        "created_at": "2026-11-24T02:00:00Z", "author": "ann",
        "lineage": { "inputs": [{ "name": "events.csv", "rows": 9 }], "seed": 42 },
        "parts": [{ "name": "als.safetensors", "size_bytes": 3, "sha256": "00".repeat(32) }],
        "card": { "anything": [1, 2, 3] }
    })
}

fn read(value: &Value) -> Result<VersionRecord, Error> {
    let bytes = Bytes::from(serde_json::to_vec(value).unwrap());
    parse((&model(), Version::new(12).unwrap()), &bytes, 1_000)
}

#[test]
fn manifest_reads_back_as_it_was_written() {
    let Ok(VersionRecord::Published(manifest)) = read(&good()) else {
        panic!("a good manifest")
    };
    let bytes = json::write(&manifest);
    let again = parse((&model(), manifest.version), &bytes, 1_000).unwrap();
    let manifest = manifest.stored_as(&bytes);
    assert!(matches!(again, VersionRecord::Published(again) if again == manifest));
}

#[test]
fn unknown_fields_are_tolerated() {
    let mut value = good();
    value["signature"] = json!({ "by": "a later release" });
    value["parts"][0]["compression"] = json!("none");
    assert!(read(&value).is_ok());
}

#[test]
fn hostile_manifests_are_refused_as_corrupt() {
    let part = |name: &str| json!({ "name": name, "size_bytes": 3, "sha256": "00".repeat(32) });
    let cases = [
        ("/model", json!("other")),
        ("/version", json!(13)),
        ("/version", json!(0)),
        ("/upload", json!("../../../../etc")),
        ("/upload", json!("../".repeat(10) + "ab")),
        ("/nonce", json!("")),
        ("/author", json!("")),
        ("/author", json!("a".repeat(257))),
        ("/author", json!("a\u{0}b")),
        ("/created_at", json!("yesterday")),
        ("/parts", json!([])),
        ("/parts", json!([part("a.json"), part("a.json")])),
        (
            "/parts",
            json!(
                (0..65)
                    .map(|n| part(&format!("p{n}.json")))
                    .collect::<Vec<_>>()
            ),
        ),
        ("/parts/0/name", json!("../als.safetensors")),
        ("/parts/0/name", json!("/etc/passwd")),
        ("/parts/0/name", json!("")),
        ("/parts/0/size_bytes", json!("3")),
        ("/parts/0/size_bytes", json!(-1)),
        ("/parts/0/size_bytes", json!(1e30)),
        ("/parts/0/sha256", json!("00")),
        ("/lineage/inputs/0/name", json!("x".repeat(1_025))),
        ("/format", json!(0)),
        ("/format", json!("1")),
    ];
    for (field, value) in cases {
        let mut hostile = good();
        *hostile.pointer_mut(field).unwrap() = value;
        let error = read(&hostile).map(|_| ()).unwrap_err();
        assert_eq!(error.kind(), "corrupt", "{field}: {error}");
        assert!(error.to_string().contains("version 12 of shop"), "{error}");
    }
}

#[test]
fn every_field_has_to_be_there() {
    for field in good().as_object().unwrap().keys() {
        let mut value = good();
        value.as_object_mut().unwrap().remove(field);
        assert!(read(&value).is_err(), "{field}");
    }
}

#[test]
fn broken_bytes_are_refused() {
    let bytes = Bytes::from(serde_json::to_vec(&good()).unwrap());
    for end in 0..bytes.len() {
        let cut = bytes.slice(..end);
        assert!(parse((&model(), Version::new(12).unwrap()), &cut, 1_000).is_err());
    }
    let deep = "[".repeat(100_000);
    assert!(parse((&model(), Version::FIRST), &deep.into(), 1_000).is_err());
}

#[test]
fn part_over_the_configured_size_is_refused_with_both_numbers() {
    let mut value = good();
    value["parts"][0]["size_bytes"] = json!(1_001);
    let error = read(&value).map(|_| ()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "size of part als.safetensors of version 12 of shop is 1001, the limit is 1000"
    );
}

#[test]
fn newer_format_is_named_whatever_else_it_holds() {
    let error = read(&json!({ "format": 2, "parts": "elsewhere" }))
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "version 12 of shop has format 2; this release reads up to 1"
    );
}

#[test]
fn tombstone_names_author_and_reason() {
    let removed = json!({ "at": "2026-11-24T02:00:00Z", "by": "bob", "why": "leaked prices" });
    let value = json!({ "format": 1, "model": "shop", "version": 12, "removed": removed });
    assert!(matches!(read(&value), Ok(VersionRecord::Removed(stone)) if stone.by == "bob"));
    let other = json!({ "format": 1, "model": "shop", "version": 11, "removed": removed });
    assert!(read(&other).is_err());
}

#[test]
fn tombstone_with_any_text_still_removes() {
    let removed = json!({ "at": "?", "by": "bob\u{1b}[2J", "why": "w".repeat(1 << 20) });
    let value = json!({ "format": 1, "model": "shop", "version": 12, "removed": removed });
    let Ok(VersionRecord::Removed(stone)) = read(&value) else {
        panic!("it was removed")
    };
    assert_eq!(stone.by, "bob\u{fffd}[2J");
    assert_eq!((stone.why.len(), stone.why.ends_with("w…")), (1_027, true));
}

#[test]
fn sizes_beyond_the_number_range_are_refused() {
    let mut value = good();
    let part =
        |name: &str| json!({ "name": name, "size_bytes": 1u64 << 63, "sha256": "00".repeat(32) });
    value["parts"] = json!([part("a.json"), part("b.json")]);
    let bytes = Bytes::from(serde_json::to_vec(&value).unwrap());
    let error = parse((&model(), Version::new(12).unwrap()), &bytes, u64::MAX).map(|_| ());
    let said = error.unwrap_err().to_string();
    assert!(
        said.starts_with("size of version 12 of shop is 18446744073709551615"),
        "{said}"
    );
}

#[test]
fn json_with_too_many_values_is_refused() {
    let mut value = good();
    value["card"] = json!(vec![json!({}); 200_000]);
    assert!(read(&value).is_ok());
    value["card"] = json!(vec![json!({}); 300_000]);
    let said = read(&value).map(|_| ()).unwrap_err().to_string();
    assert!(
        said.starts_with("number of JSON values of version 12 of shop is 6000"),
        "{said}"
    );
    assert!(said.ends_with("the limit is 500000"), "{said}");
}

#[test]
fn error_quotes_at_most_one_line_of_the_record() {
    let mut value = good();
    value["version"] = json!("x".repeat(1 << 20));
    let said = read(&value).map(|_| ()).unwrap_err().with_causes();
    assert!(
        said.contains("xx… at line 1 column") && said.len() < 500,
        "{} bytes",
        said.len()
    );
}

#[test]
fn a_part_is_required_unless_it_says_otherwise_and_only_others_are_left_out() {
    let part = |name: &str, required: Option<bool>| {
        let mut part = json!({ "name": name, "size_bytes": 3, "sha256": "00".repeat(32) });
        if let Some(required) = required {
            part["required"] = json!(required);
        }
        part
    };
    let mut value = good();
    value["parts"] = json!([
        part("a.json", None),
        part("b.json", Some(true)),
        part("c.json", Some(false)),
        part("d.json", Some(false)),
    ]);
    let Ok(VersionRecord::Published(manifest)) = read(&value) else {
        panic!("a good manifest")
    };
    let required: Vec<bool> = manifest.parts.iter().map(|part| part.required).collect();
    assert_eq!(required, [true, true, false, false]);
    let written: Value = serde_json::from_slice(&json::write(&manifest)).unwrap();
    assert!(written["parts"][1].get("required").is_none(), "as before");
    assert_eq!(written["parts"][2]["required"], json!(false));
    let needed = manifest.needed(|name| name == "d.json");
    let names: Vec<&str> = needed.parts.iter().map(|part| part.name.as_str()).collect();
    assert_eq!(names, ["a.json", "b.json", "d.json"]);
    assert_eq!(needed.upload, manifest.upload);
    value["parts"][0]["required"] = json!("perhaps");
    assert!(read(&value).is_err());
}
