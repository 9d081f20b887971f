//! The evaluation as text: what was held out, one table by users, one of the lists themselves.

use hotshelf_terminal::quantity::grouped;
use hotshelf_terminal::table::{Column, TextTable};

use super::line;
use crate::cli::report::RunReport;
use crate::evaluate::{EvaluationReport, Means, Scores, ranker_title};

impl RunReport {
    pub(super) fn write_evaluation(&self, text: &mut String) {
        let found = &self.evaluation;
        let als = &self.parameters.als;
        let count = |count: usize| grouped(count as u64);
        let held_out = match &found.cut_off {
            Some(cut_off) => format!(
                "fitted on {} events before {cut_off}, evaluated on {} from then on",
                count(found.past_events),
                count(found.future_events)
            ),
            None => format!(
                "fitted on {} events, evaluated on {} held out: {}",
                count(found.past_events),
                count(found.future_events),
                found.split_text()
            ),
        };
        let lines = [
            format!("Evaluation: {held_out}"),
            format!(
                "  factors {}, regularization {}, iterations {}, confidence {}, seed {}",
                als.factors, als.regularization, als.iterations, als.confidence, als.seed
            ),
            format!(
                "  {} users evaluated, {} without training events, {} without a relevant event",
                count(found.users),
                count(found.users_without_past),
                count(found.users_without_relevant)
            ),
            format!(
                "  {} products ranked in full, seen products {}, {:.1} % of the relevant ones are in \
                 no training event",
                count(found.catalogue),
                found.seen,
                found.unknown_relevant_share * 100.0
            ),
        ];
        for content in lines {
            line(text, &content);
        }
        write_scores(text, found);
        write_lists(text, found);
        for sentence in found.verdicts().iter().chain(&found.notes) {
            line(text, &format!("  {sentence}"));
        }
        match self.refit {
            Some(true) => line(
                text,
                "  The model below was fitted again on all events; it was not evaluated itself.",
            ),
            Some(false) => line(text, "  The model below is the one that was evaluated."),
            None => {}
        }
    }
}

/// One table: all users, then the users of each segment.
fn write_scores(text: &mut String, found: &EvaluationReport) {
    let k = found.k;
    let metrics = ["Precision", "Recall", "nDCG", "MAP", "MRR", "HR"];
    let metrics = metrics.map(|name| format!("{name}@{k}"));
    let difference = format!("nDCG@{k} - {}", ranker_title(found.baseline));
    let mut columns = vec![Column::Left("users"), Column::Left("ranker")];
    columns.extend(metrics.iter().map(|name| Column::Right(name)));
    columns.push(Column::Right(&difference));
    let mut table = TextTable::new(columns);
    add_scores(&mut table, ("all", found.users), &found.rankers);
    for missing in &found.unavailable {
        table.row([
            "".to_owned(),
            ranker_title(missing.ranker),
            "not available".to_owned(),
        ]);
    }
    for segment in &found.segments {
        add_scores(
            &mut table,
            (&segment.segment, segment.users),
            &segment.rankers,
        );
    }
    text.push_str(&table.render(2));
}

fn add_scores(table: &mut TextTable<'_>, (group, users): (&str, usize), rankers: &[Scores]) {
    let mut label = format!("{group} ({})", grouped(users as u64));
    if users == 0 {
        table.row([label]);
        return;
    }
    for scores in rankers {
        let numbers = [
            scores.means.precision,
            scores.means.recall,
            scores.means.ndcg,
            scores.means.map,
            scores.means.mrr,
            scores.means.hit_rate,
        ];
        let difference = scores.difference.as_ref().map(|difference| {
            let interval = difference.ndcg.interval();
            let interval = interval.as_deref().unwrap_or("too few users");
            format!("{:+.4} ({interval})", difference.ndcg.mean)
        });
        let names = [std::mem::take(&mut label), ranker_title(scores.ranker)];
        let cells = numbers.map(|number| format!("{number:.4}"));
        table.row(names.into_iter().chain(cells).chain(difference));
    }
}

/// What the lists are like, and the scores of lists of other lengths.
fn write_lists(text: &mut String, found: &EvaluationReport) {
    if found.users == 0 {
        return;
    }
    let mut table = TextTable::new([
        Column::Left("lists"),
        Column::Left("ranker"),
        Column::Right("coverage"),
        Column::Right("novelty"),
        Column::Right("diversity"),
        Column::Right("popularity bias"),
        Column::Right("nDCG"),
        Column::Right("HR"),
    ]);
    for (at, k) in found.lengths.iter().enumerate() {
        let mut label = format!("of {k}");
        for scores in &found.rankers {
            let row = match at {
                0 => list_cells(&scores.means),
                at => list_cells(&scores.lengths[at - 1].means),
            };
            let names = [std::mem::take(&mut label), ranker_title(scores.ranker)];
            table.row(names.into_iter().chain(row));
        }
    }
    text.push_str(&table.render(2));
}

fn list_cells(means: &Means) -> [String; 6] {
    let number = |value: Option<f64>| value.map_or_else(|| "-".to_owned(), |x| format!("{x:.4}"));
    let bias = means.popularity_bias;
    [
        format!("{:.4}", means.coverage),
        number(means.novelty),
        number(means.diversity),
        bias.map_or_else(|| "-".to_owned(), |bias| format!("{:+.1} %", bias * 100.0)),
        format!("{:.4}", means.ndcg),
        format!("{:.4}", means.hit_rate),
    ]
}
