//! `hotshelf reload`.

use super::proposing::{self, Proposing};
use super::{block_on, write_json};
use crate::grpc::client::{Client, ReloadAsk, Reloaded};
use clap::Args;
use std::io::Write;

/// Arguments of `hotshelf reload`.
#[derive(Args)]
pub(super) struct ReloadArgs {
    /// Version to make live [default: the newest one]
    version: Option<u64>,
    /// Who asks
    #[arg(long, default_value = "")]
    author: String,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    proposing: Proposing,
}

/// Asks for the reload and writes what it did.
pub(super) fn run(args: ReloadArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let proposing = args.proposing;
    let ask = ReloadAsk {
        version: args.version,
        expected_rollout: proposing.expected_rollout,
        author: args.author,
        reason: args.reason,
        quorum: proposing.wait,
        timeout: proposing.timeout(),
        model: proposing.model,
    };
    let done = block_on(async {
        Ok(Client::connect(&proposing.address.admin)
            .await?
            .reload(ask)
            .await?)
    })?;
    if proposing.output.json {
        write_json(out, &done)?;
    } else {
        write_text(out, &done)?;
    }
    let is_done = done.changed || done.state == "live";
    anyhow::ensure!(
        is_done,
        "the time was over first; the load goes on, ask again"
    );
    proposing::ensure_met(done.quorum.as_ref())
}

fn write_text(out: &mut dyn Write, done: &Reloaded) -> anyhow::Result<()> {
    let before = match done.previous_version {
        Some(version) => format!("version {version}"),
        None => "nothing".to_owned(),
    };
    let rollout = done
        .rollout
        .map_or("none".to_owned(), |number| number.to_string());
    let what = match (done.changed, done.state.as_str()) {
        (true, _) => format!("now serves version {} (before: {before})", done.version),
        (false, "live") => format!("served version {} already", done.version),
        (false, state) => format!("is not done: version {} is {state}", done.version),
    };
    writeln!(out, "{} {what}, rollout {rollout}", done.model)?;
    proposing::write_text(out, &done.phases, done.quorum.as_ref())
}
