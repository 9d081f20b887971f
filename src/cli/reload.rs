//! `hotshelf reload`.

use super::proposing::{self, Proposing};
use super::{block_on, write_json};
use crate::grpc::client::{Client, ReloadAsk, Reloaded};
use clap::Args;
use hotshelf_terminal::text::one_line;
use std::io::Write;

/// Arguments of `hotshelf reload`.
#[derive(Args)]
pub(super) struct ReloadArgs {
    /// Version to make live [default: the newest]
    version: Option<u64>,
    /// Record who asked
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    author: String,
    /// Record why
    #[arg(
        long,
        value_name = "TEXT",
        default_value = "",
        hide_default_value = true
    )]
    reason: String,
    #[command(flatten)]
    proposing: Proposing,
}

/// Runs `hotshelf reload`.
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
    let address = &proposing.address;
    let done = block_on(address.call(async |client: &Client| client.reload(ask).await))?;
    if proposing.output.json {
        write_json(out, &done)?;
    } else {
        write_text(out, &done)?;
    }
    let is_done = done.changed || done.state == "live";
    anyhow::ensure!(is_done, "timed out; loading continues in the background");
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
        (false, "live") => format!("already served version {}", done.version),
        (false, state) => format!("has not finished: version {} is {state}", done.version),
    };
    let line = format!("{} {what}, rollout {rollout}", done.model);
    writeln!(out, "{}", one_line(line))?;
    proposing::write_text(out, &done.phases, done.quorum.as_ref())
}
