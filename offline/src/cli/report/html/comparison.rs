//! Rankers side by side, by segment: a bar for each mean, and beside it the difference to the best
//! baseline with its interval.
//!
//! Bars are boxes of the page itself, not a drawing: they shrink to a phone, and every number stands
//! beside them as text.

use hotshelf_terminal::quantity::grouped;
use maud::{Markup, html};

use super::plain;
use crate::evaluate::{Difference, EvaluationReport, Scores, ranker_title};

/// A metric as a figure shows it.
struct Metric {
    title: String,
    value: fn(&Scores) -> f64,
    difference: fn(&Scores) -> Option<Difference>,
}

fn metrics(k: usize) -> [Metric; 3] {
    [
        Metric {
            title: format!("nDCG@{k}"),
            value: |scores| scores.means.ndcg,
            difference: |scores| scores.difference.as_ref().map(|d| d.ndcg),
        },
        Metric {
            title: format!("Hit rate, HR@{k}"),
            value: |scores| scores.means.hit_rate,
            difference: |scores| scores.difference.as_ref().map(|d| d.hit_rate),
        },
        Metric {
            title: format!("Coverage@{k} of the catalogue"),
            value: |scores| scores.means.coverage,
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
            h2 { "Rankers by segment" }
            p {
                "The bar is the mean over users. Below it stands the mean difference to "
                (ranker_title(found.baseline)) ", the best baseline, over the same users, with its 95 % \
                 interval (paired bootstrap, " (grouped(found.resamples as u64)) " resamples); filled \
                 where the interval excludes zero."
            }
            @for metric in &metrics(found.k) {
                figure {
                    figcaption { (metric.title) }
                    (figure(metric, &groups, found))
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

fn figure(metric: &Metric, groups: &[Group<'_>], found: &EvaluationReport) -> Markup {
    let all = || groups.iter().flat_map(|group| group.rankers);
    let bars = Scale::around(all().map(metric.value));
    let intervals = all().filter_map(metric.difference);
    let known = intervals.filter(|difference| difference.interval().is_some());
    let forest = Scale::around(known.flat_map(|d| [d.low, d.high]));
    html! {
        div.groups {
            @for group in groups {
                div.group {
                    h3 { (group.label) }
                    @for scores in group.rankers {
                        (row(metric, scores, (&bars, &forest), found))
                    }
                }
            }
        }
    }
}

fn row(
    metric: &Metric,
    scores: &Scores,
    (bars, forest): (&Scale, &Scale),
    found: &EvaluationReport,
) -> Markup {
    let value = (metric.value)(scores);
    html! {
        div.{ "row " (kind(scores.ranker, found)) } {
            span.name { (ranker_title(scores.ranker)) }
            span.number { (format!("{value:.4}")) }
            div.track { div.bar style=(format!("width:{}", bars.at(value))) {} }
            @if let Some(difference) = (metric.difference)(scores) {
                (whisker(difference, forest))
            }
        }
    }
}

fn whisker(difference: Difference, forest: &Scale) -> Markup {
    let Some(interval) = difference.interval() else {
        return html! { span.interval { "too few users" } };
    };
    let clear = difference.is_clear();
    let span = format!(
        "left:{};right:{}",
        forest.at(difference.low),
        forest.right_end(difference.high)
    );
    html! {
        span.interval { (format!("{:+.4}", difference.mean)) " (" (interval) ")" }
        div.forest.clear[clear] {
            div.zero style=(format!("left:{}", forest.at(0.0))) {}
            div.whisker style=(span) {}
            div.dot style=(format!("left:{}", forest.at(difference.mean))) {}
        }
    }
}

/// The class of a ranker: ours, the default one, the live version, a baseline.
pub(super) fn kind(ranker: &str, found: &EvaluationReport) -> &'static str {
    match ranker {
        "live" => "live",
        ranker if ranker == found.default_strategy => "ours default",
        ranker if found.strategies.contains(&ranker) => "ours",
        _ => "baseline",
    }
}

/// Places from 0 to 100 % of a box; zero is always inside.
struct Scale {
    low: f64,
    high: f64,
}

impl Scale {
    fn around(values: impl Iterator<Item = f64>) -> Self {
        let (low, high) = values.fold((0.0f64, 0.0f64), |(low, high), x| (low.min(x), high.max(x)));
        match high > low {
            true => Self { low, high },
            false => Self {
                low,
                high: low + 1.0,
            },
        }
    }

    fn at(&self, x: f64) -> String {
        format!("{:.2}%", (x - self.low) / (self.high - self.low) * 100.0)
    }

    fn right_end(&self, x: f64) -> String {
        format!("{:.2}%", (self.high - x) / (self.high - self.low) * 100.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_and_all_values_lie_within_the_box() {
        let scale = Scale::around([0.002, -0.019].into_iter());
        assert_eq!(
            (scale.at(-0.019), scale.at(0.002)),
            ("0.00%".into(), "100.00%".into())
        );
        assert_eq!(scale.right_end(-0.019), "100.00%");
        let bars = Scale::around([0.1, 0.05].into_iter());
        assert_eq!(
            (bars.at(0.0), bars.at(0.05)),
            ("0.00%".into(), "50.00%".into())
        );
    }

    #[test]
    fn nothing_to_show_is_still_a_scale() {
        let scale = Scale::around(std::iter::empty());
        assert_eq!(
            (scale.at(0.0), scale.at(1.0)),
            ("0.00%".into(), "100.00%".into())
        );
    }
}
