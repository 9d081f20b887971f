//! The commands that look at a registry, talk to a server, or do everything at once.

use serde_json::json;

use crate::harness::{BRANDS, CATEGORIES, MODEL, Season, Server, Shop, catalogue, hotshelf};

/// Runs a command that reads, both ways, and returns its text and its JSON.
fn both(args: &[&str]) -> (String, serde_json::Value) {
    let text = hotshelf(args).text().to_owned();
    let json = hotshelf(&[args, &["--json"]].concat()).json();
    (text, json)
}

#[tokio::test]
async fn models_are_listed_shown_and_verified_without_a_server() {
    let shop = Shop::new();
    shop.publish_without_content(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    let url = shop.url();
    let place = ["--registry", &url, "--model", MODEL];
    let (text, list) = both(&[&["models", "list"], &place[..]].concat());
    assert_eq!(text.lines().count(), 3, "{text}");
    assert_eq!(
        (&list[0]["version"], &list[1]["version"]),
        (&json!(2), &json!(1))
    );
    assert_eq!(
        (&list[0]["users"], &list[0]["author"], &list[0]["problem"]),
        (&json!(240), &json!("tests"), &json!(""))
    );
    let (text, manifest) = both(&[&["models", "show", "1"], &place[..]].concat());
    assert!(
        text.starts_with("toy version 1, ") && text.contains("als.safetensors"),
        "{text}"
    );
    assert_eq!(
        (&manifest["version"], &manifest["format"]),
        (&json!(1), &json!(1))
    );
    assert_eq!(manifest["parts"].as_array().unwrap().len(), 5);
    let (text, verdict) = both(&[&["models", "verify"], &place[..]].concat());
    assert!(text.contains("version 2 is good"), "{text}");
    assert_eq!(
        verdict,
        json!({"model": MODEL, "version": 2, "is_good": true, "kind": "ok", "message": ""})
    );

    let run = hotshelf(&[&["models", "show", "9"], &place[..]].concat());
    assert!(
        run.refusal(1).contains("version 9 of toy does not exist"),
        "{run:?}"
    );
    let run = hotshelf(&["models", "list", "--registry", &url, "--model", "../up"]);
    assert!(run.refusal(2).contains("../up"), "{run:?}");
    let run = hotshelf(&["models", "show", "--registry", &url, "--model", "other"]);
    assert!(run.refusal(1).contains("other has no version"), "{run:?}");
}

#[tokio::test]
async fn the_past_is_told_from_the_registry_alone() {
    let shop = Shop::new();
    for season in [Season::Spring, Season::Autumn] {
        shop.publish_without_content(season).await;
    }
    let url = shop.url();
    let place = ["--registry", &url, "--model", MODEL];
    let asked = |command: &[&str], more: &[&str]| {
        let args: Vec<&str> = [command, &place[..], more].concat();
        both(&args)
    };
    let (text, list) = asked(&["rollout", "history"], &[]);
    assert_eq!((text.lines().count(), list), (1, json!([])));
    let before = now();
    let run = hotshelf(&[&["who-was-live", "--at", &before], &place[..]].concat());
    assert!(run.refusal(1).contains("toy had no rollout yet"), "{run:?}");

    shop.split([(1, 10_000), (2, 0)], "salt").await;
    let first = shop.rollout(1).created_at;
    shop.split([(1, 5_000), (2, 5_000)], "salt").await;
    let (text, list) = asked(&["rollout", "history"], &[]);
    assert_eq!(text.lines().count(), 3, "{text}");
    assert!(
        text.contains("base 50 %: version 1, candidate 50 %: version 2"),
        "{text}"
    );
    assert_eq!(
        (&list[0]["rollout"], &list[1]["rollout"]),
        (&json!(2), &json!(1))
    );
    let (text, list) = asked(&["rollout", "history"], &["--limit", "1"]);
    assert!(text.contains("and older ones"), "{text}");
    assert_eq!(list.as_array().unwrap().len(), 1);

    let later = now();
    let (text, live) = asked(&["who-was-live"], &["--at", &later, "--user", "user-1"]);
    // The documented bucket of "salt" and "user-1".
    assert!(
        text.contains("user user-1: bucket 2642 of 10,000, arm base, version 1"),
        "{text}"
    );
    assert_eq!(
        (&live["rollout"]["rollout"], &live["until"]),
        (&json!(2), &json!(null))
    );
    let (_, live) = asked(&["who-was-live"], &["--at", &later, "--user", "user-2"]);
    assert_eq!(
        (&live["user"]["bucket"], &live["user"]["version"]),
        (&json!(7471), &json!(2))
    );
    let (_, live) = asked(&["who-was-live"], &["--at", &first]);
    assert_eq!(live["rollout"]["rollout"], json!(1));
    assert_eq!(live["until"], json!(shop.rollout(2).created_at));
    let run = hotshelf(&[&["who-was-live", "--at", "yesterday"], &place[..]].concat());
    assert!(run.refusal(2).contains("yesterday"), "{run:?}");
}

fn now() -> String {
    jiff::Timestamp::now().to_string()
}

#[tokio::test]
async fn running_server_is_reloaded_and_looked_at() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    let server = Server::start(&shop, &[]).await;
    let (data, admin) = (server.data.to_string(), server.admin.to_string());

    let run = hotshelf(&["recommend", "u0042", "--addr", &data]);
    assert!(
        run.refusal(1).contains("UNAVAILABLE (MODEL_NOT_LIVE)"),
        "{run:?}"
    );
    let run = hotshelf(&[
        "reload", "--admin", &admin, "--author", "ann", "--reason", "why not",
    ]);
    assert!(
        run.text()
            .starts_with("toy now serves version 1 (before: nothing), rollout 1"),
        "{run:?}"
    );
    let again = hotshelf(&["reload", "1", "--admin", &admin, "--json"]).json();
    assert_eq!(
        (&again["changed"], &again["state"]),
        (&json!(false), &json!("live"))
    );
    let run = hotshelf(&["reload", "9", "--admin", &admin]);
    assert!(
        run.refusal(1).contains("NOT_FOUND (UNKNOWN_VERSION)"),
        "{run:?}"
    );

    let (text, status) = both(&["status", "--admin", &admin]);
    assert!(text.contains("toy"), "{text}");
    assert_eq!(status["live"]["author"], "ann");
    let versions = status["versions"].as_array().unwrap();
    let states = versions
        .iter()
        .map(|one| (one["version"].as_u64(), one["state"].as_str()));
    // A version that does not exist leaves nothing behind.
    assert!(states.eq([(Some(1), Some("live"))]), "{status}");
    server.stop().await;

    let run = hotshelf(&["status", "--admin", &admin]);
    assert!(
        run.refusal(1).contains(&format!("cannot reach {admin}")),
        "{run:?}"
    );
}

#[tokio::test]
async fn recommendations_are_printed_as_they_are_answered() {
    let shop = Shop::new();
    let spring = shop.publish_without_content(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let data = server.data.to_string();
    let (text, list) = both(&["recommend", "u0042", "--addr", &data, "-n", "3"]);
    let expected: Vec<_> = spring
        .top("u0042")
        .into_iter()
        .take(3)
        .map(|(id, _)| id)
        .collect();
    for (rank, id) in expected.iter().enumerate() {
        assert_eq!(
            (
                &list["items"][rank]["product_id"],
                &list["items"][rank]["rank"]
            ),
            (&json!(id), &json!(rank + 1))
        );
        assert!(text.contains(id), "{text}");
    }
    assert_eq!(
        (&list["version"], &list["strategy"]),
        (&json!(1), &json!("collaborative"))
    );
    let name = list["items"][0]["product_name"].as_str().unwrap();
    assert!(!name.is_empty() && text.contains(name), "{text}");
    let run = hotshelf(&[
        "recommend",
        "u0042",
        "--addr",
        &data,
        "--exclude",
        &expected[0],
        "--strategy",
        "collaborative",
        "--json",
    ]);
    assert_eq!(run.json()["items"][0]["product_id"], json!(expected[1]));
    server.stop().await;
}

#[tokio::test]
async fn similar_products_are_printed_with_what_the_catalogue_says() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let data = server.data.to_string();
    let filter = [
        "--category",
        CATEGORIES[0],
        "--category",
        CATEGORIES[2],
        "--brand",
        BRANDS[3],
        "--price-max",
        "20",
        "--exclude",
        "p0012,p0014",
    ];
    let args = ["similar", "p0001", "--addr", &data, "-n", "50", "--basis"];
    let (text, list) = both(&[&args[..], &["collaborative"], &filter].concat());
    assert!(text.starts_with("like p0001: collaborative of model toy version 1"));
    let items = list["items"].as_array().unwrap();
    assert!(items.len() > 5, "{list}");
    for item in items {
        let id = item["product_id"].as_str().unwrap();
        let catalogue = catalogue();
        let said = catalogue.iter().find(|said| said.id == id).unwrap();
        let name = said.name.as_deref().unwrap();
        assert_eq!(
            (&item["product_name"], &item["price"]),
            (&json!(name), &json!(said.price))
        );
        assert!([CATEGORIES[0], CATEGORIES[2]].contains(&said.category.as_deref().unwrap()));
        assert_eq!(said.brand.as_deref(), Some(BRANDS[3]));
        assert!(said.price.unwrap() <= 20.0 && id != "p0012" && id != "p0014");
        assert!(text.contains(id) && text.contains(name), "{text}");
    }
    let run = hotshelf(&["similar", "none", "--addr", &data]);
    assert!(
        run.refusal(1).contains("NOT_FOUND (UNKNOWN_PRODUCT)"),
        "{run:?}"
    );
    let run = hotshelf(&["similar", "p0001", "--addr", &data, "--price-min", "-1"]);
    assert!(run.refusal(1).contains("filter.price.min"), "{run:?}");
    let (text, list) = both(&["similar", "p0001", "--addr", &data, "--category", "none"]);
    assert!(
        text.contains("without: ") && text.contains("nothing_matches"),
        "{text}"
    );
    assert_eq!(list["items"], json!([]));
    server.stop().await;
}

#[tokio::test]
async fn every_flag_of_recommend_reaches_the_server() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let data = server.data.to_string();
    let args = ["recommend", "u0042", "--addr", &data];
    let refused = |flags: &[&str]| hotshelf(&[&args[..], flags].concat()).refusal(1).to_owned();
    // A bad value of each comes back with the name of its field.
    for (flags, field) in [
        (["--alpha", "1.5"], "alpha"),
        (["--category", ""], "filter.categories[0]"),
        (["--brand", ""], "filter.brands[0]"),
        (["--price-min", "-1"], "filter.price.min"),
        (["--price-max", "-1"], "filter.price.max"),
        (["--exclude", "p,"], "filter.exclude_product_ids[1]"),
        (["--recent", "p,,p"], "recent_product_ids[1]"),
    ] {
        let said = refused(&flags);
        assert!(said.contains(&format!("{field}: ")), "{flags:?}: {said}");
    }
    let more = [
        "--recent",
        "none",
        "--recent",
        "p0001,p0002",
        "--debug",
        "--alpha",
        "0.5",
    ];
    let (text, list) = both(&[&args[..], &more].concat());
    assert_eq!(list["recent_product_ids_unknown"], json!(1), "{list}");
    assert_eq!(list["debug"]["alpha"], json!(0.5), "{list}");
    assert!(text.contains("found: collaborative by "), "{text}");
    assert!(text.contains("unknown: 1 of the recent"), "{text}");
    assert!(text.contains("reason"), "{text}");
    server.stop().await;
}

#[test]
fn demo_shows_likeness_a_new_visitor_and_a_filter() {
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
    let shown = after("and is shown at once:");
    assert!(
        shown.contains("fold_in") || shown.contains("hybrid"),
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
fn demo_swaps_without_a_failed_request_and_says_so_in_one_json_object() {
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
