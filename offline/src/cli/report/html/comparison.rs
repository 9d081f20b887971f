//! One figure per metric: bars by ranker, and beside each bar the difference to most popular with
//! its interval; all users first, then each segment.

use hotshelf_terminal::quantity::grouped;
use maud::{Markup, html};

use super::axis::{Axis, Description, image, px};
use super::{plain, ranker_title};
use crate::evaluate::{Difference, EvaluationReport, Scores};

const WIDTH: f64 = 920.0;
const BARS: (f64, f64) = (110.0, 420.0);
const FOREST: (f64, f64) = (530.0, 900.0);
const ROW: f64 = 19.0;
const HEADING: f64 = 26.0;
const TOP: f64 = 24.0;

/// A metric as a figure shows it.
struct Metric {
    id: &'static str,
    title: String,
    value: fn(&Scores) -> f64,
    difference: fn(&Scores) -> Option<Difference>,
}

fn metrics(k: usize) -> [Metric; 5] {
    [
        Metric {
            id: "ndcg",
            title: format!("nDCG@{k}"),
            value: |scores| scores.ndcg,
            difference: |scores| scores.difference.as_ref().map(|d| d.ndcg),
        },
        Metric {
            id: "precision",
            title: format!("Precision@{k}"),
            value: |scores| scores.precision,
            difference: |scores| scores.difference.as_ref().map(|d| d.precision),
        },
        Metric {
            id: "recall",
            title: format!("Recall@{k}"),
            value: |scores| scores.recall,
            difference: |scores| scores.difference.as_ref().map(|d| d.recall),
        },
        Metric {
            id: "hit-rate",
            title: "Hit rate".to_owned(),
            value: |scores| scores.hit_rate,
            difference: |scores| scores.difference.as_ref().map(|d| d.hit_rate),
        },
        Metric {
            id: "coverage",
            title: format!("Coverage@{k} of the catalogue"),
            value: |scores| scores.coverage,
            difference: |_| None,
        },
    ]
}

/// A group of users: all of them or a segment.
struct Group<'a> {
    label: String,
    rankers: &'a [Scores],
}

pub(super) fn section(found: &EvaluationReport) -> Markup {
    let groups = groups(found);
    html! {
        section {
            h2 { "Rankers side by side" }
            p {
                "Left: the mean over users. Right: the mean difference to most popular over the \
                 same users, with its 95 % interval (paired bootstrap, "
                (grouped(found.resamples as u64)) " resamples); filled where the interval excludes \
                 zero. item-kNN is the cosine of who bought what, "
                (found.item_knn_neighbours) " neighbours per product."
            }
            @for metric in &metrics(found.k) {
                figure {
                    figcaption { (metric.title) }
                    (figure(metric, &groups))
                }
            }
        }
    }
}

fn groups(found: &EvaluationReport) -> Vec<Group<'_>> {
    let label = |name: &str, users: usize| format!("{}: {}", plain(name), grouped(users as u64));
    let all_users = Group {
        label: label("all users", found.users),
        rankers: &found.rankers,
    };
    let segments = found.segments.iter().filter(|segment| segment.users > 0);
    let segments = segments.map(|segment| Group {
        label: label(&segment.segment, segment.users),
        rankers: &segment.rankers,
    });
    std::iter::once(all_users).chain(segments).collect()
}

fn figure(metric: &Metric, groups: &[Group<'_>]) -> Markup {
    let rows: usize = groups.iter().map(|group| group.rankers.len()).sum();
    let bottom = TOP + groups.len() as f64 * HEADING + rows as f64 * ROW;
    let all = || groups.iter().flat_map(|group| group.rankers);
    let highest = all().map(metric.value).fold(0.0, f64::max);
    let bars = Axis::new(0.0, highest, BARS);
    let intervals: Vec<Difference> = all()
        .filter_map(metric.difference)
        .filter(|difference| difference.interval().is_some())
        .collect();
    let ends = intervals.iter().flat_map(|d| [d.low, d.high]);
    let (low, high) = ends.fold((0.0, 0.0), |(low, high), x| (x.min(low), x.max(high)));
    let forest = (!intervals.is_empty()).then(|| Axis::new(low, high, FOREST));
    let mut y = TOP;
    let drawn = html! {
        (bars.ticks(TOP, bottom))
        @if let Some(forest) = &forest {
            (forest.ticks(TOP, bottom))
            text.heading x=(px(FOREST.0)) y="14" { "difference to most popular" }
        }
        @for group in groups {
            @let top = { y += HEADING; y };
            text.group x="0" y=(px(top - 8.0)) { (group.label) }
            @for scores in group.rankers {
                @let top = { y += ROW; y - ROW };
                (row(metric, scores, top, (&bars, forest.as_ref())))
            }
        }
    };
    let description = Description {
        id: metric.id,
        title: format!("{} by ranker and segment", metric.title),
        words: words(metric, groups),
    };
    image(&description, (WIDTH, bottom + 24.0), &drawn)
}

fn row(
    metric: &Metric,
    scores: &Scores,
    top: f64,
    (bars, forest): (&Axis, Option<&Axis>),
) -> Markup {
    let value = (metric.value)(scores);
    let middle = top + ROW / 2.0;
    let text = middle + 4.0;
    let width = (bars.at(value) - BARS.0).max(0.0);
    html! {
        text x=(px(BARS.0 - 8.0)) y=(px(text)) text-anchor="end" { (ranker_title(scores.ranker)) }
        rect.{ "ranker " (scores.ranker) } x=(px(BARS.0)) y=(px(top + 3.0)) width=(px(width))
            height=(px(ROW - 6.0)) {}
        text x=(px(BARS.0 + width + 6.0)) y=(px(text)) { (format!("{value:.4}")) }
        @if let (Some(forest), Some(difference)) = (forest, (metric.difference)(scores)) {
            (whisker(scores.ranker, difference, middle, forest))
        }
    }
}

fn whisker(ranker: &str, difference: Difference, y: f64, forest: &Axis) -> Markup {
    if difference.interval().is_none() {
        return html! {
            text.muted x=(px(forest.at(0.0) + 8.0)) y=(px(y + 4.0)) { "too few users" }
        };
    }
    let (low, high) = (forest.at(difference.low), forest.at(difference.high));
    let class = if difference.is_clear() {
        "clear"
    } else {
        "unclear"
    };
    html! {
        g.{ "whisker " (ranker) " " (class) } {
            line x1=(px(low)) x2=(px(high)) y1=(px(y)) y2=(px(y)) {}
            line x1=(px(low)) x2=(px(low)) y1=(px(y - 4.0)) y2=(px(y + 4.0)) {}
            line x1=(px(high)) x2=(px(high)) y1=(px(y - 4.0)) y2=(px(y + 4.0)) {}
            circle cx=(px(forest.at(difference.mean))) cy=(px(y)) r="4" {}
        }
    }
}

fn words(metric: &Metric, groups: &[Group<'_>]) -> String {
    let group = |group: &Group<'_>| {
        let rankers = group.rankers.iter().map(|scores| {
            format!(
                "{} {:.4}",
                ranker_title(scores.ranker),
                (metric.value)(scores)
            )
        });
        format!(
            "{}: {}.",
            group.label,
            rankers.collect::<Vec<_>>().join(", ")
        )
    };
    groups.iter().map(group).collect::<Vec<_>>().join(" ")
}
