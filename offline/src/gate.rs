//! The gate: a version that is shown to be worse is not published.
//!
//! It refuses where the interval against the best baseline, or against the parameters of the live
//! version, lies wholly below minus the margin. What is undecided, or was never compared, is published
//! with a warning. A reason opens the gate, and stays in the manifest.

use hotshelf_model::{Outcome, Verdict};
use serde::Serialize;

use crate::error::Error;
use crate::evaluate::sentences;

/// How a version passed; part of its card.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Passed {
    /// What the verdict says; absent for a version without one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// What its publisher was warned of.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// Why it was published anyway.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forced: Option<String>,
}

/// Lets a version pass or not. `live` is the version that is live now.
///
/// # Errors
/// [`Error::Gate`] with the verdict's numbers, unless `forced` gives a reason.
pub(crate) fn pass(
    verdict: Option<&Verdict>,
    live: Option<u64>,
    forced: Option<&str>,
) -> Result<Passed, Error> {
    let outcome = verdict.map(Verdict::outcome);
    if let (Some(verdict), Some(Outcome::Worse), None) = (verdict, outcome, forced) {
        return Err(Error::Gate {
            sentences: sentences(verdict),
            margin: verdict.margin,
        });
    }
    let mut warnings = Vec::new();
    match verdict {
        None => warnings.push("it was never evaluated".to_owned()),
        Some(verdict) => {
            let undecided = sentences(verdict).into_iter().zip(verdict.comparisons());
            let undecided = undecided
                .filter(|(_, one)| one.outcome(verdict.margin) == Outcome::Undecided)
                .map(|(sentence, _)| sentence);
            warnings.extend(undecided);
            if verdict.baseline.is_none() {
                warnings.push("nobody could be evaluated".to_owned());
            }
        }
    }
    let compared = verdict.and_then(|verdict| Some(verdict.live.as_ref()?.version));
    if let Some(version) = live.filter(|live| compared != Some(*live)) {
        warnings.push(format!(
            "it was not compared with version {version}, which is live; train or evaluate it with \
             --live and --model"
        ));
    }
    Ok(Passed {
        outcome,
        warnings,
        forced: forced.map(str::to_owned),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use hotshelf_model::{Comparison, LiveComparison};

    use super::*;

    fn comparison(low: f64, high: f64) -> Comparison {
        Comparison {
            with: "item_knn".to_owned(),
            mean: 0.05,
            other_mean: 0.05 - (low + high) / 2.0,
            difference: (low + high) / 2.0,
            low,
            high,
            users: 400,
        }
    }

    fn verdict(baseline: (f64, f64), live: Option<(f64, f64)>) -> Verdict {
        Verdict {
            metric: "ndcg".to_owned(),
            k: 10,
            seen: "excluded".to_owned(),
            margin: 0.001,
            strategy: "hybrid".to_owned(),
            best_strategy: "hybrid".to_owned(),
            baseline: Some(comparison(baseline.0, baseline.1)),
            live: live.map(|(low, high)| LiveComparison {
                version: 4,
                strategy: "hybrid".to_owned(),
                comparison: comparison(low, high),
            }),
        }
    }

    #[test]
    fn worse_than_the_best_baseline_is_refused_with_its_numbers() {
        let refusal = pass(Some(&verdict((-0.03, -0.01), None)), None, None).unwrap_err();
        assert_eq!(refusal.exit_code(), 3);
        assert_eq!(
            refusal.to_string(),
            "the gate refuses this version: its interval lies wholly below the margin of -0.001\n  \
             Hybrid, the default strategy, is WORSE than item-kNN, the best baseline: nDCG@10 0.0500 \
             against 0.0700, -0.0200, 95 % interval -0.0300 to -0.0100, 400 users.\n  \
             to publish it anyway, give a reason for the manifest: --force REASON"
        );
    }

    #[test]
    fn worse_than_the_live_version_is_refused_though_better_than_every_baseline() {
        let bad = verdict((0.01, 0.02), Some((-0.03, -0.01)));
        let refusal = pass(Some(&bad), Some(4), None).unwrap_err().to_string();
        assert!(
            refusal.contains("It is WORSE than the parameters of version 4, which is live"),
            "{refusal}"
        );
    }

    #[test]
    fn reason_opens_the_gate_and_is_kept() {
        let bad = verdict((-0.03, -0.01), None);
        let passed = pass(Some(&bad), None, Some("the fair is over")).unwrap();
        assert_eq!(passed.forced.as_deref(), Some("the fair is over"));
        assert_eq!(passed.outcome, Some(Outcome::Worse));
    }

    #[test]
    fn undecided_passes_with_a_warning_and_better_without() {
        let passed = pass(Some(&verdict((-0.01, 0.01), None)), None, None).unwrap();
        assert_eq!(passed.outcome, Some(Outcome::Undecided));
        assert!(
            passed.warnings[0].contains("is NOT shown to be better"),
            "{passed:?}"
        );
        let passed = pass(Some(&verdict((0.01, 0.02), None)), None, None).unwrap();
        assert_eq!(
            (passed.outcome, passed.warnings.len()),
            (Some(Outcome::Better), 0)
        );
    }

    #[test]
    fn version_that_was_not_compared_with_what_is_live_passes_with_a_warning() {
        let good = verdict((0.01, 0.02), Some((0.01, 0.02)));
        assert_eq!(
            pass(Some(&good), Some(4), None).unwrap().warnings,
            Vec::<String>::new()
        );
        let passed = pass(Some(&good), Some(5), None).unwrap();
        assert!(
            passed.warnings[0].starts_with("it was not compared with version 5"),
            "{passed:?}"
        );
        let passed = pass(None, None, None).unwrap();
        assert_eq!(passed.warnings, ["it was never evaluated"]);
    }
}
