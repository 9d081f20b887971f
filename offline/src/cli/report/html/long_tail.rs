//! How recommendations are distributed over popular and rare products: columns for each ranker.

use maud::{Markup, html};

use super::comparison::kind;
use crate::evaluate::{EvaluationReport, LongTail, ranker_title};

pub(super) fn section(found: &EvaluationReport) -> Markup {
    html! {
        section {
            h2 { "The long tail" }
            p {
                "Of all slots in all lists, the share that goes to each tenth of the products with \
                 training events, the most popular tenth first; the last column is products without \
                 any."
            }
            div.tails {
                @for tail in &found.long_tail { (panel(tail, found)) }
            }
        }
    }
}

fn panel(tail: &LongTail, found: &EvaluationReport) -> Markup {
    let shares = tail.tenths.iter().copied().chain([tail.without_events]);
    let first = percent(tail.tenths[0]);
    let rest = percent(tail.tenths[1..].iter().sum());
    let without = percent(tail.without_events);
    html! {
        figure.{ "tail " (kind(tail.ranker, found)) } {
            figcaption { (ranker_title(tail.ranker)) }
            div.columns {
                @for share in shares {
                    div.column style=(format!("height:{:.2}%", share * 100.0)) {}
                }
            }
            p.muted {
                (first) " from the most popular tenth, " (rest) " from the others, " (without)
                " without events"
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
