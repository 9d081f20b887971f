//! Seconds an alternation of ALS, with the loss it reached.
//!
//! `cargo bench -p hotshelf-model --bench als [-- --json]`: a made-up shop of the size of UCI
//! Online Retail (4,338 users, 3,665 products, about 267,000 distinct pairs), on one thread and
//! on all. The time of an alternation includes its loss.

#![allow(clippy::print_stdout)] // A bench prints to standard output.

use std::{num::NonZeroUsize, time::Instant};

use hotshelf_model::{
    AlsParams, CpuPath, FitParams, FitStep, Interactions, InteractionsBuilder, fit,
};
use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};
use serde_json::json;

const USERS: u32 = 4_338;
const PRODUCTS: u32 = 3_665;
const EVENTS: u32 = 400_000;
/// Alternations; the median of their times counts.
const ITERATIONS: usize = 7;

fn main() {
    let as_json = std::env::args().any(|argument| argument == "--json");
    let data = shop();
    let cores = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let mut results = Vec::new();
    for factors in [32, 64, 128] {
        for threads in [NonZeroUsize::MIN, cores] {
            results.push(time(&data, factors, threads));
        }
    }
    if as_json {
        println!("{}", serde_json::Value::from(results));
        return;
    }
    println!(
        "{}, {USERS} users, {PRODUCTS} products, {} pairs, medians of {ITERATIONS} alternations\n",
        CpuPath::detected().as_str(),
        results[0]["pairs"]
    );
    println!("| factors | threads | s an alternation | loss |");
    println!("|---:|---:|---:|---:|");
    for row in &results {
        println!(
            "| {} | {} | {:.3} | {:.0} |",
            row["factors"],
            row["threads"],
            row["s_per_iteration"].as_f64().unwrap_or(0.0),
            row["loss"].as_f64().unwrap_or(0.0)
        );
    }
}

/// Users and products, skewed towards low numbers as popularity is.
fn shop() -> Interactions {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let mut draw = |below: u32, bias: i32| {
        let unit = f64::from(random.next_u32()) / (f64::from(u32::MAX) + 1.0);
        (unit.powi(bias) * f64::from(below)) as u32
    };
    let mut builder = InteractionsBuilder::new();
    for event in 0..EVENTS {
        let (user, product) = (draw(USERS, 2), draw(PRODUCTS, 2));
        builder.add(
            &user.to_string(),
            &product.to_string(),
            10.0,
            i64::from(event),
        );
    }
    builder.build()
}

fn time(data: &Interactions, factors: usize, threads: NonZeroUsize) -> serde_json::Value {
    let als = AlsParams {
        factors,
        iterations: ITERATIONS,
        ..AlsParams::default()
    };
    let params = FitParams {
        als,
        ..FitParams::default()
    };
    let (mut seconds, mut last_loss, mut pairs) = (Vec::new(), 0.0, 0);
    let mut since = Instant::now();
    let mut progress = |step| {
        match step {
            FitStep::Started { interactions, .. } => pairs = interactions,
            FitStep::Iteration { loss, .. } => {
                seconds.push(since.elapsed().as_secs_f64());
                last_loss = loss;
            }
            _ => {}
        }
        since = Instant::now();
    };
    fit(data, &[], &params, threads, &mut progress).expect("the shop can be fitted");
    seconds.sort_by(f64::total_cmp);
    json!({
        "factors": factors, "threads": threads.get(), "pairs": pairs,
        "s_per_iteration": seconds[seconds.len() / 2], "loss": last_loss,
        "path": CpuPath::detected().as_str(), "median_of": ITERATIONS,
    })
}
