//! The trials of a search as text: one table.

use hotshelf_terminal::table::{Column, TextTable};

use super::line;
use crate::cli::report::trial_cells;
use crate::tune::TuningReport;

pub(super) fn write(text: &mut String, tuning: &TuningReport) {
    line(text, &format!("Tuning: {}", tuning.note));
    if tuning.trials.is_empty() {
        return;
    }
    let mut table = TextTable::new([
        Column::Right("trial"),
        Column::Right("factors"),
        Column::Right("regularization"),
        Column::Right("confidence"),
        Column::Right("alpha"),
        Column::Text("weights"),
        Column::Left("half-lives"),
        Column::Right("hybrid"),
        Column::Right("blended"),
        Column::Left(""),
    ]);
    for trial in &tuning.trials {
        let chosen = if trial.chosen { "chosen" } else { "" };
        table.row(trial_cells(trial).into_iter().chain([chosen.to_owned()]));
    }
    text.push_str(&table.render(2));
}
