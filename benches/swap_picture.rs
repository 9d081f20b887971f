//! The picture of the README: latency and answers by version while one version replaces another.
//!
//! The built server has one core, its loader included; open-loop load comes from another. ReloadModel is
//! called once, in the middle. The picture shows every request of the run.
//!
//! `cargo bench --bench swap_picture [-- --out docs/swap.svg] [-- --rate 2000] [-- --seconds 16]
//! [-- --products 20000] [-- --json]`

#![allow(
    clippy::disallowed_methods,
    reason = "a schedule of measurements is made of waits"
)]

#[path = "swap_picture/drawing.rs"]
mod drawing;
#[path = "serving/mod.rs"]
mod serving;

use anyhow::Context;
use drawing::Picture;
use hotshelf::demo::open_loop::{OpenLoop, Scheduled};
use hotshelf::grpc::client::{Client, RecommendAsk, ReloadAsk};
use serving::arguments::Arguments;
use serving::server::{Server, cpu_kind};
use serving::stock::{self, Stock};
use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// Connections that the requests are spread over.
const CONNECTIONS: usize = 4;
/// Requests in flight (chosen: a server that is this far behind has stopped).
const IN_FLIGHT_MAX: usize = 1_000;
/// Load before the first sample counts: connections and caches of the client are warm by then.
const WARM_UP: Duration = Duration::from_secs(2);
/// Longest wait for the reload (chosen: many times what it takes).
const RELOAD_TIMEOUT: Duration = Duration::from_secs(60);

/// One request.
#[derive(Clone, Copy)]
struct Sample {
    /// When it was due, since the first sample that counts.
    due_s: f64,
    latency_ms: f64,
    /// The version that answered; None where none did.
    version: Option<u64>,
}

/// Everything that the picture shows.
struct Recording {
    rate: u32,
    seconds: u32,
    samples: Vec<Sample>,
    /// From the call of ReloadModel to its answer: the new version is live.
    reload_s: (f64, f64),
}

fn main() -> anyhow::Result<()> {
    let arguments = Arguments::given();
    let rate = arguments.number("--rate", 2_000)?;
    let seconds = arguments.number("--seconds", 16)?;
    let products = arguments.number("--products", 20_000)?;
    let folder = tempfile::tempdir()?;
    let users = publish(folder.path(), products)?;
    let server = Server::start_apart(folder.path(), &[("cache-bytes-max", "0")])?;
    let recording = record(&server, users, (rate, seconds))?;
    if let Some(file) = arguments.after("--out") {
        let file = file.context("--out: a file is missing")?;
        // Benches run in the package's folder.
        std::fs::write(file, Picture::of(&recording).svg()).context(file.to_owned())?;
    }
    report(&recording, products, arguments.is_json())
}

/// Version 1, which is live, and version 2 with half as many products more; the users of both.
fn publish(folder: &Path, products: usize) -> anyhow::Result<Vec<String>> {
    let small = Stock {
        products,
        users: products / 5,
        skew: 1.0,
        has_sides: false,
    };
    let large = Stock {
        products: products * 3 / 2,
        ..small
    };
    let first = stock::publish(folder, small)?;
    stock::publish(folder, large)?;
    stock::go_live(folder, first)?;
    Ok(small.people())
}

fn record(
    server: &Server,
    users: Vec<String>,
    (rate, seconds): (u32, u32),
) -> anyhow::Result<Recording> {
    // One thread sends, receives and, once, reloads; one keeps the schedule.
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()?;
    let connect = |to: std::net::SocketAddr| runtime.block_on(Client::connect(&to.to_string()));
    let data = (0..CONNECTIONS).map(|_| connect(server.data));
    let data = data.collect::<Result<Vec<_>, _>>()?;
    let admin = connect(server.admin)?;
    let length = Duration::from_secs(u64::from(seconds));
    let start = Instant::now() + WARM_UP;
    let reloaded = runtime.spawn(reload(admin, start, start + length / 3));
    let samples = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&samples);
    let request = move |scheduled: Scheduled| {
        let client = data[scheduled.number % CONNECTIONS].clone();
        let user = scheduled.user(&users).to_owned();
        let seen = Arc::clone(&seen);
        async move {
            let sample = recommend(&client, user, (start, scheduled.due)).await;
            seen.lock().expect("no holder panics").push(sample);
        }
    };
    let wait = |due: Instant| {
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        std::future::ready(())
    };
    let load = OpenLoop {
        rate,
        in_flight_max: IN_FLIGHT_MAX,
    };
    runtime.block_on(load.run(wait, |due| due >= start + length, request));
    let reload_s = runtime.block_on(reloaded)??;
    let mut samples = std::mem::take(&mut *samples.lock().expect("no holder panics"));
    samples.retain(|sample| sample.due_s >= 0.0);
    Ok(Recording {
        rate,
        seconds,
        samples,
        reload_s,
    })
}

/// Makes version 2 live at this time; returns when the call began and ended.
async fn reload(admin: Client, start: Instant, at: Instant) -> anyhow::Result<(f64, f64)> {
    tokio::time::sleep_until(at.into()).await;
    let began = start.elapsed().as_secs_f64();
    let ask = ReloadAsk {
        version: Some(2),
        author: "bench".to_owned(),
        reason: "measured".to_owned(),
        timeout: RELOAD_TIMEOUT,
        ..ReloadAsk::default()
    };
    admin.reload(ask).await?;
    Ok((began, start.elapsed().as_secs_f64()))
}

async fn recommend(client: &Client, user_id: String, (start, due): (Instant, Instant)) -> Sample {
    let ask = RecommendAsk {
        user_id,
        ..RecommendAsk::default()
    };
    let answer = client.recommend(ask).await;
    let latency = due.elapsed();
    let due_s = match due.checked_duration_since(start) {
        Some(after) => after.as_secs_f64(),
        None => -(start - due).as_secs_f64(),
    };
    Sample {
        due_s,
        latency_ms: latency.as_secs_f64() * 1e3,
        version: answer.ok().map(|answer| answer.version),
    }
}

/// The figures of one phase of the run.
#[derive(serde::Serialize)]
struct Row {
    phase: &'static str,
    requests: usize,
    failed: usize,
    p50_ms: f64,
    p99_ms: f64,
}

fn report(recording: &Recording, products: usize, is_json: bool) -> anyhow::Result<()> {
    let (called, live) = recording.reload_s;
    let phases = [
        ("before", f64::NEG_INFINITY..called),
        ("reload", called..live),
        ("after", live..f64::INFINITY),
    ];
    let rows = phases.map(|(phase, time)| {
        let samples = recording.samples.iter();
        let within: Vec<Sample> = samples
            .filter(|it| time.contains(&it.due_s))
            .copied()
            .collect();
        let latencies = within.iter().map(|it| it.latency_ms).collect();
        let [p50_ms, p99_ms] = quantiles(latencies, [0.5, 0.99]);
        let failed = within.iter().filter(|it| it.version.is_none()).count();
        Row {
            phase,
            requests: within.len(),
            failed,
            p50_ms,
            p99_ms,
        }
    });
    let mut out = std::io::stdout().lock();
    if is_json {
        serde_json::to_writer(&mut out, &rows)?;
        writeln!(out)?;
        return Ok(());
    }
    let (cpu, rate) = (cpu_kind(), recording.rate);
    let larger = products * 3 / 2;
    writeln!(
        out,
        "{cpu}, server on one core; {rate} requests/s, hybrid, uncached"
    )?;
    writeln!(
        out,
        "{products} products against {larger}; reload {:.1} s",
        live - called
    )?;
    writeln!(
        out,
        "{:8} {:>9} {:>7} {:>8} {:>8}",
        "", "requests", "failed", "p50 ms", "p99 ms"
    )?;
    for row in &rows {
        let Row {
            phase,
            requests,
            failed,
            p50_ms,
            p99_ms,
        } = row;
        writeln!(
            out,
            "{phase:8} {requests:>9} {failed:>7} {p50_ms:>8.2} {p99_ms:>8.2}"
        )?;
    }
    Ok(())
}

/// These quantiles of some latencies; zero of none.
fn quantiles(mut latencies: Vec<f64>, shares: [f64; 2]) -> [f64; 2] {
    latencies.sort_unstable_by(f64::total_cmp);
    shares.map(|share| {
        let rank = (share * latencies.len() as f64).ceil() as usize;
        let at = rank.clamp(1, latencies.len().max(1)) - 1;
        latencies.get(at).copied().unwrap_or(0.0)
    })
}
