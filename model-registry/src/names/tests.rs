use super::*;
use proptest::prelude::*;

/// What a hostile manifest or caller would try.
const SMUGGLED: [&str; 22] = [
    "", ".", "..", "../etc", "a/../b", "/abs", "a/b", "a\\b", "a\0b", "shop\n", "Shop", "shöp",
    "ѕhop", "shop ", " shop", "-shop", "_shop", "%2e%2e", "shop%2fx", "a.b", "c:", "shop#1",
];

#[test]
fn name_cannot_smuggle_in_a_path() {
    for text in SMUGGLED {
        assert!(text.parse::<ModelName>().is_err(), "{text:?}");
        assert!(text.parse::<ReplicaId>().is_err(), "{text:?}");
        assert!(text.parse::<PartName>().is_err(), "{text:?}");
        for extension in ["arrow", "safetensors", "json"] {
            // A letter, so that what is refused is the stem.
            let is_stem = ["_shop"].contains(&text);
            let part = format!("{text}.{extension}");
            assert_eq!(part.parse::<PartName>().is_ok(), is_stem, "{part:?}");
        }
    }
}

#[test]
fn parts_have_one_of_the_known_extensions() {
    for text in [
        "als.safetensors",
        "users.arrow",
        "card.json",
        "content_2.safetensors",
    ] {
        assert_eq!(text.parse::<PartName>().unwrap().as_str(), text);
    }
    for text in [
        "als",
        "als.",
        "als.exe",
        "als.json.exe",
        "a..json",
        ".json",
        "als.JSON",
        "a-b.json",
    ] {
        assert!(text.parse::<PartName>().is_err(), "{text}");
    }
}

#[test]
fn lengths_are_bounded() {
    assert!("a".repeat(63).parse::<ModelName>().is_ok());
    assert!("a".repeat(64).parse::<ModelName>().is_err());
    assert!(
        format!("{}.json", "a".repeat(59))
            .parse::<PartName>()
            .is_ok()
    );
    assert!(
        format!("{}.json", "a".repeat(60))
            .parse::<PartName>()
            .is_err()
    );
    let error = "a".repeat(1 << 20).parse::<ModelName>().unwrap_err();
    assert!(
        error.to_string().len() < 300,
        "a refusal does not repeat a megabyte"
    );
}

#[test]
fn names_in_json_are_parsed_alike() {
    for text in SMUGGLED {
        let json = serde_json::to_string(text).unwrap();
        assert!(serde_json::from_str::<ModelName>(&json).is_err(), "{json}");
        assert!(serde_json::from_str::<PartName>(&json).is_err(), "{json}");
        assert!(
            serde_json::from_str::<crate::UploadId>(&json).is_err(),
            "{json}"
        );
        assert!(
            serde_json::from_str::<crate::Sha256Digest>(&json).is_err(),
            "{json}"
        );
    }
    let name: ModelName = serde_json::from_str("\"shop-2\"").unwrap();
    assert_eq!(serde_json::to_string(&name).unwrap(), "\"shop-2\"");
}

#[test]
fn hexadecimal_ids_have_one_spelling() {
    let text = "00ff".repeat(8);
    assert_eq!(text.parse::<crate::UploadId>().unwrap().to_string(), text);
    let multibyte = format!("{}é", "0".repeat(30));
    for text in [
        text.to_uppercase(),
        text[1..].to_owned(),
        format!("{text}0"),
        multibyte,
    ] {
        assert!(text.parse::<crate::UploadId>().is_err(), "{text}");
    }
}

proptest! {
    /// Whatever parses is one segment of the alphabet and prints as it was written.
    #[test]
    fn names_that_parse_are_one_plain_segment(text in "\\PC{0,70}|[a-z0-9_./\\\\-]{0,70}") {
        for name in [
            text.parse::<ModelName>().map(String::from),
            text.parse::<ReplicaId>().map(String::from),
            text.parse::<PartName>().map(String::from),
        ].into_iter().flatten() {
            prop_assert_eq!(&name, &text);
            prop_assert!(name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-_.".contains(&b)));
            prop_assert!(!name.contains("..") && !name.starts_with('.') && name.len() <= 64);
            let path = object_store::path::Path::from("root").join(name.as_str());
            prop_assert_eq!(path.as_ref(), format!("root/{name}"), "no store rewrites it");
        }
    }

    #[test]
    fn well_formed_names_parse(text in "[a-z0-9][a-z0-9_-]{0,62}") {
        prop_assert!(text.parse::<ModelName>().is_ok());
    }
}
