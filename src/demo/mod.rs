//! `hotshelf demo`: everything in one command, on a generated shop.
//!
//! ```text
//! generate a shop ─▶ CSV files ─▶ train on 5 months ─▶ publish v1 ─▶ serve, reload to v1
//!                                                                        │ traffic begins
//!                       train on 6 months ─▶ publish v2 ─▶ ReloadModel ──┤
//!                                                                        ▼ requests, failures, latency
//! ```

mod fleet;
pub mod open_loop;
mod report;
mod shop;
mod stage;
mod tour;
mod traffic;

use crate::app::App;
use crate::config::{Config, Layers};
use crate::grpc::client::{Client, RecommendAsk, RecommendationList, ReloadAsk};
use crate::telemetry;
use anyhow::Context;
use clap::Args;
use report::Report;
use shop::{MONTH_S, ShopSpec};
use stage::Stage;
use std::io::Write;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::time::Duration;
use traffic::{Phase, Traffic};

/// The end of the generated months, 2026-07-01T00:00:00Z: the same shop on every day.
const SHOP_END_S: i64 = 1_782_864_000;
/// File that marks the folder of a demo.
const MARK: &str = ".hotshelf-demo";
/// The author of the demo's versions and rollouts.
const AUTHOR: &str = "demo";

/// Arguments of `hotshelf demo`.
#[derive(Args)]
pub struct DemoArgs {
    /// Run a canary on three servers; kill one of them
    #[arg(long)]
    fleet: bool,
    /// Exit after the swap; fail if any request failed
    #[arg(long)]
    once: bool,
    /// Print one JSON report instead of text
    #[arg(long)]
    json: bool,
    /// Write files, registry and cache here; emptied first
    #[arg(long, value_name = "DIR", default_value = "hotshelf-demo")]
    dir: PathBuf,
    /// Seed the generated shop
    #[arg(long, value_name = "NUMBER", default_value_t = 42)]
    seed: u64,
    /// Generate this many products
    #[arg(long, value_name = "COUNT", default_value_t = 2_000)]
    products: usize,
    /// Generate this many users
    #[arg(long, value_name = "COUNT", default_value_t = 3_000)]
    users: usize,
    /// Send this many requests per second
    #[arg(long, value_name = "COUNT", default_value_t = 500)]
    rate: u32,
    /// Run each phase this long (with --fleet, each step)
    #[arg(long, value_name = "SECONDS", default_value_t = 5)]
    seconds: u64,
}

/// Runs the demo and writes its story to `out`.
///
/// # Errors
/// A request failed, or a step of the story did.
pub fn run(args: &DemoArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    telemetry::start("auto", "warn")?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .thread_name("hotshelf-control")
        .enable_all()
        .build()?;
    let told = runtime.block_on(tell(args, out));
    runtime.shutdown_background();
    told
}

/// Writes a line of the story, unless only the JSON object is wanted.
macro_rules! say {
    ($story:expr, $($what:tt)*) => {
        if !$story.args.json { writeln!($story.out, $($what)*)?; $story.out.flush()?; }
    };
}

struct Story<'a> {
    args: &'a DemoArgs,
    out: &'a mut dyn Write,
}

async fn tell(args: &DemoArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let spec = ShopSpec {
        seed: args.seed,
        products: args.products,
        users: args.users,
        ..ShopSpec::ending_at(SHOP_END_S)
    };
    clear(&args.dir)?;
    if args.fleet {
        return fleet::tell(args, &spec, out).await;
    }
    let mut story = Story { args, out };
    say!(story, "Generating a shop (seed {}) ...", args.seed);
    let stage = Stage::build(&spec, &args.dir).await?;
    say!(story, "  {}", stage.described());
    say!(story, "  its files: {}", args.dir.join("shop").display());
    say!(story, "Training on all but the last month, publishing ...");
    let first = stage.train_and_publish(spec.end - MONTH_S).await?;
    say!(story, "  {first}");

    let config = config(&args.dir)?;
    let app = App::bind(config).await?;
    let addresses = app.addresses();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let server = tokio::spawn(app.run(async { drop(stopped.await) }));
    say!(
        story,
        "Serving on {} (admin {}, http {})",
        addresses.data,
        addresses.admin,
        addresses.http
    );
    let admin = Client::connect(&addresses.admin.to_string()).await?;
    admin.reload(reload(first.version, "first version")).await?;
    let shopper = stage.who_comes_back();
    let data = Client::connect(&addresses.data.to_string()).await?;
    let before = recommend(&data, &shopper).await?;
    story.show(&stage, &before)?;

    let report = story
        .swap(&stage, (&admin, addresses.data), spec.end)
        .await?;
    let after = recommend(&data, &shopper).await?;
    story.show(&stage, &after)?;
    let told = tour::tour(&data, &stage, &after).await?;
    say!(story, "{told}");
    story.conclude(&report)?;

    if !args.once && !args.json {
        story.stay(addresses, &after).await?;
    }
    drop(stop);
    server.await.context("the server's task")??;
    anyhow::ensure!(
        report.failed == 0,
        "{} of {} requests failed",
        report.failed,
        report.requests
    );
    anyhow::ensure!(report.swaps == 1, "the reload changed nothing");
    Ok(())
}

impl Story<'_> {
    /// Trains on everything before `until_s` and swaps it in, all under traffic.
    async fn swap(
        &mut self,
        stage: &Stage,
        (admin, data): (&Client, SocketAddr),
        until_s: i64,
    ) -> anyhow::Result<Report> {
        say!(
            self,
            "\nTraffic: {} requests/s. Steady first ...",
            self.args.rate
        );
        let traffic = Traffic::start(data, stage.user_ids(), self.args.rate)?;
        let window = Duration::from_secs(self.args.seconds);
        self.watch(&traffic, Phase::Steady, window).await?;
        say!(
            self,
            "Training on all months under this traffic, publishing ..."
        );
        traffic.enter(Phase::Training);
        let version = stage.train_and_publish(until_s).await?;
        say!(self, "  {version}");
        say!(self, "ReloadModel to version {} ...", version.version);
        traffic.enter(Phase::Swap);
        let done = admin
            .reload(reload(version.version, "a month more"))
            .await?;
        for phase in &done.phases {
            say!(self, "  {:9} {:8.1} ms", phase.name, phase.duration_ms);
        }
        self.watch(&traffic, Phase::Swap, Duration::from_secs(1))
            .await?;
        self.watch(&traffic, Phase::After, window).await?;
        Ok(Report::of(&traffic.finish()?, usize::from(done.changed)))
    }

    /// Shows the figures of a phase once a second.
    async fn watch(
        &mut self,
        traffic: &Traffic,
        phase: Phase,
        long: Duration,
    ) -> anyhow::Result<()> {
        traffic.enter(phase);
        let mut left = long;
        while !left.is_zero() {
            let pause = left.min(Duration::from_secs(1));
            tokio::time::sleep(pause).await;
            left -= pause;
            let line = Report::line(phase, &traffic.so_far(phase));
            say!(self, "  {line}");
        }
        Ok(())
    }

    fn show(&mut self, stage: &Stage, list: &RecommendationList) -> anyhow::Result<()> {
        say!(
            self,
            "\n{} ({}), version {}:",
            list.user_id,
            list.user_segment,
            list.version
        );
        say!(self, "{}", tour::lines(stage, list).trim_end());
        Ok(())
    }

    fn conclude(&mut self, report: &Report) -> anyhow::Result<()> {
        if self.args.json {
            writeln!(self.out, "{}", serde_json::to_string(report)?)?;
        } else {
            write!(self.out, "\n{report}")?;
        }
        Ok(())
    }

    async fn stay(
        &mut self,
        at: crate::app::Addresses,
        list: &RecommendationList,
    ) -> anyhow::Result<()> {
        let user = &list.user_id;
        say!(self, "\nThe server stays up until Ctrl-C. Commands to try:");
        say!(self, "  grpcurl -plaintext {} list", at.data);
        say!(
            self,
            "  grpcurl -plaintext -d '{{\"user_id\": \"{user}\", \"n\": 5}}' {} \
             hotshelf.v1.RecommendationService/Recommend",
            at.data
        );
        if let Some(item) = list.items.first() {
            say!(
                self,
                "  grpcurl -plaintext -d '{{\"product_id\": \"{}\", \"n\": 5}}' {} \
                 hotshelf.v1.RecommendationService/SimilarProducts",
                item.product_id,
                at.data
            );
        }
        say!(
            self,
            "  grpcurl -plaintext {} hotshelf.v1.ModelService/GetModelStatus",
            at.admin
        );
        say!(
            self,
            "  grpcurl -plaintext -d '{{\"version\": 1}}' {} hotshelf.v1.ModelService/ReloadModel",
            at.admin
        );
        say!(self, "  curl http://{}/metrics", at.http);
        tokio::signal::ctrl_c().await?;
        Ok(())
    }
}

async fn recommend(data: &Client, user: &str) -> anyhow::Result<RecommendationList> {
    let ask = RecommendAsk {
        user_id: user.to_owned(),
        n: Some(5),
        ..RecommendAsk::default()
    };
    Ok(data.recommend(ask).await?)
}

fn reload(version: u64, reason: &str) -> ReloadAsk {
    ReloadAsk {
        version: Some(version),
        author: AUTHOR.to_owned(),
        reason: reason.to_owned(),
        timeout: Duration::from_secs(60),
        ..ReloadAsk::default()
    }
}

/// Removes the files of an earlier demo, which left a mark in the folder.
fn clear(dir: &Path) -> anyhow::Result<()> {
    let mark = dir.join(MARK);
    for name in ["shop", "registry", "cache", "logs"] {
        let folder = dir.join(name);
        if !folder.try_exists()? {
            continue;
        }
        let is_ours = mark.try_exists()?;
        anyhow::ensure!(
            is_ours,
            "{} was not created by a demo; choose another --dir",
            folder.display()
        );
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
    }
    std::fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
    std::fs::write(
        &mark,
        "This folder was made by `hotshelf demo`, which empties it.\n",
    )
    .with_context(|| mark.display().to_string())
}

/// The default settings, with this folder, no drain delay, and free ports if the default ones are taken.
fn config(dir: &Path) -> anyhow::Result<Config> {
    let dir = std::path::absolute(dir)?;
    let mut layers = Layers::default();
    let mut set = |key: &str, value: String| drop(layers.flags.insert(key.to_owned(), value));
    set(
        "registry",
        format!("file://{}", dir.join("registry").display()),
    );
    set("cache_dir", dir.join("cache").display().to_string());
    set("drain_delay_ms", "0".to_owned());
    for (key, port) in [
        ("data_addr", 50051),
        ("admin_addr", 50052),
        ("http_addr", 9464),
    ] {
        let usual = SocketAddr::from(([127, 0, 0, 1], port));
        if TcpListener::bind(usual).is_err() {
            set(key, "127.0.0.1:0".to_owned());
        }
    }
    Ok(Config::build(&layers)?)
}

#[cfg(test)]
mod tests {
    use super::clear;

    #[test]
    fn folder_that_no_demo_made_is_never_emptied() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("registry")).unwrap();
        let refused = clear(folder.path()).unwrap_err().to_string();
        assert!(refused.contains("was not created by a demo"), "{refused}");
        assert!(folder.path().join("registry").exists());
    }

    #[test]
    fn folder_of_an_earlier_demo_is_emptied() {
        let folder = tempfile::tempdir().unwrap();
        clear(folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("registry")).unwrap();
        clear(folder.path()).unwrap();
        assert!(!folder.path().join("registry").exists());
    }
}
