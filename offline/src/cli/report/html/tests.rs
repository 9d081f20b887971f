#![allow(clippy::unwrap_used)]

use std::collections::{BTreeMap, BTreeSet};
use std::num::NonZeroUsize;

use hotshelf_model::Trial;

use super::*;
use crate::cli::report::ShopSummary;
use crate::ingest::{IngestOptions, read_shop};
use crate::live::LiveVersion;
use crate::mapping::{Cut, EvaluationPlan, Mapping, ModelSettings, SplitRule};
use crate::progress::Progress;
use crate::sample::{SampleOptions, product_samples, samples};
use crate::train::{EvaluatedModel, TrainOptions, evaluate_parameters};
use crate::tune::{TuneOptions, TuningReport};

const MAPPING: &str = r#"
shop = "SHOP"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = { column = "at", format = "unix_s" }
interaction_type = { constant = "purchase" }
[catalogue.from_events]
product_name = "name"
category = "category"
price = "price"
"#;

/// A report of twenty users with one of two tastes; every product has `name` and `category`.
fn report(name: &str, category: &str) -> RunReport {
    let folder = tempfile::tempdir().unwrap();
    let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let mut events = "user,product,at,name,category,price\n".to_owned();
    for user in 0..20 {
        for product in (user % 2..20).step_by(2) {
            let at = if product / 2 == user / 2 { 101 } else { 1 };
            let (name, category) = (quoted(name), quoted(category));
            events.push_str(&format!("u{user},p{product},{at},{name},{category},2.5\n"));
        }
    }
    std::fs::write(folder.path().join("events.csv"), events).unwrap();
    let mapping = Mapping::parse(&folder.path().join("shop.toml"), MAPPING).unwrap();
    let (mut shop, read) =
        read_shop(&mapping, IngestOptions::default(), Progress::silent()).unwrap();
    shop.name = name.to_owned();
    let mut params = hotshelf_model::FitParams::default();
    params.als.factors = 2;
    let plan = EvaluationPlan {
        split: SplitRule::Time(Cut::At(100)),
        lengths: vec![3, 5],
        ..EvaluationPlan::default()
    };
    let options = TrainOptions {
        plan,
        params: params.clone(),
        refit: false,
        threads: NonZeroUsize::MIN,
        code_commit: None,
        live: Some(LiveVersion {
            version: 7,
            params: params.clone(),
            strategy: hotshelf_model::Strategy::default(),
        }),
        tune: TuneOptions::plain(ModelSettings::default()),
    };
    let EvaluatedModel {
        model,
        evaluated,
        split,
    } = evaluate_parameters(&shop, &options, Progress::silent()).unwrap();
    let shown = SampleOptions {
        seed: 1,
        each: 2,
        known: split.past(),
    };
    RunReport {
        shop: ShopSummary::of(&shop, read),
        parameters: params,
        samples: samples(&model, &shop, shown),
        product_samples: product_samples(&model, shown),
        tuning: Some(TuningReport {
            note: "Chosen of 1 trials.".to_owned(),
            trials: vec![Trial {
                number: 1,
                parameters: [
                    ("factors".to_owned(), 2.0),
                    ("weight_trend".to_owned(), 0.25),
                ]
                .into(),
                scores: [("blended".to_owned(), 0.125)].into(),
                chosen: true,
            }],
        }),
        evaluation: evaluated.report,
        refit: None,
        index: BTreeMap::new(),
        packed: None,
        size_bytes: None,
        published: None,
    }
}

fn page_of(name: &str, category: &str) -> String {
    page(&report(name, category)).into_string()
}

/// Every tag by name, `/name` for those that end an element; attributes and texts are left out.
fn tags(page: &str) -> Vec<&str> {
    let starts = page.split('<').skip(1);
    let end = |c: char| !c.is_ascii_alphanumeric() && c != '/' && c != '!';
    starts.map(|rest| rest.split(end).next().unwrap()).collect()
}

fn attributes<'p>(page: &'p str, name: &str) -> Vec<&'p str> {
    let start = format!(" {name}=\"");
    let values = page.split(&start).skip(1);
    values.map(|rest| rest.split('"').next().unwrap()).collect()
}

#[test]
fn hostile_names_change_no_tag_and_no_attribute() {
    let benign = page_of("tea pot", "kitchen");
    for hostile in [
        "<script>alert(1)</script>",
        "\"><img src=x onerror=alert(1)>",
        "' onmouseover='alert(1)",
        "</style></td></table><h1>",
        "<!-- &lt; &#x3c; ]]> -->",
        "\u{202e}gnp.exe\u{1b}[2J",
    ] {
        let page = page_of(hostile, hostile);
        assert_eq!(tags(&page), tags(&benign), "{hostile:?}");
        for name in ["class", "id", "style", "href"] {
            assert_eq!(
                attributes(&page, name),
                attributes(&benign, name),
                "{hostile:?}"
            );
        }
        assert!(!page.contains(['\u{1b}', '\u{202e}']));
    }
    let page = page_of("<b>&\"'", "kitchen");
    assert!(page.contains("<bdi>&lt;b&gt;&amp;&quot;'</bdi>"));
}

#[test]
fn page_loads_nothing_from_elsewhere() {
    let page = page_of("tea pot", "kitchen");
    for reference in [
        "http:", "https:", "//", "src=", "href=", "url(", "@import", "<script", "<link",
    ] {
        assert!(!page.contains(reference), "{reference}");
    }
}

#[test]
fn elements_are_nested_and_ids_unique() {
    let page = page_of("tea pot", "kitchen");
    let void = ["!DOCTYPE", "meta", "br"];
    let mut open = Vec::new();
    for tag in tags(&page).into_iter().filter(|tag| !void.contains(tag)) {
        match tag.strip_prefix('/') {
            Some(closed) => assert_eq!(open.pop(), Some(closed)),
            None => open.push(tag),
        }
    }
    assert_eq!(open, Vec::<&str>::new());
    let ids = attributes(&page, "id");
    let distinct: BTreeSet<&str> = ids.iter().copied().collect();
    assert_eq!(ids.len(), distinct.len());
}

#[test]
fn people_come_first_then_the_verdict_the_rankers_and_the_live_version() {
    let page = page_of("tea pot", "kitchen");
    let heads: Vec<&str> = page
        .split("<h2>")
        .skip(1)
        .map(|rest| rest.split("</h2>").next().unwrap())
        .collect();
    let expected = [
        "People and their recommendations",
        "Verdict",
        "Rankers by segment",
        "Trials",
        "The live version",
        "Evaluation",
        "All numbers",
        "The long tail",
        "Products and the most similar ones",
    ];
    assert_eq!(heads, expected);
    assert!(
        page.contains("the parameters of version 7, which is live"),
        "{page}"
    );
}

#[test]
fn every_cell_of_a_narrow_page_has_the_name_of_its_column() {
    let page = page_of("tea pot", "kitchen");
    let cells = page.split("<td").skip(1);
    let named = |cell: &&str| cell.split('>').next().unwrap().contains("data-label=");
    let count = cells.clone().count();
    assert!(count > 100, "{count}");
    assert_eq!(cells.filter(named).count(), count);
}

#[test]
fn every_bar_has_its_number_as_text() {
    let report = report("tea pot", "kitchen");
    let page = page(&report).into_string();
    let collaborative = report.evaluation.ranker("collaborative").unwrap();
    let row = format!(
        "<span class=\"name\">collaborative</span><span class=\"number\">{:.4}</span>",
        collaborative.means.ndcg
    );
    assert!(page.contains(&row), "{row}");
    let interval = collaborative
        .difference
        .as_ref()
        .unwrap()
        .ndcg
        .interval()
        .unwrap();
    assert!(page.contains(&interval), "{interval}");
    for text in [
        "All numbers",
        "User <bdi>",
        "Recommendations, by ",
        "2.50",
        "kitchen",
    ] {
        assert!(page.contains(text), "{text}");
    }
    for sentence in report.evaluation.verdicts() {
        assert!(page.contains(&sentence), "{sentence}");
    }
}

#[test]
fn page_is_recognised_as_output_of_this_program() {
    assert!(is_page(page_of("tea pot", "kitchen").as_bytes()));
    assert!(!is_page(
        b"<!DOCTYPE html><html lang=\"en\"><head><title>Shop</title>"
    ));
}
