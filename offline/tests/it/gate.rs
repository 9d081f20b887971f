//! The gate between training and the registry, through the binary.

use crate::harness::{Run, Workplace};

pub(crate) const SHOP: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = { column = "day", format = "%Y-%m-%d" }
interaction_type = { constant = "purchase" }
[model]
factors = 4
[evaluation]
cut = 2024-01-11
seen = "included"
"#;

/// Forty users who buy the same five things again and again; with `shuffled` every row has the product of another row.
pub(crate) fn events(shuffled: bool) -> String {
    let mut rows = Vec::new();
    for day in 1..=15 {
        for user in 0..40 {
            let product = 2 * ((day * 3 + user * 7) % 15) + user % 2;
            rows.push((user, product, day));
        }
    }
    let len = rows.len();
    let mut text = "user,product,day\n".to_owned();
    for (at, (user, product, day)) in rows.iter().enumerate() {
        let product = match shuffled {
            true => rows[(at * 7919 + 13) % len].1,
            false => *product,
        };
        text.push_str(&format!("u{user:02},p{product:02},2024-01-{day:02}\n"));
    }
    text
}

fn workplace() -> Workplace {
    let workplace = Workplace::new();
    workplace
        .write("shop.toml", SHOP)
        .write("events.csv", events(false));
    workplace
        .write("shuffled.toml", SHOP.replace("events.csv", "shuffled.csv"))
        .write("shuffled.csv", events(true));
    workplace
}

fn publish(workplace: &Workplace, folder: &str, flags: &[&str]) -> Run {
    let args = [
        "publish",
        folder,
        "--registry",
        "registry",
        "--model",
        "toy",
    ];
    workplace.run(&[&args, flags].concat())
}

#[test]
fn model_of_shuffled_ids_is_refused_with_its_numbers_until_a_reason_is_given() {
    let workplace = workplace();
    let train = [
        "train",
        "shuffled.toml",
        "--trials",
        "1",
        "--no-refit",
        "--out",
        "bad",
    ];
    assert_eq!(workplace.run(&train).code, 0);
    // On the real shop the model's lists are those of strangers.
    let judged = workplace
        .run(&["evaluate", "shop.toml", "--packed", "bad", "--json"])
        .json();
    let baseline = &judged["evaluation"]["verdict"]["baseline"];
    assert!(baseline["high"].as_f64().unwrap() < -0.001, "{baseline}");

    let refused = publish(&workplace, "bad", &[]);
    let refusal = refused.refusal(3);
    assert!(
        refusal.starts_with("error: the gate refuses this version"),
        "{refusal}"
    );
    let number = |key: &str| format!("{:+.4}", baseline[key].as_f64().unwrap());
    for key in ["difference", "low", "high"] {
        assert!(refusal.contains(&number(key)), "{key}: {refusal}");
    }
    assert!(!workplace.path("registry/toy/versions/000001.json").exists());

    let forced = publish(&workplace, "bad", &["--force", "for the test"]);
    assert!(
        forced
            .stdout
            .contains("Published against its verdict: for the test"),
        "{forced:?}"
    );
    let manifest: serde_json::Value =
        serde_json::from_str(&workplace.read("registry/toy/versions/000001.json")).unwrap();
    assert_eq!(manifest["card"]["gate"]["forced"], "for the test");
    assert_eq!(manifest["card"]["gate"]["outcome"], "worse");
    let empty = publish(&workplace, "bad", &["--force", " "]);
    assert!(empty.refusal(2).contains("a reason is needed"), "{empty:?}");
}

#[test]
fn verdict_of_another_packed_model_is_refused() {
    let workplace = workplace();
    for (shop, out) in [("shop.toml", "one"), ("shuffled.toml", "two")] {
        let train = ["train", shop, "--trials", "1", "--no-refit", "--out", out];
        assert_eq!(workplace.run(&train).code, 0);
    }
    workplace
        .run(&["evaluate", "shop.toml", "--packed", "one", "--json"])
        .json();
    workplace.write("two/verdict.json", workplace.read("one/verdict.json"));
    let refusal = publish(&workplace, "two", &[]).refusal(2);
    assert!(
        refusal.contains("verdict.json: it is that of another packed model"),
        "{refusal}"
    );
}

#[test]
fn trained_version_is_published_and_its_card_has_the_verdict() {
    let workplace = workplace();
    let args = [
        "train",
        "shop.toml",
        "--trials",
        "1",
        "--publish",
        "registry",
        "--model",
        "toy",
        "--json",
    ];
    let report = workplace.run(&args).json();
    let manifest: serde_json::Value =
        serde_json::from_str(&workplace.read("registry/toy/versions/000001.json")).unwrap();
    let verdict = &manifest["card"]["evaluation"]["verdict"];
    assert_eq!(*verdict, report["evaluation"]["verdict"]);
    assert!(
        verdict["baseline"]["users"].as_u64().unwrap() > 20,
        "{verdict}"
    );
    assert!(verdict.get("live").is_none(), "nothing is live: {verdict}");
    let outcome = &manifest["card"]["gate"]["outcome"];
    assert!(outcome == "better" || outcome == "undecided", "{outcome}");
}
