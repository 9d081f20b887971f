//! Every number of the evaluation, as tables.

use hotshelf_terminal::quantity::grouped;
use maud::{Markup, html};

use super::comparison::kind;
use super::isolated;
use crate::evaluate::{Difference, EvaluationReport, Means, Scores, ranker_title};

const COLUMNS: usize = 11;

pub(super) fn section(found: &EvaluationReport) -> Markup {
    let k = found.k;
    html! {
        section {
            h2 { "All numbers" }
            p {
                "Under nDCG its difference to " (ranker_title(found.baseline)) " and the interval; \
                 pale where the interval includes zero. Novelty is the mean self-information in bits, \
                 diversity the mean of 1 − cosine over pairs of a list (" (found.diversity_by) "), \
                 popularity bias by how much the lists are more popular than what the same people have. \
                 item-kNN keeps " (found.item_knn_neighbours) " neighbours per product."
            }
            table.stack.numbers {
                (heads(k))
                (group("all users", found.users, (&found.rankers, found)))
                @for segment in &found.segments {
                    (group(&segment.segment, segment.users, (&segment.rankers, found)))
                }
                @for (at, k) in found.lengths.iter().enumerate().skip(1) {
                    (length(*k, at - 1, found))
                }
            }
            (fallbacks(found))
        }
    }
}

fn labels(k: usize) -> [String; COLUMNS] {
    [
        "Ranker".to_owned(),
        format!("Precision@{k}"),
        format!("Recall@{k}"),
        format!("nDCG@{k}"),
        format!("MAP@{k}"),
        format!("MRR@{k}"),
        format!("HR@{k}"),
        format!("Coverage@{k}"),
        "Novelty".to_owned(),
        "Diversity".to_owned(),
        "Popularity bias".to_owned(),
    ]
}

fn heads(k: usize) -> Markup {
    html! {
        thead {
            tr {
                @for (at, label) in labels(k).iter().enumerate() {
                    th.number[at > 0] scope="col" { (label) }
                }
            }
        }
    }
}

fn group(name: &str, users: usize, (rankers, found): (&[Scores], &EvaluationReport)) -> Markup {
    html! {
        tbody {
            tr.heading {
                th scope="rowgroup" colspan=(COLUMNS) {
                    (isolated(name)) ": " (grouped(users as u64))
                }
            }
            @if users > 0 {
                @for scores in rankers {
                    (row((scores.ranker, found), (found.k, &scores.means), scores.difference.as_ref().map(|d| d.ndcg)))
                }
            }
        }
    }
}

/// All users, in lists of another length.
fn length(k: usize, at: usize, found: &EvaluationReport) -> Markup {
    html! {
        tbody {
            tr.heading {
                th scope="rowgroup" colspan=(COLUMNS) { "all users, lists of " (k) }
            }
            @for scores in &found.rankers {
                (row((scores.ranker, found), (k, &scores.lengths[at].means), None))
            }
        }
    }
}

fn row(
    (ranker, found): (&str, &EvaluationReport),
    (k, means): (usize, &Means),
    difference: Option<Difference>,
) -> Markup {
    let labels = labels(k);
    let mean = |value: f64| format!("{value:.4}");
    let any = |value: Option<f64>| value.map_or_else(|| "–".to_owned(), mean);
    let bias = means.popularity_bias;
    let cells = [
        mean(means.precision),
        mean(means.recall),
        mean(means.ndcg),
        mean(means.map),
        mean(means.mrr),
        mean(means.hit_rate),
        mean(means.coverage),
        any(means.novelty),
        any(means.diversity),
        bias.map_or_else(|| "–".to_owned(), |bias| format!("{:+.1} %", bias * 100.0)),
    ];
    html! {
        tr {
            th scope="row" { span.{ "key " (kind(ranker, found)) } {} (ranker_title(ranker)) }
            @for (at, cell) in cells.iter().enumerate() {
                td.number data-label=(labels[at + 1]) {
                    (cell)
                    @if at == 2 { @if let Some(difference) = difference { (small(difference)) } }
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
