//! Every number of the evaluation, as tables.

use hotshelf_terminal::quantity::grouped;
use maud::{Markup, html};

use super::{isolated, ranker_title};
use crate::evaluate::{Difference, EvaluationReport, Scores};

pub(super) fn section(found: &EvaluationReport) -> Markup {
    let k = found.k;
    html! {
        section {
            h2 { "All numbers" }
            p {
                "Under each mean its difference to most popular and the interval; pale where the \
                 interval includes zero."
            }
            div.scroll {
                table {
                    thead {
                        tr {
                            th scope="col" { "Ranker" }
                            th.number scope="col" { "Precision@" (k) }
                            th.number scope="col" { "Recall@" (k) }
                            th.number scope="col" { "nDCG@" (k) }
                            th.number scope="col" { "Hit rate" }
                            th.number scope="col" { "Coverage" }
                            th.number scope="col" { "nDCG: better / worse" }
                        }
                    }
                    (group("all users", found.users, &found.rankers))
                    @for segment in &found.segments {
                        (group(&segment.segment, segment.users, &segment.rankers))
                    }
                }
            }
            (fallbacks(found))
        }
    }
}

fn group(name: &str, users: usize, rankers: &[Scores]) -> Markup {
    html! {
        tbody {
            tr.heading {
                th scope="rowgroup" colspan="7" { (isolated(name)) ": " (grouped(users as u64)) }
            }
            @if users > 0 {
                @for scores in rankers { (row(scores)) }
            }
        }
    }
}

/// Under each mean, its difference to most popular.
fn row(scores: &Scores) -> Markup {
    let differences = scores.difference.as_ref();
    let cells = [
        (scores.precision, differences.map(|d| d.precision)),
        (scores.recall, differences.map(|d| d.recall)),
        (scores.ndcg, differences.map(|d| d.ndcg)),
        (scores.hit_rate, differences.map(|d| d.hit_rate)),
    ];
    html! {
        tr {
            th scope="row" { span.{ "key " (scores.ranker) } {} (ranker_title(scores.ranker)) }
            @for (mean, difference) in cells {
                td.number {
                    (format!("{mean:.4}"))
                    @if let Some(difference) = difference { (small(difference)) }
                }
            }
            td.number { (format!("{:.4}", scores.coverage)) }
            td.number {
                @if let Some(differences) = differences {
                    (grouped(differences.ndcg.better as u64)) " / " (grouped(differences.ndcg.worse as u64))
                }
            }
        }
    }
}

fn small(difference: Difference) -> Markup {
    let interval = difference.interval();
    html! {
        div.difference.clear[difference.is_clear()] {
            (format!("{:+.4}", difference.mean)) br;
            (interval.as_deref().unwrap_or("too few users"))
        }
    }
}

fn fallbacks(found: &EvaluationReport) -> Markup {
    html! {
        @if !found.fallbacks.is_empty() {
            p { "Lists with fallbacks (one list may have several):" }
            ul {
                @for (ranker, reasons) in &found.fallbacks {
                    @for (reason, lists) in reasons {
                        li { (ranker_title(ranker)) ": " (reason.replace('_', " ")) ", " (grouped(*lists as u64)) " lists" }
                    }
                }
            }
        }
    }
}
