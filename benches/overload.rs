//! How a server serves others while some clients overload or flood it.
//!
//! One well-behaved client asks at a low rate the whole time, never for more than its equal share; its latencies
//! are compared with those of the same client alone. Beside it other clients offer five times the peak: on 8
//! connections with the same headers each time; on 8 with one header that enters the HPACK table with each call,
//! as deadlines and traces do; and on 400 connections. Then comes each flood of frames, on connections that are
//! opened again whenever the server closes one.
//!
//! The server has one core to itself; the load comes from the others.
//!
//! `cargo bench --bench overload [-- --json] [-- --seconds 10] [-- --products 20000] [-- --times 5]
//! [-- --server PROGRAM]`

#![allow(
    clippy::disallowed_methods,
    reason = "a schedule of measurements is made of waits"
)]

#[path = "overload/flood.rs"]
mod flood;
#[path = "load/mod.rs"]
mod load;
#[path = "overload/scenes.rs"]
mod scenes;
#[path = "serving/mod.rs"]
mod serving;

use scenes::{Effort, Figures};
use serving::arguments::Arguments;
use serving::server::cpu_kind;
use serving::stock::{self, Stock};
use std::io::Write;

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::given();
    let products = arguments.number("--products", 20_000)?;
    let effort = Effort {
        seconds: arguments.number("--seconds", 10)?,
        times: arguments.number("--times", 5)?,
    };
    let shop = Stock {
        products,
        users: products / 5,
        skew: 0.0,
        has_sides: false,
    };
    let folder = tempfile::tempdir()?;
    let version = stock::publish(folder.path(), shop)?;
    stock::go_live(folder.path(), version)?;
    let figures = scenes::measure(folder.path(), shop, effort)?;
    let mut out = std::io::stdout().lock();
    if arguments.is_json() {
        serde_json::to_writer(&mut out, &[&figures])?;
        writeln!(out)?;
        return Ok(());
    }
    report(&mut out, &figures, (products, effort))
}

fn report(
    out: &mut impl Write,
    figures: &Figures,
    (products, effort): (usize, Effort),
) -> anyhow::Result<()> {
    let cores = std::thread::available_parallelism()?;
    writeln!(
        out,
        "{}, {cores} cores, server on one; {products} products, hybrid, n = 10, no response cached; {} s each",
        cpu_kind(),
        effort.seconds
    )?;
    for greedy in &figures.greedy {
        writeln!(
            out,
            "{}: peak {:.0}/s; at {} times that {:.0}/s answered ({:.0} % of the peak), {:.0}/s shed, {} lost",
            greedy.name,
            greedy.peak_per_s,
            effort.times,
            greedy.goodput_per_s,
            100.0 * greedy.goodput_per_s / greedy.peak_per_s,
            greedy.shed_per_s,
            greedy.lost
        )?;
        writeln!(
            out,
            "    latency once sent: rejections p50 {:.1} ms, p99 {:.1} ms; answers p50 {:.1} ms, p99 {:.1} ms",
            greedy.rejection_ms[0],
            greedy.rejection_ms[1],
            greedy.answer_ms[0],
            greedy.answer_ms[1]
        )?;
    }
    writeln!(
        out,
        "{:24} {:>7} {:>7} {:>7} {:>9} {:>9} {:>7} {:>7} {:>9} {:>12} {:>5}",
        "well-behaved client",
        "per s",
        "asked",
        "failed",
        "p50",
        "p99",
        "x p50",
        "x p99",
        "closed/s",
        "memory MiB",
        "fds"
    )?;
    for scene in &figures.scenes {
        writeln!(
            out,
            "{:24} {:>7.0} {:>7} {:>7} {:>6.2} ms {:>6.2} ms {:>7.2} {:>7.2} {:>9.1} {:>5.1} {:>+6.1} {:>+5}",
            scene.name,
            scene.rate_per_s,
            scene.asked,
            scene.failed,
            scene.took_ms[0],
            scene.took_ms[1],
            scene.ratio[0],
            scene.ratio[1],
            scene.closed_per_s,
            scene.memory_mib,
            scene.memory_more_mib,
            scene.descriptors_more
        )?;
    }
    Ok(())
}
