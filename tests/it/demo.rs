//! `hotshelf demo` on one server.

use serde_json::json;

use crate::harness::hotshelf;

#[test]
fn demo_shows_what_is_bought_again_and_together_similar_products_a_new_visitor_and_a_filter() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let size = ["--products", "200", "--users", "300", "--rate", "50"];
    let run = hotshelf(
        &[
            &["demo", "--once", "--dir", &place, "--seconds", "1"],
            &size[..],
        ]
        .concat(),
    );
    let told = run.text();
    let after = |mark: &str| {
        told.split_once(mark)
            .unwrap_or_else(|| panic!("{mark}: {told}"))
            .1
    };
    assert!(after("\nLike ").contains("  5. "), "{told}");
    assert!(after("\nBought together with ").contains("  5. "), "{told}");
    let (again, _) = after(", version 2:\n").split_once("\n\n").unwrap();
    assert!(again.contains("  repeat\n"), "{told}");
    let shown = after("and is shown at once:");
    assert!(
        shown.contains("fold_in") || shown.contains("sequence"),
        "{told}"
    );
    let (list, _) = after(", nothing above ").split_once("\n\n").unwrap();
    let (most, list) = list.split_once(":\n").unwrap();
    let price = |line: &str| -> f64 {
        let (_, price) = line.split_once(')').unwrap().0.rsplit_once(", ").unwrap();
        price.parse().unwrap()
    };
    let most: f64 = most.parse().unwrap();
    assert!(
        !list.is_empty() && list.lines().all(|line| price(line) <= most),
        "{told}"
    );
}

#[test]
fn demo_swaps_without_a_failed_request_and_prints_one_json_object() {
    let folder = tempfile::tempdir().unwrap();
    let place = folder.path().display().to_string();
    let size = [
        "--products",
        "200",
        "--users",
        "300",
        "--rate",
        "200",
        "--seconds",
        "1",
    ];
    let run = hotshelf(&[&["demo", "--once", "--json", "--dir", &place], &size[..]].concat());
    let report = run.json();
    assert_eq!(
        (&report["failed"], &report["swaps"]),
        (&json!(0), &json!(1)),
        "{report}"
    );
    let versions = report["versions"].as_object().unwrap();
    assert_eq!(versions.keys().collect::<Vec<_>>(), ["1", "2"], "{report}");
    let answers: u64 = versions.values().map(|count| count.as_u64().unwrap()).sum();
    assert_eq!(report["requests"].as_u64(), Some(answers));
    for key in ["p50_ms", "p99_ms_steady", "p99_ms_swap"] {
        assert!(report[key].as_f64().unwrap() > 0.0, "{key}: {report}");
    }
    let files = std::fs::read_dir(folder.path().join("shop")).unwrap();
    let names: Vec<_> = files
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    assert!(names.iter().any(|name| name.ends_with(".csv")), "{names:?}");
}
