//! A recording as an SVG: latency above, answers by version below, over one time axis.
//!
//! One palette for light and dark pages: middle tones on a transparent ground.

use super::{Recording, quantiles};
use std::fmt::Write;

/// Length of one step of the time axis.
const STEP_S: f64 = 0.1;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
/// Top and height of each panel.
const LATENCY: (f64, f64) = (58.0, 168.0);
const ANSWERS: (f64, f64) = (262.0, 96.0);
const HEIGHT: f64 = 400.0;

const TEXT: &str = "#768390";
const GRID: &str = "#8b949e";
const VERSION_1: &str = "#3b82f6";
const VERSION_2: &str = "#f08a24";
const P50: &str = "#2ea043";
const P99: &str = "#c0508f";

/// One step of the time axis.
struct Step {
    p50_ms: f64,
    p99_ms: f64,
    /// Answers of versions 1 and 2.
    answers: [usize; 2],
}

pub(crate) struct Picture<'a> {
    recording: &'a Recording,
    steps: Vec<Step>,
    latency_max_ms: f64,
    answers_max: f64,
    svg: String,
}

impl<'a> Picture<'a> {
    pub(crate) fn of(recording: &'a Recording) -> Self {
        let count = (f64::from(recording.seconds) / STEP_S).round() as usize;
        let mut samples = vec![Vec::new(); count];
        for sample in &recording.samples {
            if let Some(of_step) = samples.get_mut((sample.due_s / STEP_S) as usize) {
                of_step.push(*sample);
            }
        }
        let step = |samples: &Vec<super::Sample>| {
            let latencies = samples.iter().map(|it| it.latency_ms).collect();
            let [p50_ms, p99_ms] = quantiles(latencies, [0.5, 0.99]);
            let of = |version| {
                samples
                    .iter()
                    .filter(|it| it.version == Some(version))
                    .count()
            };
            Step {
                p50_ms,
                p99_ms,
                answers: [of(1), of(2)],
            }
        };
        let steps: Vec<Step> = samples.iter().map(step).collect();
        let highest = steps.iter().map(|step| step.p99_ms).fold(0.0, f64::max);
        Self {
            recording,
            steps,
            latency_max_ms: rounded_up(highest),
            // The peak of a step that catches up may pass the rate.
            answers_max: f64::from(recording.rate) * STEP_S * 1.25,
            svg: String::new(),
        }
    }

    pub(crate) fn svg(mut self) -> String {
        self.add(format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" \
             font-family=\"system-ui, sans-serif\" font-size=\"12\" fill=\"{TEXT}\">"
        ));
        self.title();
        self.reload();
        self.latency();
        self.answers();
        self.time_axis();
        self.add("</svg>");
        self.svg
    }

    fn add(&mut self, element: impl AsRef<str>) {
        self.svg.push_str(element.as_ref());
        self.svg.push('\n');
    }

    fn text(&mut self, (x, y): (f64, f64), attributes: &str, text: &str) {
        self.add(format!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" {attributes}>{text}</text>"
        ));
    }

    fn title(&mut self) {
        let all = self.recording.samples.len();
        let failed = self
            .recording
            .samples
            .iter()
            .filter(|it| it.version.is_none());
        let (rate, failed) = (self.recording.rate, failed.count());
        let title = format!(
            "A swap under {} requests/s: {} requests, {failed} failed",
            grouped(rate as usize),
            grouped(all)
        );
        self.text((LEFT, 20.0), "font-size=\"15\" font-weight=\"600\"", &title);
    }

    /// The time from the call of ReloadModel to its answer, behind both panels.
    fn reload(&mut self) {
        let (called, live) = self.recording.reload_s;
        let (from, to) = (self.x(called), self.x(live));
        let (top, bottom) = (LATENCY.0, ANSWERS.0 + ANSWERS.1);
        self.add(format!(
            "<rect x=\"{from:.1}\" y=\"{top}\" width=\"{:.1}\" height=\"{:.1}\" fill=\"{GRID}\" opacity=\"0.13\"/>",
            to - from,
            bottom - top
        ));
        for x in [from, to] {
            self.add(format!(
                "<path d=\"M{x:.1} {top}V{bottom}\" stroke=\"{GRID}\" stroke-dasharray=\"3 3\"/>"
            ));
        }
        self.text(
            (from - 6.0, top - 8.0),
            "text-anchor=\"end\"",
            "ReloadModel called",
        );
        self.text((to + 6.0, top - 8.0), "", "version 2 live");
    }

    fn latency(&mut self) {
        let (top, height) = LATENCY;
        let max = self.latency_max_ms;
        let y = |ms: f64| top + height * (1.0 - ms / max);
        self.scale([0.0, max / 2.0, max].map(|ms| (y(ms), format!("{} ms", short(ms)))));
        let path = |value: fn(&Step) -> f64| {
            let points = self.steps.iter().enumerate();
            let mut path = String::new();
            for (number, step) in points {
                let at = (number as f64 + 0.5) * STEP_S;
                let command = if number == 0 { 'M' } else { 'L' };
                // Writing to a String never fails.
                let _ = write!(path, "{command}{:.1} {:.1}", self.x(at), y(value(step)));
            }
            path
        };
        let (p99, p50) = (path(|step| step.p99_ms), path(|step| step.p50_ms));
        for (path, color) in [(p99, P99), (p50, P50)] {
            self.add(format!(
                "<path d=\"{path}\" fill=\"none\" stroke=\"{color}\" stroke-width=\"1.6\"/>"
            ));
        }
        self.legend(top, "latency", [("p50", P50), ("p99", P99)]);
    }

    fn answers(&mut self) {
        let (top, height) = ANSWERS;
        let max = self.answers_max;
        let rate = self.recording.rate;
        let y = |answers: f64| top + height * (1.0 - answers / max);
        let whole = f64::from(rate) * STEP_S;
        let label = format!("{}/s", grouped(rate as usize));
        self.scale([(y(0.0), "0".to_owned()), (y(whole), label)]);
        let width = self.x(STEP_S) - self.x(0.0);
        let mut bars = Vec::new();
        for (number, step) in self.steps.iter().enumerate() {
            let x = self.x(number as f64 * STEP_S);
            let [first, second] = step.answers.map(|answers| answers as f64);
            for (from, to, color) in [(0.0, first, VERSION_1), (first, first + second, VERSION_2)] {
                let (top, height) = (y(to), y(from) - y(to));
                if height > 0.0 {
                    // Wider by a hair, so that no seam shows between steps.
                    bars.push(format!("<rect x=\"{x:.1}\" y=\"{top:.1}\" width=\"{:.1}\" height=\"{height:.1}\" fill=\"{color}\" shape-rendering=\"crispEdges\"/>", width + 0.3));
                }
            }
        }
        bars.iter().for_each(|bar| self.add(bar));
        self.legend(
            top,
            "answers by version",
            [("version 1", VERSION_1), ("version 2", VERSION_2)],
        );
    }

    /// Horizontal lines with their labels.
    fn scale<const N: usize>(&mut self, lines: [(f64, String); N]) {
        let right = WIDTH - RIGHT;
        for (y, label) in lines {
            self.add(format!(
                "<path d=\"M{LEFT} {y:.1}H{right}\" stroke=\"{GRID}\" stroke-opacity=\"0.35\"/>"
            ));
            self.text((LEFT - 8.0, y + 4.0), "text-anchor=\"end\"", &label);
        }
    }

    /// Names of lines or bars above a panel, at its right end; what it shows, at its left.
    fn legend(&mut self, top: f64, what: &str, entries: [(&str, &str); 2]) {
        let y = top - 8.0;
        self.text((LEFT, y), "", what);
        let mut x = WIDTH - RIGHT - 170.0;
        for (name, color) in entries {
            self.add(format!(
                "<rect x=\"{x}\" y=\"{}\" width=\"10\" height=\"10\" rx=\"2\" fill=\"{color}\"/>",
                y - 9.0
            ));
            self.text((x + 15.0, y), "", name);
            x += 90.0;
        }
    }

    fn time_axis(&mut self) {
        let y = ANSWERS.0 + ANSWERS.1 + 18.0;
        let seconds = self.recording.seconds;
        for second in (0..=seconds).step_by(2) {
            let x = self.x(f64::from(second));
            self.text((x, y), "text-anchor=\"middle\"", &format!("{second} s"));
        }
    }

    fn x(&self, time_s: f64) -> f64 {
        LEFT + (WIDTH - LEFT - RIGHT) * time_s / f64::from(self.recording.seconds)
    }
}

/// The next of 1, 2 and 5 times a power of ten.
fn rounded_up(value: f64) -> f64 {
    let power = 10_f64.powf(value.max(1e-3).log10().floor());
    let steps = [1.0, 2.0, 5.0, 10.0].map(|step| step * power);
    let next = steps.into_iter().find(|step| *step >= value);
    next.unwrap_or(10.0 * power)
}

/// Without trailing zeros.
fn short(value: f64) -> String {
    let text = format!("{value:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// With a comma between thousands.
fn grouped(number: usize) -> String {
    let digits = number.to_string();
    let groups: Vec<&str> = digits
        .as_bytes()
        .rchunks(3)
        .rev()
        .map(|group| std::str::from_utf8(group).expect("digits are ASCII"))
        .collect();
    groups.join(",")
}
