//! Scales, ticks and the SVG frame that all figures share.

use maud::{Markup, html};

/// A coordinate, to a tenth of a pixel.
pub(super) fn px(x: f64) -> String {
    let text = format!("{x:.1}");
    if text == "-0.0" {
        "0.0".to_owned()
    } else {
        text
    }
}

/// A linear scale.
pub(super) struct Axis {
    low: f64,
    high: f64,
    left: f64,
    right: f64,
    step: f64,
}

impl Axis {
    /// Around `low` to `high`, with round ends; zero is always inside.
    pub(super) fn new(low: f64, high: f64, (left, right): (f64, f64)) -> Self {
        let (low, high) = (low.min(0.0), high.max(0.0));
        let span = if high > low { high - low } else { 1.0 };
        let step = round_step(span / 4.0);
        Self {
            low: (low / step).floor() * step,
            high: if high > low {
                (high / step).ceil() * step
            } else {
                1.0
            },
            left,
            right,
            step,
        }
    }

    pub(super) fn at(&self, x: f64) -> f64 {
        self.left + (x - self.low) / (self.high - self.low) * (self.right - self.left)
    }

    /// Lines and their numbers below a plot from `top` to `bottom`.
    pub(super) fn ticks(&self, top: f64, bottom: f64) -> Markup {
        let count = ((self.high - self.low) / self.step).round() as usize;
        // Digits beyond the precision of the step are noise of the division.
        let decimals = (-self.step.log10().floor()).max(0.0) as usize;
        let ticks = (0..=count).map(|n| self.low + n as f64 * self.step);
        html! {
            g.axis {
                @for x in ticks {
                    @let zero = x.abs() < self.step / 2.0;
                    line.zero[zero] x1=(px(self.at(x))) x2=(px(self.at(x))) y1=(px(top)) y2=(px(bottom)) {}
                    text x=(px(self.at(x))) y=(px(bottom + 14.0)) text-anchor="middle" {
                        @if zero { "0" } @else { (format!("{x:.decimals$}")) }
                    }
                }
            }
        }
    }
}

/// The next of 1, 2, 5, 10, .. times a power of ten.
fn round_step(least: f64) -> f64 {
    let power = 10f64.powf(least.log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|n| n * power);
    steps
        .into_iter()
        .find(|step| *step >= least * 0.999)
        .unwrap_or(10.0 * power)
}

/// Title and description of a figure.
pub(super) struct Description<'a> {
    /// Unique on the page.
    pub(super) id: &'a str,
    pub(super) title: String,
    pub(super) words: String,
}

/// An image that a screen reader can name and describe.
pub(super) fn image(
    description: &Description<'_>,
    (width, height): (f64, f64),
    drawn: &Markup,
) -> Markup {
    let (title, words) = (
        format!("{}-title", description.id),
        format!("{}-words", description.id),
    );
    html! {
        div.scroll {
            svg role="img" aria-labelledby=(format!("{title} {words}"))
                viewBox=(format!("0 0 {} {}", px(width), px(height)))
                width=(px(width)) height=(px(height)) {
                title id=(title) { (description.title) }
                desc id=(words) { (description.words) }
                (drawn)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ends_are_round_and_include_zero() {
        let axis = Axis::new(0.002, 0.0966, (0.0, 100.0));
        assert_eq!((axis.low, axis.step), (0.0, 0.05));
        assert!((axis.high - 0.1).abs() < 1e-12);
        assert!((axis.at(0.05) - 50.0).abs() < 1e-9);
        let axis = Axis::new(-0.019, 0.0029, (100.0, 200.0));
        assert!(axis.at(-0.019) >= 100.0 && axis.at(0.0029) <= 200.0);
        assert_eq!((axis.step, axis.low), (0.01, -0.02));
    }

    #[test]
    fn empty_range_is_still_an_axis() {
        let axis = Axis::new(0.0, 0.0, (0.0, 10.0));
        assert_eq!((axis.at(0.0), axis.at(1.0)), (0.0, 10.0));
    }
}
