//! `hotshelf reload`.

use super::quorum::{self, Wait};
use super::{AdminAddress, Output, block_on, table, write_json};
use crate::grpc::client::{Client, ReloadAsk, Reloaded};
use clap::Args;
use std::io::Write;
use std::time::Duration;

/// Arguments of `hotshelf reload`.
#[derive(Args)]
pub(super) struct ReloadArgs {
    /// Version to make live [default: the newest one]
    version: Option<u64>,
    #[command(flatten)]
    address: AdminAddress,
    /// Model [default: the server's]
    #[arg(long, default_value = "", hide_default_value = true)]
    model: String,
    /// Number of the rollout you believe to be the newest; 0 = none yet
    #[arg(long)]
    expected_rollout: Option<u64>,
    /// Who asks
    #[arg(long, default_value = "")]
    author: String,
    /// Why
    #[arg(long, default_value = "")]
    reason: String,
    /// Longest wait, in seconds; the load goes on after it
    #[arg(long, default_value_t = 600)]
    timeout_s: u64,
    #[command(flatten)]
    wait: Wait,
    #[command(flatten)]
    output: Output,
}

/// Asks for the reload and writes what it did.
pub(super) fn run(args: ReloadArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    let ask = ReloadAsk {
        model: args.model,
        version: args.version,
        expected_rollout: args.expected_rollout,
        author: args.author,
        reason: args.reason,
        quorum: args.wait.ask(),
        timeout: Duration::from_secs(args.timeout_s),
    };
    let done = block_on(async {
        Ok(Client::connect(&args.address.admin)
            .await?
            .reload(ask)
            .await?)
    })?;
    if args.output.json {
        write_json(out, &done)?;
    } else {
        write_text(out, &done)?;
    }
    let is_done = done.changed || done.state == "live";
    anyhow::ensure!(
        is_done,
        "the time was over first; the load goes on, ask again"
    );
    quorum::ensure_met(done.quorum.as_ref())
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
    let phases = done.phases.iter();
    let rows: Vec<Vec<String>> = phases
        .map(|phase| {
            vec![
                format!("  {}", phase.name),
                format!("{:.1} ms", phase.duration_ms),
            ]
        })
        .collect();
    table::write(out, &rows)?;
    if let Some(quorum) = &done.quorum {
        quorum::write_text(out, quorum)?;
    }
    Ok(())
}
