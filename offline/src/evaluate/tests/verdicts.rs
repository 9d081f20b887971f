//! What is compared with what, and what is concluded.

use hotshelf_model::Outcome;

use super::*;
use crate::live::LiveVersion;

/// Twenty users of two tastes, each back for the product of their taste that they lack.
fn tastes() -> Shop {
    let mut lines = String::new();
    for user in 0..20 {
        for product in (user % 2..20).step_by(2) {
            let at = if product / 2 == user / 2 { 101 } else { 1 };
            lines.push_str(&format!("u{user} p{product} {at}\n"));
        }
    }
    shop(&lines)
}

#[test]
fn best_baseline_is_the_one_with_the_greatest_ndcg() {
    let report = measured(&tastes(), plan(SeenPolicy::Excluded, 1));
    let baselines = report
        .rankers
        .iter()
        .filter(|of| !report.strategies.contains(&of.ranker));
    let greatest = baselines.map(|of| of.means.ndcg).fold(0.0, f64::max);
    assert_eq!(of(&report, report.baseline).means.ndcg, greatest);
    assert_eq!(
        report.verdict.baseline.as_ref().unwrap().with,
        report.baseline
    );
    assert!(of(&report, report.baseline).difference.is_none());
}

#[test]
fn personal_frequency_is_a_baseline_where_repeats_count_and_nowhere_else() {
    let names = |seen| {
        let report = measured(&shop(REPEATS), plan(seen, 2));
        let names: Vec<&str> = report.rankers.iter().map(|of| of.ranker).collect();
        names.contains(&"personal_frequency")
    };
    assert!(names(SeenPolicy::Included));
    assert!(!names(SeenPolicy::Excluded));
}

#[test]
fn live_version_with_the_same_parameters_is_undecided_at_zero() {
    let mut options = options(plan(SeenPolicy::Excluded, 1), FitParams::default());
    options.params.als.factors = 2;
    options.live = Some(LiveVersion {
        version: 7,
        params: options.params.clone(),
        strategy: Strategy::default(),
    });
    let found = evaluate_parameters(&tastes(), &options, Progress::silent()).unwrap();
    let verdict = found.evaluated.report.verdict;
    let live = verdict.live.as_ref().unwrap();
    assert_eq!((live.version, live.comparison.difference), (7, 0.0));
    assert_eq!(live.comparison.outcome(verdict.margin), Outcome::Undecided);
    let sentence = &sentences(&verdict)[1];
    assert!(
        sentence.starts_with("It is NOT shown to be better than the parameters of version 7"),
        "{sentence}"
    );
}

#[test]
fn version_worse_than_the_live_one_is_named_as_worse() {
    let mut options = options(plan(SeenPolicy::Excluded, 1), FitParams::default());
    options.params.als.factors = 2;
    options.live = Some(LiveVersion {
        version: 3,
        params: options.params.clone(),
        strategy: Strategy::default(),
    });
    // Next to no factor is left under such a weight on their norms.
    options.params.als.regularization = 1e6;
    options.params.content.terms_max = 0;
    options.params.scoring.alpha = 1.0;
    let found = evaluate_parameters(&tastes(), &options, Progress::silent()).unwrap();
    let report = found.evaluated.report;
    let collaborative = of(&report, "collaborative");
    let live = of(&report, "live");
    assert!(collaborative.means.ndcg < live.means.ndcg, "{report:?}");
}
