//! Latencies around a swap: the time from the call of ReloadModel until the old version has left
//! memory, over an equal time just before; and the same with no swap in it, as a control.

use crate::failures::{failed, failed_by_code, in_words};
use crate::load::{self, Outcome, Pace, Plan, Sample, quantile};
use crate::operator::Operator;
use crate::serving::server::Server;
use crate::serving::stock::Stock;
use std::collections::BTreeMap;
use std::io::Write;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

/// From one swap to the next: room for a swap's window, a quiet one, and the time before each (chosen:
/// a swap may take 6 s beside its load, and a quarter of the period is allowed).
const PERIOD: Duration = Duration::from_secs(30);
/// Shortest window: of fewer requests a p99.9 says nothing.
const WINDOW_MIN: Duration = Duration::from_secs(1);
const CONNECTIONS: usize = 4;
/// Calls in flight on each connection while the capacity is measured.
const IN_FLIGHT: usize = 16;
const CAPACITY_TIME: Duration = Duration::from_secs(5);
const SHARES: [f64; 3] = [0.5, 0.99, 0.999];

/// The table's figures; latencies in microseconds, quantiles p50, p99, p99.9.
#[derive(serde::Serialize)]
pub(crate) struct Row {
    capacity_per_s: f64,
    rate_per_s: f64,
    rounds: usize,
    swap_ms: f64,
    before_us: [f64; 3],
    with_swap_us: [f64; 3],
    ratio: [f64; 3],
    ratio_p99_min: f64,
    ratio_p99_max: f64,
    control_ratio: [f64; 3],
    requests: usize,
    failed: usize,
    failed_by_code: BTreeMap<String, u64>,
}

/// One round: a swap's window and a quiet one, each with the time before it.
struct Round {
    swap: Range<Duration>,
    quiet: Range<Duration>,
}

pub(crate) fn plan(server: &Server, shop: Stock, pace: Pace) -> Plan {
    Plan {
        to: server.data,
        connections: CONNECTIONS,
        pace,
        messages: Arc::new(shop.requests()),
    }
}

/// Answers per second of a closed loop.
pub(crate) fn capacity(server: &Server, shop: Stock) -> anyhow::Result<f64> {
    let pace = Pace::Closed {
        in_flight: IN_FLIGHT,
    };
    let samples = load::run_for(&plan(server, shop, pace), CAPACITY_TIME)?;
    let answered = samples
        .iter()
        .filter(|sample| sample.outcome == Outcome::Answered);
    Ok(answered.count() as f64 / CAPACITY_TIME.as_secs_f64())
}

pub(crate) fn measure(folder: &Path, shop: Stock, rounds: usize) -> anyhow::Result<Row> {
    let server = Server::start_apart(folder, &[("cache-bytes-max", "0")])?;
    let operator = Operator::of(&server)?;
    // Once each way, so that nothing is done for the first time while it is measured.
    operator.swap_to(2)?;
    operator.swap_to(1)?;
    let capacity = capacity(&server, shop)?;
    let rate = capacity / 2.0;
    let calls_before = server.calls_by_code()?;
    let (plan, stop) = (
        plan(&server, shop, Pace::Open { rate }),
        AtomicBool::new(false),
    );
    let (samples, times) = std::thread::scope(|scope| {
        let began = Instant::now();
        let loaded = scope.spawn(|| load::run(&plan, || stop.load(Ordering::Relaxed)));
        let times = swap_in_turn(&operator, began, rounds);
        stop.store(true, Ordering::Relaxed);
        (
            loaded.join().expect("the load's thread does not panic"),
            times,
        )
    });
    let (samples, times) = (samples?, times?);
    let failed_by_code = failed_by_code(&server, &calls_before, &samples)?;
    let rates = (capacity, rate);
    Ok(summed(rates, &samples, &times, failed_by_code))
}

fn swap_in_turn(operator: &Operator, began: Instant, rounds: usize) -> anyhow::Result<Vec<Round>> {
    let mut times = Vec::new();
    for round in 0..rounds {
        let due = PERIOD * (round as u32 + 1);
        std::thread::sleep(due.saturating_sub(began.elapsed()));
        let start = began.elapsed();
        operator.swap_to(if round % 2 == 0 { 2 } else { 1 })?;
        let length = (began.elapsed() - start).max(WINDOW_MIN);
        anyhow::ensure!(
            length < PERIOD / 4,
            "a swap takes {length:?}: too long for its period"
        );
        let quiet = start + PERIOD / 2;
        times.push(Round {
            swap: start..start + length,
            quiet: quiet..quiet + length,
        });
    }
    // The last round's quiet window has to pass, too.
    std::thread::sleep((PERIOD * (rounds as u32 + 1)).saturating_sub(began.elapsed()));
    Ok(times)
}

/// The quantiles of the requests due within a window, in microseconds.
fn quantiles(samples: &[Sample], window: Range<Duration>) -> [f64; 3] {
    let due = samples.iter().filter(|sample| window.contains(&sample.due));
    let mut took: Vec<Duration> = due.map(|sample| sample.took).collect();
    SHARES.map(|share| quantile(&mut took, share).as_secs_f64() * 1e6)
}

/// A window's quantiles, those of an equal one just before it, and their ratios.
fn compared(samples: &[Sample], window: &Range<Duration>) -> [[f64; 3]; 3] {
    let length = window.end - window.start;
    let before = quantiles(samples, window.start - length..window.start);
    let within = quantiles(samples, window.clone());
    let ratio = [0, 1, 2].map(|at| within[at] / before[at]);
    [before, within, ratio]
}

fn summed(
    (capacity, rate): (f64, f64),
    samples: &[Sample],
    times: &[Round],
    failed_by_code: BTreeMap<String, u64>,
) -> Row {
    let swaps: Vec<_> = times
        .iter()
        .map(|one| compared(samples, &one.swap))
        .collect();
    let quiet: Vec<_> = times
        .iter()
        .map(|one| compared(samples, &one.quiet))
        .collect();
    let of = |rounds: &[[[f64; 3]; 3]], which: usize| {
        [0, 1, 2].map(|at| median(rounds.iter().map(|round| round[which][at]).collect()))
    };
    let p99: Vec<f64> = swaps.iter().map(|round| round[2][1]).collect();
    let took = times
        .iter()
        .map(|one| (one.swap.end - one.swap.start).as_secs_f64() * 1e3);
    Row {
        capacity_per_s: capacity,
        rate_per_s: rate,
        rounds: times.len(),
        swap_ms: median(took.collect()),
        before_us: of(&swaps, 0),
        with_swap_us: of(&swaps, 1),
        ratio: of(&swaps, 2),
        ratio_p99_min: p99.iter().copied().fold(f64::INFINITY, f64::min),
        ratio_p99_max: p99.iter().copied().fold(0.0, f64::max),
        control_ratio: of(&quiet, 2),
        requests: samples.len(),
        failed: failed(samples),
        failed_by_code,
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

impl Row {
    pub(crate) fn print(&self, out: &mut impl Write) -> anyhow::Result<()> {
        let seconds = PERIOD.as_secs();
        writeln!(
            out,
            "\nwindows: one swap every {seconds} s at {:.0} requests/s, half of {:.0}; median of {} rounds; window {:.0} ms",
            self.rate_per_s, self.capacity_per_s, self.rounds, self.swap_ms
        )?;
        writeln!(out, "{:24} {:>10} {:>10} {:>10}", "", "p50", "p99", "p99.9")?;
        let mut line = |name: &str, values: [f64; 3], unit: &str| {
            let [a, b, c] = values;
            writeln!(out, "{name:24} {a:>10.2} {b:>10.2} {c:>10.2} {unit}")
        };
        line("just before", self.before_us, "µs")?;
        line("with a swap", self.with_swap_us, "µs")?;
        line("ratio", self.ratio, "")?;
        line("ratio without a swap", self.control_ratio, "(control)")?;
        writeln!(
            out,
            "p99 ratio from {:.2} to {:.2}; {} requests, {} failed{}",
            self.ratio_p99_min,
            self.ratio_p99_max,
            self.requests,
            self.failed,
            in_words(&self.failed_by_code)
        )?;
        Ok(())
    }
}
