//! The same inputs give the same bytes, tuning included, through the binary.

use crate::gate::{SHOP, events};
use crate::harness::Workplace;

/// What a packed model says of itself without the times that a clock took: digests of its parts,
/// parameters, trials, verdict.
fn packed(workplace: &Workplace, folder: &str) -> serde_json::Value {
    let text = workplace.read(&format!("{folder}/packed.json"));
    let mut packed: serde_json::Value = serde_json::from_str(&text).unwrap();
    without_times(&mut packed);
    packed
}

fn without_times(value: &mut serde_json::Value) {
    match value {
        serde_json::Value::Object(fields) => {
            fields.remove("queries_per_s");
            fields.values_mut().for_each(without_times);
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(without_times),
        _ => {}
    }
}

#[test]
fn threads_and_instructions_change_no_byte_of_a_tuned_model() {
    let workplace = Workplace::new();
    workplace
        .write("shop.toml", SHOP)
        .write("events.csv", events(false));
    let paths = hotshelf_model::CpuPath::available();
    let mut first = None;
    for (at, path) in paths.into_iter().enumerate() {
        for threads in ["1", "2"] {
            let out = format!("packed-{at}-{threads}");
            let args = [
                "train",
                "shop.toml",
                "--out",
                &out,
                "--threads",
                threads,
                "--cpu",
                path.as_str(),
            ];
            assert_eq!(workplace.run(&args).code, 0);
            let packed = packed(&workplace, &out);
            let first = first.get_or_insert_with(|| packed.clone());
            assert_eq!(packed, *first, "{threads} threads, {}", path.as_str());
        }
    }
    let first = first.unwrap();
    let trials = first["card"]["evaluation"]["trials"].as_array().unwrap();
    assert!(trials.len() > 6, "tuned, not plain: {}", trials.len());
    let parts = first["parts"].as_array().unwrap();
    let has = |name: &str| {
        parts
            .iter()
            .any(|part| part["name"].as_str().unwrap().contains(name))
    };
    assert!(has("als") && has("transitions"), "{parts:?}");
    assert!(parts.iter().all(|part| part["sha256"].is_string()));
}

#[test]
fn instructions_that_nobody_knows_are_refused_by_name() {
    let workplace = Workplace::new();
    workplace
        .write("shop.toml", SHOP)
        .write("events.csv", events(false));
    for wrong in ["sse9", "AVX2", ""] {
        let run = workplace.run(&["train", "shop.toml", "--out", "x", "--cpu", wrong]);
        let refusal = run.refusal(2);
        assert!(
            refusal.contains("--cpu") && refusal.contains("not portable, avx2 or avx512"),
            "{refusal}"
        );
    }
    assert!(!workplace.path("x").exists());
}

#[test]
fn search_goes_on_from_its_journal_wherever_the_mapping_is_named_from() {
    let workplace = Workplace::new();
    workplace
        .write("shop.toml", SHOP)
        .write("events.csv", events(false));
    let train = |shop: &str| {
        let args = [
            "train",
            shop,
            "--out",
            "packed",
            "--force",
            "--trials",
            "3",
            "--resume",
            "trials.jsonl",
            "--json",
        ];
        workplace.run(&args).json()["tuning"].clone()
    };
    let first = train("shop.toml");
    assert_eq!(workplace.read("trials.jsonl").lines().count(), 4);
    let absolute = workplace.path("shop.toml").display().to_string();
    assert_eq!(train(&absolute), first);
}
