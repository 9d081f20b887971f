//! The commands that look at a registry, talk to a server, or do everything at once.

use serde_json::json;

use std::path::Path;
use std::process::Command;

use crate::harness::{
    BRANDS, CATEGORIES, MODEL, Season, Server, Shop, catalogue, hotshelf, hotshelf_in,
};
use crate::tools;

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
    assert!(text.contains("version 2 passed"), "{text}");
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
    let said = format!("model \"other\" has no versions in {url} (models here: toy)");
    assert!(run.refusal(1).contains(&said), "{run:?}");
}

#[tokio::test]
async fn forgotten_model_lists_the_models_of_the_registry() {
    let shop = Shop::new();
    let url = shop.url();
    let list = ["models", "list", "--registry", &url];
    let (text, json) = both(&list);
    assert_eq!(text, format!("no model has versions in {url}\n"));
    assert_eq!(json, json!([]));
    shop.publish_without_content(Season::Spring).await;
    shop.propose(1).await;
    let (text, json) = both(&list);
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "model  versions  newest  rollout",
            "toy           1       1  main 100 %: version 1"
        ]
    );
    assert_eq!(
        (&json[0]["model"], &json[0]["versions"]),
        (&json!("toy"), &json!(1))
    );
    let place = ["--registry", &*url];
    for command in [
        &["models", "show"][..],
        &["models", "verify"],
        &["models", "gc"],
        &["rollout", "history"],
        &["who-was-live", "--at", "2026-11-25T10:00:00Z"],
    ] {
        let run = hotshelf(&[command, &place].concat());
        let said =
            format!("hotshelf: model \"default\" has no versions in {url} (models here: toy)\n");
        assert_eq!(run.refusal(1), said, "{command:?}");
    }
}

#[tokio::test]
async fn plain_folder_is_a_registry_and_a_missing_one_is_refused() {
    let shop = Shop::new();
    shop.publish_without_content(Season::Spring).await;
    let url = shop.url();
    let folder = Path::new(url.strip_prefix("file://").unwrap());
    let (parent, name) = (folder.parent().unwrap(), folder.file_name().unwrap());
    let name = name.to_str().unwrap();
    let by_flag = hotshelf_in(parent, &[], &["models", "list", "--registry", name]);
    assert!(by_flag.text().contains("toy"), "{by_flag:?}");
    let variables = [("HOTSHELF_REGISTRY", name)];
    let by_variable = hotshelf_in(parent, &variables, &["models", "list"]);
    assert_eq!(by_variable.text(), by_flag.text());

    let run = hotshelf_in(parent, &[], &["models", "list", "--registry", "none"]);
    let said = format!("registry file://{}/none does not exist", parent.display());
    assert!(run.refusal(2).contains(&said), "{run:?}");
    let run = hotshelf_in(parent, &[], &["models", "list", "--registry", "s3:/shelf"]);
    assert!(run.refusal(2).contains("is not a registry"), "{run:?}");
}

#[tokio::test]
async fn wrong_listener_is_named() {
    let shop = Shop::new();
    let server = Server::start(&shop, &[]).await;
    let (data, admin, http) = (
        server.data.to_string(),
        server.admin.to_string(),
        server.http.to_string(),
    );
    for (command, address, said) in [
        (
            ["status", "--admin-addr"],
            &data,
            "the data listener; ModelService is on the admin listener",
        ),
        (
            ["status", "--admin-addr"],
            &http,
            "the HTTP listener; ModelService is on the admin listener",
        ),
        (
            ["recommend", "--data-addr"],
            &admin,
            "the admin listener; RecommendationService is on the data listener",
        ),
        (
            ["recommend", "--data-addr"],
            &http,
            "the HTTP listener; RecommendationService is on the data listener",
        ),
    ] {
        let run = hotshelf(&[&command[..], &[address]].concat());
        let said = format!("hotshelf: {address} is {said}");
        assert!(run.refusal(2).starts_with(&said), "{run:?}");
    }
    let by_variable = [("HOTSHELF_ADMIN_ADDR", &*admin)];
    let run = hotshelf_in(Path::new("."), &by_variable, &["status"]);
    assert!(run.text().contains("toy"), "{run:?}");
    server.stop().await;
}

#[test]
fn commands_of_the_batch_program_lead_there() {
    let run = hotshelf(&["train", "shop.toml"]);
    let said = "\"train\" is a command of hotshelf-offline: run \"hotshelf-offline train\"";
    assert!(run.refusal(2).contains(said), "{run:?}");
    let run = hotshelf(&["stats"]);
    assert!(run.refusal(2).contains("'status'"), "{run:?}");
    let Some(trainer) = tools::trainer() else {
        return;
    };
    let help = Command::new(trainer).arg("--help").output().unwrap();
    let help = String::from_utf8(help.stdout).unwrap();
    let (_, commands) = help.split_once("Commands:\n").unwrap();
    let commands = commands.lines().take_while(|line| !line.is_empty());
    let names = commands.filter_map(|line| line.split_whitespace().next());
    for command in names.filter(|name| *name != "help") {
        let run = hotshelf(&[command]);
        assert!(run.refusal(2).contains("hotshelf-offline"), "{run:?}");
    }
}

#[tokio::test]
async fn history_is_read_from_the_registry_without_a_server() {
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
    assert!(
        run.refusal(1).contains("model \"toy\" had no rollout yet"),
        "{run:?}"
    );

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
    assert!(text.contains("older rollouts: --limit"), "{text}");
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
async fn running_server_is_reloaded_and_shows_its_status() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    let server = Server::start(&shop, &[]).await;
    let (data, admin) = (server.data.to_string(), server.admin.to_string());

    let run = hotshelf(&["recommend", "u0042", "--data-addr", &data]);
    assert!(
        run.refusal(1).contains("UNAVAILABLE (MODEL_NOT_LIVE)"),
        "{run:?}"
    );
    let run = hotshelf(&[
        "reload",
        "--admin-addr",
        &admin,
        "--author",
        "ann",
        "--reason",
        "why not",
    ]);
    assert!(
        run.text()
            .starts_with("toy now serves version 1 (before: nothing), rollout 1"),
        "{run:?}"
    );
    let again = hotshelf(&["reload", "1", "--admin-addr", &admin, "--json"]).json();
    assert_eq!(
        (&again["changed"], &again["state"]),
        (&json!(false), &json!("live"))
    );
    let run = hotshelf(&["reload", "9", "--admin-addr", &admin]);
    assert!(
        run.refusal(1).contains("NOT_FOUND (UNKNOWN_VERSION)"),
        "{run:?}"
    );

    let (text, status) = both(&["status", "--admin-addr", &admin]);
    assert!(text.contains("toy"), "{text}");
    assert_eq!(status["live"]["author"], "ann");
    let versions = status["versions"].as_array().unwrap();
    let states = versions
        .iter()
        .map(|one| (one["version"].as_u64(), one["state"].as_str()));
    // A version that does not exist leaves nothing behind.
    assert!(states.eq([(Some(1), Some("live"))]), "{status}");
    server.stop().await;

    let run = hotshelf(&["status", "--admin-addr", &admin]);
    assert!(
        run.refusal(1).contains(&format!("cannot reach {admin}")),
        "{run:?}"
    );
}

#[tokio::test]
async fn recommendations_are_printed_as_the_server_returns_them() {
    let shop = Shop::new();
    let spring = shop.publish_without_content(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let data = server.data.to_string();
    let (text, list) = both(&["recommend", "u0042", "--data-addr", &data, "-n", "3"]);
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
        "--data-addr",
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
async fn similar_products_are_printed_with_their_catalogue_entries() {
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
    let args = [
        "similar",
        "p0001",
        "--data-addr",
        &data,
        "-n",
        "50",
        "--basis",
    ];
    let (text, list) = both(&[&args[..], &["collaborative"], &filter].concat());
    assert!(text.starts_with("similar to p0001: collaborative of model toy version 1"));
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
    server.stop().await;
}

#[tokio::test]
async fn similar_products_of_an_unknown_one_or_by_a_wrong_filter_are_refused() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let data = server.data.to_string();
    let run = hotshelf(&["similar", "none", "--data-addr", &data]);
    assert!(
        run.refusal(1).contains("NOT_FOUND (UNKNOWN_PRODUCT)"),
        "{run:?}"
    );
    let run = hotshelf(&[
        "similar",
        "p0001",
        "--data-addr",
        &data,
        "--price-min",
        "-1",
    ]);
    assert!(run.refusal(1).contains("filter.price.min"), "{run:?}");
    let (text, list) = both(&[
        "similar",
        "p0001",
        "--data-addr",
        &data,
        "--category",
        "none",
    ]);
    assert!(
        text.contains("fallbacks: ") && text.contains("nothing_matches"),
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
    let args = ["recommend", "u0042", "--data-addr", &data];
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
    assert!(text.contains("computed: collaborative by "), "{text}");
    assert!(
        text.contains("1 of the recent products are unknown"),
        "{text}"
    );
    assert!(text.contains("reason"), "{text}");
    server.stop().await;
}
