#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use super::*;
use crate::ingest::read_shop;
use crate::mapping::{Cut, Mapping};
use crate::progress::Progress;
use crate::train::{TrainOptions, evaluate_parameters};

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
    read_shop(&mapping, None, Progress::silent()).unwrap()
}

fn plan(seen: Seen, k: usize) -> EvaluationPlan {
    let cut = Cut::At(100);
    EvaluationPlan {
        cut,
        k,
        seen,
        relevant: Vec::new(),
    }
}

fn measured(shop: &Shop, plan: EvaluationPlan) -> EvaluationReport {
    let mut params = hotshelf_model::FitParams::default();
    params.als.factors = 2;
    let threads = NonZeroUsize::MIN;
    let options = TrainOptions {
        plan,
        params,
        refit: false,
        threads,
        code_commit: None,
    };
    evaluate_parameters(shop, &options, Progress::silent())
        .unwrap()
        .1
}

/// Popular in the past: a (3), b (2), c (1). User 1 has a and buys a again, then c.
const REPEATS: &str = "1 a 1\n2 a 2\n3 a 3\n2 b 4\n3 b 5\n3 c 6\n1 a 101\n1 c 102";

#[test]
fn excluded_products_are_neither_ranked_nor_looked_for() {
    let report = measured(&shop(REPEATS), plan(Seen::Excluded, 2));
    // Most popular without a: b, c. Relevant: c alone, at rank 2.
    let popular = &report.rankers[1];
    assert_eq!(popular.ranker, "most_popular");
    assert_eq!((popular.precision, popular.recall), (0.5, 1.0));
    assert!((popular.ndcg - 1.0 / 3f64.log2()).abs() < 1e-12);
    assert_eq!((report.users, report.seen), (1, "excluded"));
}

#[test]
fn included_products_are_ranked_and_looked_for() {
    let report = measured(&shop(REPEATS), plan(Seen::Included, 2));
    // Most popular: a, b. Relevant: a and c.
    let popular = &report.rankers[1];
    assert_eq!(
        (popular.precision, popular.recall, popular.hit_rate),
        (0.5, 0.5, 1.0)
    );
}

#[test]
fn user_who_only_repeats_is_left_out_rather_than_scored_zero() {
    let report = measured(
        &shop("1 a 1\n2 b 2\n1 a 101\n2 a 102"),
        plan(Seen::Excluded, 2),
    );
    assert_eq!((report.users, report.users_without_relevant), (1, 1));
    assert_eq!(report.rankers[1].recall, 1.0);
}

#[test]
fn popularity_is_counted_on_the_past_alone() {
    let future = "4 z 201\n5 z 202\n6 z 203\n7 z 204\n2 c 205\n".repeat(3);
    let report = measured(
        &shop(&format!("{REPEATS}\n1 z 4 view\n{future}")),
        plan(Seen::Included, 1),
    );
    // z is what everybody wants after the cut and hardly anybody before: a stays first, and user 2
    // wants c alone.
    assert_eq!(report.rankers[1].hit_rate, 0.5);
    assert_eq!(report.users_without_past, 4);
}

#[test]
fn product_first_seen_after_the_cut_counts_as_missed() {
    let report = measured(
        &shop("1 a 1\n2 b 2\n1 b 101\n1 new 102"),
        plan(Seen::Excluded, 10),
    );
    assert_eq!(report.rankers[0].recall, 0.5);
    assert_eq!(report.rankers[1].recall, 0.5);
    assert_eq!(report.unknown_relevant_share, 0.5);
    assert_eq!(report.catalogue, 2);
}

#[test]
fn only_relevant_interactions_count_as_hits() {
    let shop = shop("1 a 1\n2 b 2\n3 c 3\n1 b 101 view\n1 c 102\n2 c 103 view");
    let plan = EvaluationPlan {
        relevant: vec!["purchase".to_owned()],
        ..plan(Seen::Excluded, 10)
    };
    let report = measured(&shop, plan);
    assert_eq!((report.users, report.rankers[1].precision), (1, 0.1));
}

#[test]
fn empty_side_of_a_split_is_refused() {
    let shop = shop(REPEATS);
    for (cut_s, side) in [(0, "before"), (1000, "after")] {
        let plan = EvaluationPlan {
            cut: Cut::At(cut_s),
            ..plan(Seen::Excluded, 10)
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
        cut: Cut::LastShare(0.3),
        ..plan(Seen::Excluded, 10)
    };
    let split = Split::new(&shop(&days), &plan).unwrap();
    assert_eq!((split.cut_s, split.past_events), (7 * 86_400, 7));
}

#[test]
fn tastes_that_popularity_cannot_see_are_found() {
    // Even users buy even products, odd users odd ones; each comes back for the one they lack.
    let mut lines = String::new();
    for user in 0..20 {
        for product in (user % 2..20).step_by(2) {
            let at = if product / 2 == user / 2 { 101 } else { 1 };
            lines.push_str(&format!("u{user} p{product} {at}\n"));
        }
    }
    let report = measured(&shop(&lines), plan(Seen::Excluded, 1));
    assert!(report.rankers[0].hit_rate > 0.9, "{report:?}");
    assert!(report.ndcg_difference.low > 0.0, "{report:?}");
    assert!(
        report
            .verdict()
            .starts_with("Collaborative is better than most popular")
    );
}
