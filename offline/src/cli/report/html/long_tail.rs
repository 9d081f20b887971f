//! How recommendations are distributed over popular and rare products: a column chart per ranker.

use maud::{Markup, html};

use super::axis::{Description, image, px};
use super::ranker_title;
use crate::evaluate::{EvaluationReport, LongTail};

const PANEL: f64 = 180.0;
const COLUMN: f64 = 13.0;
const TOP: f64 = 34.0;
const BOTTOM: f64 = 154.0;

pub(super) fn section(found: &EvaluationReport) -> Markup {
    let width = PANEL * found.long_tail.len() as f64;
    let drawn = html! {
        @for (at, tail) in found.long_tail.iter().enumerate() {
            (panel(tail, at as f64 * PANEL))
        }
    };
    let words = found.long_tail.iter().map(|tail| {
        let first = percent(tail.tenths[0]);
        let rest: f64 = tail.tenths[1..].iter().sum();
        let (rest, without) = (percent(rest), percent(tail.without_events));
        let name = ranker_title(tail.ranker);
        format!("{name}: {first} from the most popular tenth, {rest} from the others, {without} from products without events.")
    });
    let description = Description {
        id: "long-tail",
        title: "Share of recommendations by popularity of the product".to_owned(),
        words: words.collect::<Vec<_>>().join(" "),
    };
    html! {
        section {
            h2 { "The long tail" }
            p {
                "Of all slots in all lists, the share that goes to each tenth of the products with \
                 events before the cut, the most popular tenth first; the last column is products \
                 without any."
            }
            figure { (image(&description, (width, BOTTOM + 36.0), &drawn)) }
        }
    }
}

fn panel(tail: &LongTail, left: f64) -> Markup {
    let shares = tail.tenths.iter().copied().chain([tail.without_events]);
    let height = |share: f64| share * (BOTTOM - TOP);
    let column = |at: usize| left + 8.0 + at as f64 * COLUMN + if at == 10 { 8.0 } else { 0.0 };
    html! {
        text.group x=(px(left + 8.0)) y="14" { (ranker_title(tail.ranker)) }
        g.axis {
            line x1=(px(left + 8.0)) x2=(px(left + PANEL - 16.0)) y1=(px(BOTTOM)) y2=(px(BOTTOM)) {}
            text x=(px(left + 8.0)) y=(px(BOTTOM + 14.0)) { "popular" }
            text x=(px(column(9) + COLUMN)) y=(px(BOTTOM + 14.0)) text-anchor="end" { "rare" }
            text x=(px(left + PANEL - 10.0)) y=(px(BOTTOM + 28.0)) text-anchor="end" { "no events" }
        }
        @for (at, share) in shares.enumerate() {
            rect.{ "ranker " (tail.ranker) } x=(px(column(at))) width=(px(COLUMN - 3.0))
                y=(px(BOTTOM - height(share))) height=(px(height(share))) {}
            // Only the ends are labelled: the other columns are narrower than their numbers.
            @if at == 0 || (at == 10 && share >= 0.005) {
                @let (x, anchor) = if at == 0 {
                    (column(at), "start")
                } else {
                    (column(at) + COLUMN - 3.0, "end")
                };
                text x=(px(x)) y=(px(BOTTOM - height(share) - 4.0)) text-anchor=(anchor) {
                    (percent(share))
                }
            }
        }
    }
}

fn percent(share: f64) -> String {
    format!("{:.0} %", share * 100.0)
}
