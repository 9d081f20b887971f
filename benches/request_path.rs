//! CPU time of one Recommend, computed or cached, over that of a default tonic server that answers the same
//! message from a constant.
//!
//! Both run as processes of their own, under the same client in turn. The kernel's processor time of each counts,
//! so that neither the client nor a noisy neighbour enters the ratio. With `--beside PROGRAM`, such as the server
//! of an earlier commit, that one is measured in the same rounds, and the table compares the two.
//!
//! `cargo bench --bench request_path [-- --json] [-- --rounds 5] [-- --requests 20000]
//! [-- --server PROGRAM] [-- --beside PROGRAM]`

#[path = "request_path/baseline.rs"]
mod baseline;
#[path = "request_path/load.rs"]
mod load;
#[path = "request_path/process.rs"]
mod process;
#[path = "serving/mod.rs"]
mod serving;

use anyhow::Context;
use hotshelf_model::Strategy;
use process::Constant;
use serving::arguments::Arguments;
use serving::server;
use serving::stock::{self, Stock};
use std::io::Write;
use std::path::Path;
use std::sync::Arc;

/// How the measured server is asked.
const SHAPES: [load::Shape; 2] = [
    load::Shape {
        connections: 4,
        in_flight: 16,
    },
    load::Shape {
        connections: 1,
        in_flight: 1,
    },
];

/// The strategy, and whether responses are cached.
struct Mode {
    name: &'static str,
    strategy: Strategy,
    include_seen: bool,
    is_cached: bool,
}

impl Mode {
    fn needs_sides(&self) -> bool {
        self.strategy == Strategy::Blended
    }
}

const MODES: [Mode; 5] = [
    Mode {
        name: "uncached hybrid",
        strategy: Strategy::Hybrid,
        include_seen: false,
        is_cached: false,
    },
    Mode {
        name: "uncached, four sides",
        strategy: Strategy::Blended,
        include_seen: false,
        is_cached: false,
    },
    Mode {
        name: "uncached, five sides",
        strategy: Strategy::Blended,
        include_seen: true,
        is_cached: false,
    },
    Mode {
        name: "uncached collaborative",
        strategy: Strategy::Collaborative,
        include_seen: false,
        is_cached: false,
    },
    Mode {
        name: "cached hybrid",
        strategy: Strategy::Hybrid,
        include_seen: false,
        is_cached: true,
    },
];

/// Products in the catalogue.
const PRODUCTS: usize = 20_000;

/// Users of the cached rows: so few that every response is cached before the first one is measured.
const CACHED_USERS: usize = 1_000;

/// One row of the table.
#[derive(serde::Serialize)]
struct Row {
    norms: &'static str,
    mode: &'static str,
    /// The strategy that answered: a version without content answers a hybrid collaboratively.
    strategy: String,
    connections: usize,
    in_flight: usize,
    constant_us: f64,
    hotshelf_us: f64,
    ratio: f64,
    /// The server of `--beside`, and ours over it.
    beside: Option<Beside>,
    rounds: usize,
}

/// Another server, measured in the same rounds.
#[derive(serde::Serialize)]
struct Beside {
    us: f64,
    ratio: f64,
}

/// How often, and how much at a time.
#[derive(Clone, Copy)]
struct Effort {
    rounds: usize,
    requests: usize,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::given();
    if let Some(answer) = arguments.after("--baseline") {
        return baseline::serve(answer.context("the answer's file is missing")?);
    }
    let effort = Effort {
        rounds: arguments.number("--rounds", 5)?,
        requests: arguments.number("--requests", 20_000)?,
    };
    let mut rows = Vec::new();
    for (norms, skew) in [("skewed", 1.0), ("mild", 0.0)] {
        // In registries of their own: a server of `--beside` may not know the parts of sides.
        for has_sides in [false, true] {
            let folder = tempfile::tempdir()?;
            let stock = Stock {
                products: PRODUCTS,
                users: 4_000,
                skew,
                has_sides,
            };
            let version = stock::publish(folder.path(), stock)?;
            stock::go_live(folder.path(), version)?;
            let users = stock.people();
            for mode in MODES.iter().filter(|mode| mode.needs_sides() == has_sides) {
                rows.extend(compare((norms, mode), (folder.path(), &users), effort)?);
            }
        }
    }
    report(&rows, arguments.is_json())
}

fn compare(
    (norms, mode): (&'static str, &Mode),
    (folder, users): (&Path, &[String]),
    effort: Effort,
) -> anyhow::Result<Vec<Row>> {
    let users = if mode.is_cached {
        &users[..CACHED_USERS]
    } else {
        users
    };
    let asked = Arc::new(load::Asked {
        users: users.to_vec(),
        strategy: mode.strategy,
        include_seen: mode.include_seen,
    });
    let serving = process::hotshelf(folder, mode.is_cached)?;
    let hotshelf = process::measured(&serving);
    let other = match mode.needs_sides() {
        true => None,
        false => process::beside(folder, mode.is_cached)?,
    };
    let answer = load::one_answer(hotshelf.address, &asked)?;
    let repeating = Constant::start(folder, &answer.message)?;
    let constant = repeating.measured();
    let mut rows = Vec::new();
    for shape in SHAPES {
        let requests = if shape.in_flight == 1 {
            effort.requests / 4
        } else {
            effort.requests
        };
        let (mut of_constant, mut of_hotshelf, mut of_other) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            let us =
                |server: process::Measured| server.cpu_us_per_request(&shape, &asked, requests);
            of_constant.push(us(constant)?);
            of_hotshelf.push(us(hotshelf)?);
            if let Some(other) = &other {
                of_other.push(us(process::measured(other))?);
            }
        }
        rows.push(Row {
            norms,
            mode: mode.name,
            strategy: answer.strategy.clone(),
            connections: shape.connections,
            in_flight: shape.in_flight,
            constant_us: median(&of_constant),
            hotshelf_us: median(&of_hotshelf),
            ratio: median_ratio(&of_hotshelf, &of_constant),
            beside: other.as_ref().map(|_| Beside {
                us: median(&of_other),
                ratio: median_ratio(&of_hotshelf, &of_other),
            }),
            rounds: effort.rounds,
        });
    }
    Ok(rows)
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    sorted[sorted.len() / 2]
}

/// The median over rounds of one server's time over the other's.
fn median_ratio(ours: &[f64], theirs: &[f64]) -> f64 {
    let ratios: Vec<f64> = ours.iter().zip(theirs).map(|(a, b)| a / b).collect();
    median(&ratios)
}

fn report(rows: &[Row], is_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if is_json {
        serde_json::to_writer(&mut out, rows)?;
        writeln!(out)?;
        return Ok(());
    }
    let cores = std::thread::available_parallelism()?;
    writeln!(
        out,
        "{}, {cores} cores; median of {} rounds",
        server::cpu_kind(),
        rows[0].rounds
    )?;
    writeln!(
        out,
        "{} products, {} factors, some {} seen, n = 10; processor time of the server per request",
        PRODUCTS,
        stock::FACTORS,
        stock::EVENTS_PER_USER
    )?;
    let has_other = rows.iter().any(|row| row.beside.is_some());
    let of_other = if has_other {
        format!(" {:>12} {:>7}", "beside", "ratio")
    } else {
        String::new()
    };
    writeln!(
        out,
        "{:8} {:24} {:14} {:>16} {:>12} {:>12} {:>7}{of_other}",
        "norms", "mode", "answered", "conns x calls", "constant", "hotshelf", "ratio"
    )?;
    for row in rows {
        let of_other = row.beside.as_ref().map(|other| {
            let Beside { us, ratio } = other;
            format!(" {us:>9.1} µs {ratio:>7.2}")
        });
        let of_other = of_other.unwrap_or_default();
        writeln!(
            out,
            "{:8} {:24} {:14} {:>16} {:>9.1} µs {:>9.1} µs {:>7.2}{of_other}",
            row.norms,
            row.mode,
            row.strategy,
            format!("{} x {}", row.connections, row.in_flight),
            row.constant_us,
            row.hotshelf_us,
            row.ratio
        )?;
    }
    Ok(())
}
