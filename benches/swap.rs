//! What a swap costs the requests of that moment, and what the old version leaves behind.
//!
//! Two tables. Windows: latencies while a version is loaded, takes over and the old one is freed, over
//! those of an equal window just before, at half of the capacity, with windows without a swap beside
//! them as a control. Many: a thousand swaps under steady load between versions of different sizes;
//! requests that failed, and memory, descriptors and threads after the fifth and the last one.
//!
//! The server has one core to itself and its loader shares it; the load comes from the other cores.
//!
//! `cargo bench --bench swap [-- --json] [-- --rounds 5] [-- --swaps 1001] [-- --products 20000]`

#![allow(
    clippy::disallowed_methods,
    reason = "a schedule of measurements is made of waits"
)]

#[path = "swap/failures.rs"]
mod failures;
#[path = "load/mod.rs"]
mod load;
#[path = "swap/many.rs"]
mod many;
#[path = "swap/operator.rs"]
mod operator;
#[path = "serving/mod.rs"]
mod serving;
#[path = "swap/windows.rs"]
mod windows;

use serving::arguments::Arguments;
use serving::server::cpu_kind;
use serving::stock::{self, Stock};
use std::io::Write;
use std::path::Path;

/// All tables.
#[derive(serde::Serialize)]
struct Figures {
    windows: windows::Row,
    many: many::Row,
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::given();
    let products = arguments.number("--products", 20_000)?;
    let folder = tempfile::tempdir()?;
    let shop = publish(folder.path(), products)?;
    let windows = windows::measure(folder.path(), shop, arguments.number("--rounds", 5)?)?;
    let many = many::measure(folder.path(), shop, arguments.number("--swaps", 1_001)?)?;
    let figures = Figures { windows, many };
    report(&figures, products, arguments.is_json())
}

/// Version 1, and version 2 with half again as many products and people; version 1 is live.
fn publish(folder: &Path, products: usize) -> anyhow::Result<Stock> {
    let small = Stock {
        products,
        users: products / 5,
        skew: 1.0,
        has_sides: false,
    };
    let large = Stock {
        products: products * 3 / 2,
        users: small.users * 3 / 2,
        skew: 1.0,
        has_sides: false,
    };
    let first = stock::publish(folder, small)?;
    stock::publish(folder, large)?;
    stock::go_live(folder, first)?;
    Ok(small)
}

fn report(figures: &Figures, products: usize, is_json: bool) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    if is_json {
        serde_json::to_writer(&mut out, &[figures])?;
        writeln!(out)?;
        return Ok(());
    }
    let cores = std::thread::available_parallelism()?;
    writeln!(
        out,
        "{}, server on one core, load from {cores}; {products} products against {}, hybrid, n = 10, no response cached",
        cpu_kind(),
        products * 3 / 2
    )?;
    figures.windows.print(&mut out)?;
    figures.many.print(&mut out)?;
    Ok(())
}
