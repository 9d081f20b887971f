#![allow(clippy::unwrap_used)]

mod baselines;
mod lists;
mod threads;
mod verdicts;

use std::num::NonZeroUsize;

use hotshelf_model::FitParams;

use super::*;
use crate::ingest::{IngestOptions, read_shop};
use crate::mapping::{Cut, Mapping, ModelSettings, SeenPolicy, SplitRule};
use crate::train::{TrainOptions, evaluate_parameters};
use crate::tune::TuneOptions;

const MAPPING: &str = r#"
[events]
files = ["events.csv"]
[events.columns]
user_id = "user"
product_id = "product"
timestamp = { column = "at", format = "unix_s" }
interaction_type = "what"
"#;

/// A shop of `user product at` lines; a fourth word is the interaction type instead of purchase.
fn shop(lines: &str) -> Shop {
    let folder = tempfile::tempdir().unwrap();
    let mut csv = "user,product,at,what\n".to_owned();
    for line in lines.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let what = words.get(3).unwrap_or(&"purchase");
        csv.push_str(&format!("{},{},{},{what}\n", words[0], words[1], words[2]));
    }
    std::fs::write(folder.path().join("events.csv"), csv).unwrap();
    let mapping = Mapping::parse(&folder.path().join("shop.toml"), MAPPING).unwrap();
    read_shop(&mapping, IngestOptions::default(), Progress::silent())
        .unwrap()
        .0
}

fn plan(seen: SeenPolicy, k: usize) -> EvaluationPlan {
    EvaluationPlan {
        split: SplitRule::Time(Cut::At(100)),
        lengths: vec![k],
        seen,
        ..EvaluationPlan::default()
    }
}

fn measured(shop: &Shop, plan: EvaluationPlan) -> EvaluationReport {
    measured_with(shop, plan, FitParams::default())
}

fn measured_with(shop: &Shop, plan: EvaluationPlan, mut params: FitParams) -> EvaluationReport {
    params.als.factors = 2;
    let options = options(plan, params);
    let found = evaluate_parameters(shop, &options, Progress::silent()).unwrap();
    found.evaluated.report
}

fn options(plan: EvaluationPlan, params: FitParams) -> TrainOptions {
    TrainOptions {
        plan,
        params,
        refit: false,
        threads: NonZeroUsize::MIN,
        code_commit: None,
        live: None,
        tune: TuneOptions::plain(ModelSettings::default()),
    }
}

fn of<'r>(report: &'r EvaluationReport, ranker: &str) -> &'r Scores {
    report.ranker(ranker).unwrap()
}

/// Popular in the past: a (3), b (2), c (1). User 1 has a and buys a again, then c.
const REPEATS: &str = "1 a 1\n2 a 2\n3 a 3\n2 b 4\n3 b 5\n3 c 6\n1 a 101\n1 c 102";

#[test]
fn excluded_products_are_neither_ranked_nor_looked_for() {
    let report = measured(&shop(REPEATS), plan(SeenPolicy::Excluded, 2));
    // Most popular without a: b, c. Relevant: c alone, at rank 2.
    let popular = of(&report, "most_popular");
    assert_eq!((popular.means.precision, popular.means.recall), (0.5, 1.0));
    assert!((popular.means.ndcg - 1.0 / 3f64.log2()).abs() < 1e-12);
    assert_eq!((report.users, report.seen), (1, "excluded"));
}

#[test]
fn included_products_are_ranked_and_looked_for() {
    let report = measured(&shop(REPEATS), plan(SeenPolicy::Included, 2));
    // Most popular: a, b. Relevant: a and c.
    let popular = of(&report, "most_popular");
    assert_eq!(
        (
            popular.means.precision,
            popular.means.recall,
            popular.means.hit_rate
        ),
        (0.5, 0.5, 1.0)
    );
}

#[test]
fn user_with_only_repeats_is_left_out_and_not_scored_zero() {
    let report = measured(
        &shop("1 a 1\n2 b 2\n1 a 101\n2 a 102"),
        plan(SeenPolicy::Excluded, 2),
    );
    assert_eq!((report.users, report.users_without_relevant), (1, 1));
    assert_eq!(of(&report, "most_popular").means.recall, 1.0);
}

#[test]
fn popularity_is_counted_on_the_past_alone() {
    let future = "4 z 201\n5 z 202\n6 z 203\n7 z 204\n2 c 205\n".repeat(3);
    let report = measured(
        &shop(&format!("{REPEATS}\n1 z 4 view\n{future}")),
        plan(SeenPolicy::Included, 1),
    );
    // z is what everybody wants after the cut and hardly anybody before: a stays first, and user 2
    // wants c alone.
    assert_eq!(of(&report, "most_popular").means.hit_rate, 0.5);
    assert_eq!(report.users_without_past, 4);
}

#[test]
fn product_first_seen_after_the_cut_counts_as_missed() {
    let report = measured(
        &shop("1 a 1\n2 b 2\n1 b 101\n1 new 102"),
        plan(SeenPolicy::Excluded, 10),
    );
    assert_eq!(of(&report, "collaborative").means.recall, 0.5);
    assert_eq!(of(&report, "most_popular").means.recall, 0.5);
    assert_eq!(report.unknown_relevant_share, 0.5);
    assert_eq!(report.catalogue, 2);
}

#[test]
fn only_relevant_interactions_count_as_hits() {
    let shop = shop("1 a 1\n2 b 2\n3 c 3\n1 b 101 view\n1 c 102\n2 c 103 view");
    let plan = EvaluationPlan {
        relevant: vec!["purchase".to_owned()],
        ..plan(SeenPolicy::Excluded, 10)
    };
    let report = measured(&shop, plan);
    assert_eq!(
        (report.users, of(&report, "most_popular").means.precision),
        (1, 0.1)
    );
}

#[test]
fn empty_side_of_a_split_is_refused() {
    let shop = shop(REPEATS);
    for (cut_s, side) in [(0, "before"), (1000, "after")] {
        let plan = EvaluationPlan {
            split: SplitRule::Time(Cut::At(cut_s)),
            ..plan(SeenPolicy::Excluded, 10)
        };
        let error = Split::new(&shop, &plan).unwrap_err().to_string();
        assert!(
            error.contains(&format!("no event lies {side} the cut")),
            "{error}"
        );
    }
}

#[test]
fn last_share_cuts_at_a_midnight() {
    let days: String = (0..10)
        .map(|day| format!("1 p{day} {}\n", day * 86_400 + 3600))
        .collect();
    let plan = EvaluationPlan {
        split: SplitRule::Time(Cut::LastShare(0.3)),
        ..plan(SeenPolicy::Excluded, 10)
    };
    let split = Split::new(&shop(&days), &plan).unwrap();
    assert_eq!((split.cut_s, split.past_events), (Some(7 * 86_400), 7));
}

#[test]
fn personal_taste_beats_popularity() {
    // Even users buy even products, odd users odd ones; each comes back for the one they lack.
    let mut lines = String::new();
    for user in 0..20 {
        for product in (user % 2..20).step_by(2) {
            let at = if product / 2 == user / 2 { 101 } else { 1 };
            lines.push_str(&format!("u{user} p{product} {at}\n"));
        }
    }
    let report = measured(&shop(&lines), plan(SeenPolicy::Excluded, 1));
    assert!(
        of(&report, "collaborative").means.hit_rate > 0.9,
        "{report:?}"
    );
    assert!(of(&report, "item_knn").means.hit_rate > 0.9, "{report:?}");
    // item-kNN finds them as well, and is what the model is compared with.
    assert_eq!(report.baseline, "item_knn");
    let popular = of(&report, "most_popular").difference.as_ref().unwrap();
    assert!(popular.ndcg.high < 0.0, "{report:?}");
    let verdict = report.verdict_text();
    let start = "Collaborative, the default strategy, is NOT shown to be better than item-kNN";
    assert!(verdict.starts_with(start), "{verdict}");
}

#[test]
fn segments_divide_the_users_and_share_the_columns_of_the_whole() {
    // With light from 5: ann has six products and is light, ben and cem are new.
    let lines = "ann a 1\nann b 1\nann c 1\nann d 1\nann e 1\nann f 1\nben a 2\ncem b 2\n\
                 dan g 2\nann g 101\nben b 101\ncem c 101";
    let report = measured(&shop(lines), plan(SeenPolicy::Excluded, 1));
    let users: Vec<_> = report
        .segments
        .iter()
        .map(|s| (s.segment.as_str(), s.users))
        .collect();
    assert_eq!(users, [("new", 2), ("light", 1), ("heavy", 0)]);
    // Popular: a and b twice each. Ann has both and most else, so g is her first; ben gets b and
    // is right; cem gets a and is wrong.
    let hits = |at: usize| {
        let rankers = &report.segments[at].rankers;
        let popular = rankers.iter().find(|r| r.ranker == "most_popular").unwrap();
        (popular.means.hit_rate, popular.means.coverage)
    };
    assert_eq!(
        [hits(0), hits(1), hits(2)],
        [(0.5, 2.0 / 7.0), (1.0, 1.0 / 7.0), (0.0, 0.0)]
    );
    assert_eq!(of(&report, "most_popular").means.coverage, 3.0 / 7.0);
    assert!(of(&report, report.baseline).difference.is_none());
    let nobody = &report.segments[2].rankers;
    assert!(nobody.iter().all(|scores| scores.difference.is_none()));
}

#[test]
fn list_places_are_counted_by_popularity_decile() {
    // Twenty products that sell 20, 19, .. 1 times to users who come back for nothing new but one.
    let mut lines = String::new();
    for product in 0..20 {
        for user in 0..20 - product {
            lines.push_str(&format!("u{user:02} p{product:02} 1\n"));
        }
    }
    lines.push_str("u19 p05 101\n");
    let report = measured(&shop(&lines), plan(SeenPolicy::Included, 4));
    let popular = report
        .long_tail
        .iter()
        .find(|t| t.ranker == "most_popular")
        .unwrap();
    assert_eq!(popular.tenths[..3], [0.5, 0.5, 0.0]);
    assert_eq!(popular.without_events, 0.0);
    assert_eq!(popular.tenths.iter().sum::<f64>(), 1.0);
}

#[test]
fn strategy_that_cannot_be_served_is_named_and_gets_no_numbers() {
    let mut params = FitParams::default();
    params.content.terms_max = 0;
    let report = measured_with(&shop(REPEATS), plan(SeenPolicy::Excluded, 2), params);
    let names: Vec<_> = report.rankers.iter().map(|scores| scores.ranker).collect();
    let expected = [
        "collaborative",
        "most_popular",
        "recently_popular",
        "item_knn",
        "item_knn_bm25",
    ];
    assert_eq!(names, expected);
    let missing: Vec<_> = report.unavailable.iter().map(|u| u.ranker).collect();
    assert_eq!(missing, ["content", "hybrid", "blended"]);
    let verdict = report.verdict_text();
    let start = "Collaborative, the default strategy, is ";
    assert!(
        verdict.starts_with(start),
        "what hybrid falls back to: {verdict}"
    );
}

/// Two evaluations of the same past: `future` may say what it likes beside who did what.
fn evaluations(rows: [&str; 2], mapping: &str) -> [EvaluationReport; 2] {
    rows.map(|rows| {
        let folder = tempfile::tempdir().unwrap();
        let events = format!("user,product,at,what,label,price\n{rows}");
        std::fs::write(folder.path().join("events.csv"), events).unwrap();
        std::fs::write(folder.path().join("products.csv"), "id\na\nb\nc\nd\n").unwrap();
        let mapping = format!("{MAPPING}{mapping}");
        let mapping = Mapping::parse(&folder.path().join("shop.toml"), &mapping).unwrap();
        let shop = read_shop(&mapping, IngestOptions::default(), Progress::silent()).unwrap();
        measured(&shop.0, plan(SeenPolicy::Excluded, 2))
    })
}

#[test]
fn evaluation_ignores_what_rows_from_the_cut_on_say_of_products() {
    let past = "1,a,1,purchase,red,1\n2,b,2,purchase,red,2\n3,c,3,purchase,blue,3\n\
                1,c,4,purchase,blue,9\n2,a,5,purchase,red,1\n";
    let plain = "1,b,100,purchase,red,2\n2,c,101,purchase,blue,3\n3,a,102,purchase,red,1\n";
    // Labels that say who comes back for what, and prices that do.
    let telling =
        "1,b,100,purchase,of 1,7e3\n2,c,101,purchase,of 2,8e3\n3,a,102,purchase,of 3,9e3\n";
    let telling = format!("{telling}{telling}{telling}");
    let plain = format!("{plain}{plain}{plain}");
    let attributes = "[catalogue.from_events]\ncategory = \"label\"\nprice = \"price\"\n";
    let files = "[catalogue]\nfiles = \"products.csv\"\n[catalogue.columns]\nproduct_id = \"id\"\n";
    for mapping in [attributes.to_owned(), format!("{files}{attributes}")] {
        let rows = [format!("{past}{plain}"), format!("{past}{telling}")];
        let [one, two] = evaluations(rows.each_ref().map(String::as_str), &mapping);
        assert_eq!(one, two);
    }
}

#[test]
fn product_of_later_rows_is_unknown_before_the_cut_with_catalogue_files_too() {
    let past = "1,a,1,purchase,red,1\n2,b,2,purchase,red,2\n";
    let files = "[catalogue]\nfiles = \"products.csv\"\n[catalogue.columns]\nproduct_id = \"id\"\n";
    let later = format!("{past}1,b,100,purchase,red,2\n2,later,101,purchase,red,2\n");
    let [report, _] = evaluations([&later, &later], files);
    assert_eq!(report.catalogue, 4, "the four of the file alone");
    assert_eq!(report.unknown_relevant_share, 0.5);
}
