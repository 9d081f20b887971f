//! CPU time of one Recommend, computed or cached, over that of a default tonic server that answers the same
//! message from a constant.
//!
//! Both run as processes of their own, under the same client in turn. The kernel's processor time of each counts,
//! so that neither the client nor a noisy neighbour enters the ratio.
//!
//! `cargo bench --bench request_path [-- --json] [-- --rounds 5] [-- --requests 20000]
//! [-- --server PROGRAM]`

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
    is_cached: bool,
}

const MODES: [Mode; 3] = [
    Mode {
        name: "uncached hybrid",
        strategy: Strategy::Hybrid,
        is_cached: false,
    },
    Mode {
        name: "uncached collaborative",
        strategy: Strategy::Collaborative,
        is_cached: false,
    },
    Mode {
        name: "cached hybrid",
        strategy: Strategy::Hybrid,
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
    rounds: usize,
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
        let folder = tempfile::tempdir()?;
        let stock = Stock {
            products: PRODUCTS,
            users: 4_000,
            skew,
        };
        let version = stock::publish(folder.path(), stock)?;
        stock::go_live(folder.path(), version)?;
        let users = stock.people();
        for mode in &MODES {
            rows.extend(compare((norms, mode), (folder.path(), &users), effort)?);
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
    });
    let serving = process::hotshelf(folder, mode.is_cached)?;
    let hotshelf = process::Measured {
        process: serving.id(),
        address: serving.data,
    };
    let answer = load::one_answer(hotshelf.address, &asked)?;
    let repeating = Constant::start(folder, &answer.message)?;
    let constant = repeating.measured();
    let mut rows = Vec::new();
    for shape in SHAPES {
        let (mut ours, mut theirs, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..effort.rounds {
            let requests = if shape.in_flight == 1 {
                effort.requests / 4
            } else {
                effort.requests
            };
            let of_constant = constant.cpu_us_per_request(&shape, &asked, requests)?;
            let of_hotshelf = hotshelf.cpu_us_per_request(&shape, &asked, requests)?;
            theirs.push(of_constant);
            ours.push(of_hotshelf);
            ratios.push(of_hotshelf / of_constant);
        }
        rows.push(Row {
            norms,
            mode: mode.name,
            strategy: answer.strategy.clone(),
            connections: shape.connections,
            in_flight: shape.in_flight,
            constant_us: median(&mut theirs),
            hotshelf_us: median(&mut ours),
            ratio: median(&mut ratios),
            rounds: effort.rounds,
        });
    }
    Ok(rows)
}

fn median(values: &mut [f64]) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
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
    writeln!(
        out,
        "{:8} {:24} {:14} {:>16} {:>12} {:>12} {:>7}",
        "norms", "mode", "answered", "conns x calls", "constant", "hotshelf", "ratio"
    )?;
    for row in rows {
        writeln!(
            out,
            "{:8} {:24} {:14} {:>16} {:>9.1} µs {:>9.1} µs {:>7.2}",
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
