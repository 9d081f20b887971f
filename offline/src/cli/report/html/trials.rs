//! The trials of a search: what was tried, and how well it did on the validation period.

use maud::{Markup, html};

use crate::cli::report::trial_cells;
use crate::tune::TuningReport;

const LABELS: [&str; 9] = [
    "Trial",
    "Factors",
    "Regularization",
    "Confidence",
    "Alpha",
    "Weights",
    "Half-lives",
    "Hybrid",
    "Blended",
];

pub(super) fn section(tuning: Option<&TuningReport>) -> Markup {
    let Some(tuning) = tuning else {
        return html! {};
    };
    html! {
        section {
            h2 { "Trials" }
            p { (tuning.note) }
            @if !tuning.trials.is_empty() {
                table.stack {
                    thead {
                        tr { @for label in LABELS { th scope="col" { (label) } } }
                    }
                    tbody {
                        @for trial in &tuning.trials {
                            tr.chosen[trial.chosen] {
                                @for (label, cell) in LABELS.iter().zip(trial_cells(trial)) {
                                    td data-label=(label) {
                                        (cell)
                                        @if trial.chosen && *label == "Trial" { ", chosen" }
                                    }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}
