//! What embedding a catalogue costs, in time and in memory.
//!
//! `cargo bench -p hotshelf-model --bench content [-- --large] [--json]`: 100,000 products, or
//! 1,000,000, with some 20,000 distinct texts and prices that follow them. Time runs from the
//! factors to the model: texts, rows, the exact plan's index and the neighbour lists. Memory is
//! that of the whole process, beside what it was with the catalogue alone.

#![allow(clippy::print_stdout)] // A bench prints to standard output.

use std::{num::NonZeroUsize, time::Instant};

use hotshelf_model::{
    AlsParams, CpuPath, FitParams, FitStep, IndexChoice, InteractionsBuilder, ProductInfo, fit,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::json;

/// Distinct texts, before any is drawn twice.
const TEXTS: usize = 20_000;
const WORDS: usize = 4_000;
const CATEGORIES: usize = 40;
const BRANDS: usize = 300;

fn main() {
    let has = |name: &str| std::env::args().any(|argument| argument == name);
    let products = if has("--large") { 1_000_000 } else { 100_000 };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let catalogue = catalogue(products);
    let held_mib = status_mib("VmRSS");
    let mut events = InteractionsBuilder::new();
    events.add("someone", &catalogue[0].id, 1.0, 0);
    let params = FitParams {
        als: AlsParams {
            factors: 1,
            iterations: 1,
            ..AlsParams::default()
        },
        index: IndexChoice::Exact,
        ..FitParams::default()
    };
    let mut start = Instant::now();
    let mut progress = |step| {
        if step == FitStep::Embedding {
            start = Instant::now();
        }
    };
    let model = fit(&events.build(), &catalogue, &params, threads, &mut progress);
    let seconds = start.elapsed().as_secs_f64();
    let model = model.expect("the catalogue is sound");
    let content = model.content().expect("there are texts");
    let row = json!({
        "products": products, "groups": content.card().groups,
        "dimension": content.embeddings().cols(),
        "neighbours_exact": content.card().neighbours_exact,
        "seconds": seconds, "catalogue_mib": held_mib, "peak_mib": status_mib("VmHWM"),
        "model_mib": model.heap_bytes() as f64 / f64::from(1 << 20),
        "threads": threads.get(), "cpu": cpu(), "path": CpuPath::detected().as_str(),
    });
    if has("--json") {
        println!("{}", serde_json::Value::from(vec![row]));
        return;
    }
    println!(
        "{}, {threads} threads, {}, one run\n",
        cpu(),
        CpuPath::detected().as_str()
    );
    println!(
        "| products | groups | columns | exact lists | s | MiB catalogue | MiB peak | MiB model |"
    );
    println!("|---:|---:|---:|---|---:|---:|---:|---:|");
    println!(
        "| {products} | {} | {} | {} | {seconds:.1} | {held_mib:.0} | {:.0} | {:.0} |",
        row["groups"],
        row["dimension"],
        row["neighbours_exact"],
        row["peak_mib"].as_f64().unwrap_or(0.0),
        row["model_mib"].as_f64().unwrap_or(0.0),
    );
}

/// Texts of words that are as unequally common as in real ones; a product's price is that of its
/// text, give or take a tenth.
fn catalogue(products: usize) -> Vec<ProductInfo> {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut unit = || f64::from(random.next_u32()) / f64::from(u32::MAX);
    let texts: Vec<(String, String, String, f64)> = (0..TEXTS)
        .map(|_| {
            let len = 3 + (unit() * 5.0) as usize;
            let skewed = |unit: f64, of: usize| ((unit * unit * unit) * of as f64) as usize;
            let words: Vec<String> = (0..len)
                .map(|_| format!("word{}", skewed(unit(), WORDS)))
                .collect();
            let category = format!("category{}", skewed(unit(), CATEGORIES));
            let brand = format!("brand{}", skewed(unit(), BRANDS));
            (
                words.join(" "),
                category,
                brand,
                1.0 + 50.0 * unit() * unit(),
            )
        })
        .collect();
    let info = |number: usize| {
        let (name, category, brand, price) = &texts[(unit() * (TEXTS - 1) as f64) as usize];
        ProductInfo {
            id: format!("product-{number:07}"),
            name: Some(name.clone()),
            category: Some(category.clone()),
            brand: Some(brand.clone()),
            price: (unit() > 0.3).then_some((price * (0.9 + 0.2 * unit())) as f32),
            ..ProductInfo::default()
        }
    };
    (0..products).map(info).collect()
}

/// A size from the process's own status, in MiB; 0 where the system has none.
fn status_mib(name: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|line| line.split_whitespace().nth(1)?.parse::<f64>().ok());
    kib.unwrap_or(0.0) / 1024.0
}

fn cpu() -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let name = info
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'));
    name.map_or_else(
        || std::env::consts::ARCH.to_owned(),
        |(_, name)| name.trim().to_owned(),
    )
}
