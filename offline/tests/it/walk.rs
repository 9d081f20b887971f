//! Train, evaluate and publish on a shop of a few users, through the binary.

use crate::harness::{Run, Workplace};

const SHOP: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = { column = "day", format = "%Y-%m-%d" }
interaction_type = "what"
[catalogue]
files = ["products.csv"]
[catalogue.columns]
product_id = "id"
product_name = "name"
price = "price"
[model]
factors = 4
[evaluation]
cut = 2024-01-11
"#;

/// Ten users with one of two tastes, who view and then buy, ten days long and five more.
fn workplace() -> Workplace {
    let mut events = "user,product,day,what\n".to_owned();
    for day in 1..=15 {
        for user in 0..10 {
            let product = 2 * ((day * 3 + user * 7) % 10) + user % 2;
            for what in ["view", "purchase"] {
                events.push_str(&format!("u{user},p{product:02},2024-01-{day:02},{what}\n"));
            }
        }
    }
    let products: String = (0..21)
        .map(|n| format!("p{n:02},Product {n},{}.50\n", n + 1))
        .collect();
    let workplace = Workplace::new();
    let products = format!("id,name,price\n{products}");
    workplace
        .write("shop.toml", SHOP)
        .write("events.csv", events)
        .write("products.csv", products);
    workplace
}

fn registry(workplace: &Workplace) -> String {
    format!("file://{}", workplace.path("registry").display())
}

/// Plain training: what tuning does has tests of its own.
fn train(workplace: &Workplace, args: &[&str]) -> Run {
    let train = ["train", "shop.toml", "--json", "--trials", "1"];
    workplace.run(&[&train[..], args].concat())
}

#[test]
fn trained_model_is_packed_and_published_with_its_evaluation() {
    let workplace = workplace();
    let url = registry(&workplace);
    let args = [
        "--out",
        "packed",
        "--publish",
        &url,
        "--model",
        "toy",
        "--code-commit",
        "abc123",
        "--seen",
        "included",
    ];
    let report = train(&workplace, &args).json();
    assert_eq!(report["published"]["version"], 1);
    assert_eq!(report["evaluation"]["cut_off"], "2024-01-11T00:00:00Z");
    assert_eq!(report["evaluation"]["catalogue"], 21);
    assert_eq!(report["shop"]["events"]["rows"], 300);
    assert_eq!(report["refit"], true);

    let manifest = workplace.read("registry/toy/versions/000001.json");
    let manifest: serde_json::Value = serde_json::from_str(&manifest).unwrap();
    let evaluation = &manifest["card"]["evaluation"];
    assert_eq!(evaluation["refit"], true);
    assert!(
        evaluation["note"]
            .as_str()
            .unwrap()
            .contains("was itself not evaluated")
    );
    let rankers = evaluation["rankers"].as_array().unwrap();
    for ranker in ["collaborative", "most_popular", "item_knn"] {
        let scores = rankers.iter().find(|scores| scores["ranker"] == ranker);
        assert!(
            scores.unwrap()["coverage"].as_f64().unwrap() > 0.0,
            "{rankers:?}"
        );
    }
    assert_eq!(
        report["index"]["als"]["plan"],
        manifest["card"]["index"]["als"]["plan"]
    );
    let lineage = &manifest["lineage"];
    assert_eq!(lineage["code_commit"], "abc123");
    assert_eq!(lineage["seed"], 42);
    assert_eq!(lineage["inputs"][0]["rows"], 300);
    assert_eq!(lineage["inputs"][1]["name"], "products.csv");

    let again = workplace.run(&[
        "publish",
        "packed",
        "--registry",
        &url,
        "--model",
        "toy",
        "--json",
    ]);
    assert_eq!(again.json()["version"], 2);
}

#[test]
fn same_shop_and_seed_give_the_same_bytes_whatever_the_threads() {
    let workplace = workplace();
    train(&workplace, &["--out", "one", "--threads", "1"]).json();
    train(&workplace, &["--out", "two", "--threads", "2"]).json();
    let packed = |folder: &str| -> serde_json::Value {
        let text = workplace.read(&format!("{folder}/packed.json"));
        let mut packed: serde_json::Value = serde_json::from_str(&text).unwrap();
        // How fast an index was is the one thing that a clock says.
        for index in packed["card"]["index"]
            .as_object_mut()
            .unwrap()
            .values_mut()
        {
            index.as_object_mut().unwrap().remove("queries_per_s");
            for candidate in index["candidates"].as_array_mut().unwrap() {
                candidate.as_object_mut().unwrap().remove("queries_per_s");
            }
        }
        packed
    };
    let (one, two) = (packed("one"), packed("two"));
    assert!(one["parts"][0]["sha256"].is_string(), "{one}");
    assert_eq!(one, two);
}

#[test]
fn until_gives_an_earlier_model() {
    let workplace = workplace();
    let earlier = train(&workplace, &["--out", "a", "--until", "2024-01-14"]).json();
    let later = train(&workplace, &["--out", "b"]).json();
    assert_eq!(earlier["shop"]["events"]["dropped"][0]["rows"], 40);
    assert_eq!(earlier["shop"]["last_day"], "2024-01-13");
    assert_ne!(earlier["samples"], later["samples"]);
}

#[test]
fn model_fitted_on_held_out_events_is_not_evaluated_on_them() {
    let workplace = workplace();
    let trained = train(&workplace, &["--out", "past", "--no-refit"]).json();
    let args = ["evaluate", "shop.toml", "--packed", "past", "--json"];
    assert_eq!(
        workplace.run(&args).json()["evaluation"],
        trained["evaluation"]
    );

    let early = workplace.run(&[&args[..], &["--cut", "2024-01-05"]].concat());
    assert!(
        early
            .refusal(2)
            .contains("lies before 2024-01-11T00:00:00Z"),
        "{early:?}"
    );
    train(&workplace, &["--out", "whole"]).json();
    let whole = workplace.run(&["evaluate", "shop.toml", "--packed", "whole"]);
    assert!(
        whole.refusal(2).contains("fitted on all events"),
        "{whole:?}"
    );
}

#[test]
fn samples_of_an_evaluation_show_nothing_from_the_future() {
    let run = workplace().run(&["evaluate", "shop.toml", "--samples", "3", "--json"]);
    let report = run.json();
    let samples = report["samples"].as_array().unwrap();
    assert!(!samples.is_empty());
    for sample in samples {
        let events = sample["history"].as_array().unwrap();
        let dates: Vec<&str> = events
            .iter()
            .map(|event| event["date"].as_str().unwrap())
            .collect();
        assert!(dates.iter().all(|date| *date < "2024-01-11"), "{sample}");
        assert!(dates.is_sorted_by(|a, b| a >= b), "newest first: {sample}");
        assert!(!sample["recommended"].as_array().unwrap().is_empty());
    }
}

#[test]
fn registry_that_cannot_be_written_is_a_failure_and_not_bad_input() {
    let workplace = workplace();
    let url = format!("file://{}/registry", workplace.path("events.csv").display());
    let run = train(&workplace, &["--publish", &url, "--model", "toy"]);
    assert!(
        run.refusal(1).starts_with("error: registry file://"),
        "{run:?}"
    );
}

#[test]
fn altered_or_missing_packed_folder_is_not_published() {
    let workplace = workplace();
    train(&workplace, &["--out", "packed"]).json();
    let url = registry(&workplace);
    let publish =
        |folder| workplace.run(&["publish", folder, "--registry", &url, "--model", "toy"]);
    assert!(
        publish("nothing")
            .refusal(2)
            .contains("not a usable packed model: packed.json")
    );
    workplace.write("packed/users.arrow", "nonsense");
    assert!(
        publish("packed")
            .refusal(2)
            .contains("users.arrow has 8 bytes, not ")
    );
    assert!(!workplace.path("registry/toy/versions").exists());
    for registry in ["packed", "packed/registry"] {
        let into = [
            "publish",
            "packed",
            "--registry",
            registry,
            "--model",
            "toy",
        ];
        assert!(
            workplace
                .run(&into)
                .refusal(2)
                .contains("the input the packed model")
        );
    }
}

#[test]
fn registry_and_name_are_checked_before_anything_is_computed() {
    let workplace = workplace();
    let wrong_name = train(
        &workplace,
        &["--publish", &registry(&workplace), "--model", "../up"],
    );
    assert!(wrong_name.refusal(2).contains("../up"), "{wrong_name:?}");
    let wrong_url = train(
        &workplace,
        &["--publish", "ftp://nowhere", "--model", "toy"],
    );
    assert!(
        wrong_url.refusal(2).contains("ftp://nowhere"),
        "{wrong_url:?}"
    );
}

#[test]
fn text_report_shows_shop_evaluation_and_samples() {
    let workplace = workplace();
    let run = workplace.run(&["train", "shop.toml", "--trials", "1", "--out", "packed"]);
    assert_eq!(run.code, 0, "{run:?}");
    let stages = [
        "reading events.csv",
        "reading products.csv",
        "fitting on training events",
        "preparing baselines",
        "evaluating users",
        "bootstrapping intervals",
        "fitting on all events",
    ];
    let stages: String = stages
        .iter()
        .map(|stage| format!("progress: {stage}\n"))
        .collect();
    assert_eq!(
        run.stderr, stages,
        "one line a stage where there is no terminal"
    );
    let start = "\
Shop shop
  events from events.csv
    rows  300
    bad     0
    kept  300
  catalogue from products.csv
    rows  21
    bad    0
    kept  21
    20 products in both events and catalogue, 0 only in events, 1 only in the catalogue
  10 users, 20 products with events (21 in the catalogue), 100 pairs, 2024-01-01 to 2024-01-15

Evaluation: fitted on 200 events before 2024-01-11T00:00:00Z, evaluated on 100 from then on
";
    assert!(run.stdout.starts_with(start), "{}", run.stdout);
    for part in [
        "most popular",
        "purchase, view",
        "  Recommendations, by",
        "Product 2 ",
        "Packed into packed",
    ] {
        assert!(run.stdout.contains(part), "{part}: {}", run.stdout);
    }
}

#[test]
fn embeddings_of_the_shop_are_read_counted_and_named_in_the_lineage() {
    let workplace = workplace();
    let own = "[catalogue.embeddings]\nfile = \"own.safetensors\"\nids = \"own.txt\"\n";
    let ids: String = (0..20).map(|n| format!("p{n:02}\n")).collect();
    // Even and odd products lie apart, as the tastes do.
    let numbers = (0..20u8).flat_map(|n| [f32::from(n % 2), f32::from(1 - n % 2), 0.1]);
    let numbers: Vec<u8> = numbers.flat_map(f32::to_le_bytes).collect();
    let header = r#"{"embeddings":{"dtype":"F32","shape":[20,3],"data_offsets":[0,240]}}  "#;
    let mut file = (header.len() as u64).to_le_bytes().to_vec();
    file.extend(header.bytes());
    file.extend(numbers);
    workplace
        .write("shop.toml", format!("{SHOP}{own}"))
        .write("own.txt", format!("{ids}unknown\n"))
        .write("own.safetensors", &file);
    let refused = train(&workplace, &["--out", "packed"]);
    assert_eq!(
        refused.refusal(2),
        "error: own.txt: 1 problem\n  has 21 ids, and own.safetensors has 20 rows"
    );
    workplace.write("own.txt", &ids);
    let report = train(&workplace, &["--out", "packed"]).json();
    let embeddings = &report["shop"]["embeddings"];
    assert_eq!(embeddings["products_with"], 20);
    assert_eq!(embeddings["products_without"], 1);
    let packed: serde_json::Value =
        serde_json::from_str(&workplace.read("packed/packed.json")).unwrap();
    let inputs = packed["lineage"]["inputs"].as_array().unwrap();
    let own = inputs
        .iter()
        .find(|input| input["name"] == "own.safetensors");
    let own = own.unwrap();
    assert_eq!(
        (&own["rows"], &own["sha256"]),
        (&20.into(), &embeddings["matrix"]["sha256"])
    );
    assert!(inputs.iter().any(|input| input["name"] == "own.txt"));
    // A version with content parts says what they were made of; one without says nothing.
    let content = &packed["card"]["content"];
    assert!(content.is_null() || content["source"] == "own", "{content}");
}

#[test]
fn hostile_texts_are_escaped_on_every_text_output() {
    let workplace = workplace();
    let evil = "\u{1b}[2J\u{202e}lamp\u{0}\u{9b}\u{200b}";
    let products = workplace.read("products.csv");
    let named: String = (0..21).map(|n| format!("p{n:02},{evil} {n},1\n")).collect();
    workplace.write("products.csv", format!("id,name,price\n{named}"));
    let mapping = workplace.read("shop.toml");
    let shop = format!("shop = \"{}\"\n{mapping}", "\\u001b[31m\\u202e");
    workplace.write("shop.toml", &shop);
    let run = workplace.run(&["evaluate", "shop.toml", "--samples", "3"]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(
        run.stdout.contains("\\u{1b}[2J\\u{202e}lamp"),
        "{}",
        run.stdout
    );
    let is_raw = |c: char| c != '\n' && hotshelf_terminal::text::is_unsafe(c);
    assert!(!run.stdout.contains(is_raw), "{:?}", run.stdout);

    let events = workplace.read("events.csv");
    let bad_price = format!("{products}p99,{evil},{evil}\n");
    let bad_event = format!("{events}{evil},p01,{evil},view\n");
    for (name, text) in [("products.csv", bad_price), ("events.csv", bad_event)] {
        workplace.write(name, text);
        let run = workplace.run(&["evaluate", "shop.toml"]);
        let refusal = run.refusal(2);
        assert!(!refusal.contains(is_raw), "{refusal:?}");
    }
}
