//! How a version was evaluated, judged and tuned, as its card says.

use hotshelf_model::{Comparison, Evaluation, Outcome, Trial, Verdict, interval_text};
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
use std::io::Write;

/// Writes scores of every ranker, the verdict, and the trials.
pub(super) fn show_evaluation(evaluation: &Evaluation, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "\nevaluation: {}, {} users, {} products; seen products {}",
        one_line(&evaluation.protocol),
        evaluation.users,
        evaluation.catalogue,
        one_line(&evaluation.seen)
    )?;
    writeln!(out, "{}", one_line(&evaluation.note))?;
    let k = evaluation.k;
    let heads = ["precision", "recall", "nDCG"].map(|metric| format!("{metric}@{k}"));
    let columns = heads.iter().map(|head| Column::Right(head));
    let columns = std::iter::once(Column::Left("ranker")).chain(columns);
    let mut table = TextTable::new(columns.chain([Column::Right("hit rate")]));
    for r in &evaluation.rankers {
        let scores = [r.precision, r.recall, r.ndcg, r.hit_rate].map(|s| format!("{s:.4}"));
        table.row(std::iter::once(r.ranker.clone()).chain(scores));
    }
    write!(out, "{}", table.render(2))?;
    if let Some(verdict) = &evaluation.verdict {
        show_verdict(verdict, out)?;
    }
    if !evaluation.trials.is_empty() {
        show_trials(&evaluation.trials, out)?;
    }
    Ok(())
}

fn show_verdict(verdict: &Verdict, out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(
        out,
        "\nverdict: {} ({} by default, margin {}; best strategy {})",
        outcome_text(verdict.outcome()),
        one_line(&verdict.strategy),
        verdict.margin,
        one_line(&verdict.best_strategy)
    )?;
    let metric = format!("{}@{}", verdict.metric, verdict.k);
    let mut table = TextTable::new([
        Column::Left("compared with"),
        Column::Right(&metric),
        Column::Right("its own"),
        Column::Right("difference"),
        Column::Left("95 % interval"),
        Column::Right("users"),
        Column::Left("outcome"),
    ]);
    let baseline = verdict.baseline.iter();
    let baseline = baseline.map(|one| (one.with.clone(), one));
    let live = verdict.live.iter().map(|live| {
        let name = format!("version {}, live then", live.version);
        (name, &live.comparison)
    });
    for (name, comparison) in baseline.chain(live) {
        let outcome = outcome_text(comparison.outcome(verdict.margin));
        table.row(comparison_cells(name, comparison, outcome));
    }
    write!(out, "{}", table.render(2))?;
    Ok(())
}

fn comparison_cells(name: String, comparison: &Comparison, outcome: &str) -> [String; 7] {
    let Comparison {
        mean,
        other_mean,
        difference,
        low,
        high,
        users,
        ..
    } = comparison;
    [
        name,
        format!("{mean:.4}"),
        format!("{other_mean:.4}"),
        format!("{difference:+.4}"),
        interval_text(*low, *high).unwrap_or_else(|| "too few users".to_owned()),
        users.to_string(),
        outcome.to_owned(),
    ]
}

fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Better => "better",
        Outcome::Undecided => "undecided",
        Outcome::Worse => "worse",
    }
}

/// One row a trial: its parameters by name, its scores by strategy, and which was chosen.
fn show_trials(trials: &[Trial], out: &mut dyn Write) -> anyhow::Result<()> {
    writeln!(out, "\ntrials on the validation period")?;
    let mut table = TextTable::new([
        Column::Right("trial"),
        Column::Text("parameters"),
        Column::Text("scores"),
        Column::Left(""),
    ]);
    for trial in trials {
        let parameters = trial.parameters.iter();
        let parameters = parameters.filter(|(name, value)| !is_absent(name, **value));
        let parameters = parameters.map(|(name, value)| format!("{name} {value}"));
        let scores = trial.scores.iter();
        let scores = scores.map(|(name, score)| format!("{name} {score:.4}"));
        table.row([
            trial.number.to_string(),
            parameters.collect::<Vec<_>>().join(", "),
            scores.collect::<Vec<_>>().join(", "),
            if trial.chosen { "chosen" } else { "" }.to_owned(),
        ]);
    }
    write!(out, "{}", table.render(2))?;
    Ok(())
}

/// A side without weight has no part in a blend.
fn is_absent(name: &str, value: f64) -> bool {
    name.starts_with("weight_") && value == 0.0
}
