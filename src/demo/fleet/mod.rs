//! `hotshelf demo --fleet`: three servers of one registry as processes of their own, and a canary over all
//! of them under traffic. One is killed in the middle and comes back.
//!
//! ```text
//! generate a shop ─▶ v1 ─▶ three servers, reload to v1 ─▶ traffic ─▶ v2
//!   ─▶ start: three steps ─▶ kill one: lost ─▶ start it again ─▶ promote ─▶ rollback ─▶ figures
//! ```
//!
//! Only the first server is called; the others follow the registry's record.

mod replica;
mod report;
mod screen;
mod traffic;

use super::shop::{MONTH_S, ShopSpec};
use super::stage::Stage;
use super::{AUTHOR, DemoArgs, reload};
use crate::grpc::client::{ChangeAsk, RolloutAsk, StepInfo};
use replica::Replica;
use report::{Report, Seconds};
use screen::Screen;
use std::io::Write;
use std::path::Path;
use std::time::Duration;
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;
use traffic::Traffic;

/// The servers; the first one is called for every change, the last one is killed.
const NAMES: [&str; 3] = ["one", "two", "three"];
const KILLED: usize = 2;
/// Shares of the candidate, in basis points; it stays at the last one.
const STEPS_BP: [u32; 3] = [500, 2_500, 5_000];
/// Longest wait for anything (chosen: ten times what the slowest takes).
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the servers.
const LOOK: Duration = Duration::from_millis(50);

/// Runs the demo and ends every server, also when interrupted.
///
/// # Errors
/// A request failed, a step did, or SIGINT or SIGTERM came.
pub(super) async fn tell(
    args: &DemoArgs,
    spec: &ShopSpec,
    out: &mut dyn Write,
) -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    // What is dropped here drops its servers, which ends them.
    tokio::select! {
        told = Box::pin(story(args, spec, out)) => told,
        _ = terminate.recv() => anyhow::bail!("ended by a signal; its servers were stopped"),
        _ = interrupt.recv() => anyhow::bail!("interrupted; its servers were stopped"),
    }
}

async fn story(args: &DemoArgs, spec: &ShopSpec, out: &mut dyn Write) -> anyhow::Result<()> {
    let mut screen = Screen::new(&mut *out, args.json);
    screen.say(&format!("Generating a shop (seed {}) ...", args.seed))?;
    let stage = Stage::build(spec, &args.dir).await?;
    screen.say(&format!("  {}", stage.described()))?;
    screen.say("Training on all but the last month, publishing ...")?;
    let first = stage.train_and_publish(spec.end - MONTH_S).await?;
    screen.say(&format!("  {first}"))?;
    std::fs::create_dir_all(args.dir.join("logs"))?;
    let mut replicas = Vec::new();
    for name in NAMES {
        let replica = Replica::start(name, &args.dir).await?;
        let (data, process) = (replica.data, replica.id());
        screen.say(&format!("Server {name:5} on {data}, process {process}"))?;
        replicas.push(replica);
    }
    let ask = reload(first.version, "first version");
    replicas[0].admin.reload(ask).await?;
    for replica in &replicas {
        replica.until_live().await?;
    }
    let mut fleet = Fleet::start(replicas, &stage, (screen, args)).await?;
    fleet.say("Training on all months under this traffic, publishing ...")?;
    let second = stage.train_and_publish(spec.end).await?;
    fleet.say(&format!("  {second}"))?;

    let mut seconds = Seconds::default();
    fleet.canary(second.version, &mut seconds).await?;
    fleet.lose_one(&args.dir, &mut seconds).await?;
    fleet.settle(&mut seconds).await?;
    let report = fleet.end(&seconds).await?;
    if args.json {
        writeln!(out, "{}", serde_json::to_string(&report)?)?;
    } else {
        write!(out, "\n{report}")?;
    }
    report.ensure_good(NAMES[KILLED])
}

/// What to wait for.
#[derive(Clone, Copy, Debug)]
enum Goal {
    /// Every running server serves this rollout or a newer one.
    Rollout(u64),
    /// Every running server's first arm has at least this share, in basis points.
    Share(u32),
    /// The first server shows the one that is killed so.
    Shown(&'static str),
}

/// The servers under traffic, and the screen.
struct Fleet<'a> {
    replicas: Vec<Replica>,
    traffic: Traffic,
    screen: Screen<'a>,
    /// Duration of every step.
    hold: Duration,
}

impl<'a> Fleet<'a> {
    async fn start(
        replicas: Vec<Replica>,
        stage: &Stage,
        (mut screen, args): (Screen<'a>, &DemoArgs),
    ) -> anyhow::Result<Self> {
        screen.say(&format!(
            "Traffic: {} requests/s to all servers, round robin",
            args.rate
        ))?;
        let mut clients = Vec::new();
        for replica in &replicas {
            clients.push(replica.caller().await?);
        }
        Ok(Self {
            replicas,
            traffic: Traffic::start(clients, stage.user_ids(), args.rate),
            screen,
            hold: Duration::from_secs(args.seconds.max(1)),
        })
    }

    /// Starts the candidate and follows its ramp.
    async fn canary(&mut self, version: u64, seconds: &mut Seconds) -> anyhow::Result<()> {
        let held = self.hold.as_secs();
        let last = STEPS_BP.len() - 1;
        let step = |(at, share_bp): (usize, &u32)| StepInfo {
            share_bp: *share_bp,
            hold_s: if at == last { 0 } else { held },
        };
        let steps: Vec<StepInfo> = STEPS_BP.iter().enumerate().map(step).collect();
        self.say(&format!(
            "\nhotshelf rollout start {version} --steps 5%:{held}s,25%:{held}s,50%"
        ))?;
        let ask = ChangeAsk::Start { version, steps };
        seconds.start = self.change(ask, "a month more").await?;
        for share_bp in STEPS_BP {
            self.reach(Goal::Share(share_bp)).await?;
            let percent = share_bp / 100;
            self.say(&format!("version {version} at {percent} % on all three"))?;
        }
        self.watch(self.hold).await
    }

    /// Kills one server under traffic, waits until the others see it as lost, and restarts it.
    async fn lose_one(&mut self, dir: &Path, seconds: &mut Seconds) -> anyhow::Result<()> {
        let name = NAMES[KILLED];
        self.say(&format!("\nkill -9 {name}"))?;
        self.replicas.remove(KILLED).kill()?;
        seconds.lost = self.reach(Goal::Shown("lost")).await?;
        self.say(&format!("{name} is lost"))?;
        self.watch(self.hold / 2).await?;
        let began = Instant::now();
        let replica = Replica::start(name, dir).await?;
        let caller = replica.caller().await?;
        self.replicas.push(replica);
        let newest = self.replicas[0].live().await?.map_or(0, |live| live.number);
        self.reach(Goal::Rollout(newest)).await?;
        seconds.back = began.elapsed().as_secs_f64();
        self.traffic.seat(KILLED, caller);
        self.reach(Goal::Shown("serving")).await?;
        self.say(&format!("{name} was restarted and serves"))?;
        self.watch(self.hold / 2).await
    }

    /// Promotes the candidate, and rolls it back.
    async fn settle(&mut self, seconds: &mut Seconds) -> anyhow::Result<()> {
        self.say("\nhotshelf rollout promote")?;
        seconds.promote = self.change(ChangeAsk::Promote(None), "it is good").await?;
        self.say(&format!("all servers followed in {:.1} s", seconds.promote))?;
        self.watch(self.hold / 2).await?;
        self.say("\nhotshelf rollout rollback")?;
        seconds.rollback = self.change(ChangeAsk::Rollback, "it is not").await?;
        self.say(&format!(
            "all servers followed in {:.1} s",
            seconds.rollback
        ))?;
        self.watch(self.hold / 2).await
    }

    /// Stops the traffic, then the servers.
    async fn end(self, seconds: &Seconds) -> anyhow::Result<Report> {
        let count = self.traffic.finish().await;
        for replica in self.replicas {
            replica.stop().await?;
        }
        Ok(Report::of(&NAMES, count, seconds))
    }

    /// Proposes a change to the first server; returns the seconds until all servers followed.
    async fn change(&mut self, change: ChangeAsk, reason: &str) -> anyhow::Result<f64> {
        let began = Instant::now();
        let ask = RolloutAsk {
            model: String::new(),
            change,
            expected_rollout: None,
            author: AUTHOR.to_owned(),
            reason: reason.to_owned(),
            quorum: None,
            timeout: PATIENCE,
        };
        let done = self.replicas[0].admin.propose(ask).await?;
        let number = done.rollout.map_or(0, |rollout| rollout.number);
        self.reach(Goal::Rollout(number)).await?;
        Ok(began.elapsed().as_secs_f64())
    }

    /// Shows the fleet for this long.
    async fn watch(&mut self, long: Duration) -> anyhow::Result<()> {
        let end = Instant::now() + long;
        while Instant::now() < end {
            self.show().await?;
            tokio::time::sleep(LOOK).await;
        }
        Ok(())
    }

    /// Shows the fleet until the goal is reached; returns the seconds that it took.
    async fn reach(&mut self, goal: Goal) -> anyhow::Result<f64> {
        let began = Instant::now();
        while !self.is_reached(goal).await? {
            self.show().await?;
            anyhow::ensure!(began.elapsed() < PATIENCE, "timed out waiting for {goal:?}");
            tokio::time::sleep(LOOK).await;
        }
        Ok(began.elapsed().as_secs_f64())
    }

    async fn is_reached(&self, goal: Goal) -> anyhow::Result<bool> {
        if let Goal::Shown(standing) = goal {
            let fleet = self.replicas[0].admin.fleet("").await?;
            let mut replicas = fleet.replicas.iter();
            return Ok(
                replicas.any(|seen| seen.replica == NAMES[KILLED] && seen.standing == standing)
            );
        }
        for replica in &self.replicas {
            let is_there = replica.live().await?.is_some_and(|live| match goal {
                Goal::Rollout(number) => live.number >= number,
                Goal::Share(share_bp) => live.arms[0].share_bp >= share_bp,
                Goal::Shown(_) => false,
            });
            if !is_there {
                return Ok(false);
            }
        }
        Ok(true)
    }

    async fn show(&mut self) -> anyhow::Result<()> {
        let fleet = self.replicas[0].admin.fleet("").await?;
        let count = self.traffic.count();
        Ok(self.screen.show(&NAMES, (&fleet, &count))?)
    }

    fn say(&mut self, line: &str) -> std::io::Result<()> {
        self.screen.say(line)
    }
}
