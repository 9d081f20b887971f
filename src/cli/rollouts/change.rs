//! `hotshelf rollout start|set|pause|resume|promote|abort|rollback`: each proposes one change.

use super::steps;
use crate::cli::proposing::{self, Proposing};
use crate::cli::{block_on, write_json};
use crate::grpc::client::{ArmInfo, ChangeAsk, Client, RolloutAsk, RolloutDone, StepInfo};
use clap::{ArgGroup, Args};
use hotshelf_terminal::text::one_line;
use std::io::Write;

/// A change and its author.
#[derive(Args)]
pub(in crate::cli) struct Signed {
    /// Record who asked
    #[arg(long, value_name = "NAME")]
    author: String,
    /// Record why
    #[arg(long, value_name = "TEXT")]
    reason: String,
    #[command(flatten)]
    proposing: Proposing,
}

/// A candidate's share, now or over time.
#[derive(Args)]
#[group(required = false, multiple = false)]
struct Growth {
    /// Hold this share until the next change, such as 1%
    #[arg(long, value_name = "PERCENT", value_parser = steps::share)]
    share: Option<u32>,
    /// Ramp up by these steps, such as 1%:10m,5%:30m,25%:2h,100%
    #[arg(long, value_name = "PERCENT:DURATION,...", value_parser = steps::step, value_delimiter = ',')]
    steps: Vec<StepInfo>,
}

/// Arguments of `hotshelf rollout start`.
#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).args(["version", "arm"])))]
pub(in crate::cli) struct StartArgs {
    /// Candidate version, with --share or --steps
    version: Option<u64>,
    #[command(flatten)]
    growth: Growth,
    /// Instead: add an arm with a fixed share (2 to 8 times)
    #[arg(long, value_name = "NAME=VERSION:PERCENT", value_parser = steps::arm, conflicts_with_all = ["share", "steps"])]
    arm: Vec<ArmInfo>,
    #[command(flatten)]
    signed: Signed,
}

/// Arguments of `hotshelf rollout set`.
#[derive(Args)]
pub(in crate::cli) struct SetArgs {
    #[command(flatten)]
    growth: Growth,
    #[command(flatten)]
    signed: Signed,
}

/// Arguments of `hotshelf rollout promote`.
#[derive(Args)]
pub(in crate::cli) struct PromoteArgs {
    /// Promote this arm of a test [default: the candidate]
    #[arg(long, value_name = "NAME")]
    arm: Option<String>,
    #[command(flatten)]
    signed: Signed,
}

impl Growth {
    fn steps(self) -> anyhow::Result<Vec<StepInfo>> {
        let held = |share_bp| StepInfo {
            share_bp,
            hold_s: 0,
        };
        let steps = match self.share {
            Some(share_bp) => vec![held(share_bp)],
            None => self.steps,
        };
        anyhow::ensure!(!steps.is_empty(), "give --share or --steps");
        Ok(steps)
    }
}

/// Runs `hotshelf rollout start`.
pub(super) fn start(args: StartArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let change = match args.version {
        Some(version) => ChangeAsk::Start {
            version,
            steps: args.growth.steps()?,
        },
        None => ChangeAsk::Test(args.arm),
    };
    run(args.signed, change, out)
}

/// Runs `hotshelf rollout set`.
pub(super) fn set(args: SetArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    run(args.signed, ChangeAsk::Set(args.growth.steps()?), out)
}

/// Runs `hotshelf rollout promote`.
pub(super) fn promote(args: PromoteArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    run(args.signed, ChangeAsk::Promote(args.arm), out)
}

/// Proposes the change and writes its outcome.
pub(super) fn run(signed: Signed, change: ChangeAsk, out: &mut dyn Write) -> anyhow::Result<()> {
    let proposing = signed.proposing;
    let ask = RolloutAsk {
        change,
        expected_rollout: proposing.expected_rollout,
        author: signed.author,
        reason: signed.reason,
        quorum: proposing.wait,
        timeout: proposing.timeout(),
        model: proposing.model,
    };
    let address = &proposing.address;
    let done = block_on(address.call(async |client: &Client| client.propose(ask).await))?;
    if proposing.output.json {
        write_json(out, &done)?;
    } else {
        write_text(out, &done)?;
    }
    anyhow::ensure!(
        done.done,
        "timed out; the change continues in the background: look with hotshelf status"
    );
    proposing::ensure_met(done.quorum.as_ref())
}

fn write_text(out: &mut dyn Write, done: &RolloutDone) -> anyhow::Result<()> {
    let verb = match (done.done, done.changed) {
        (true, true) => "now serves",
        (true, false) => "serves already",
        (false, _) => "still serves",
    };
    let line = match &done.rollout {
        Some(rollout) => format!("{} {verb} {rollout}", done.model),
        None => format!("{} serves nothing yet", done.model),
    };
    writeln!(out, "{}", one_line(line))?;
    proposing::write_text(out, &done.phases, done.quorum.as_ref())
}
