//! `hotshelf status`.

use super::fleet::Look;
use super::{AdminAddress, Output, block_on, write_json};
use crate::grpc::client::{Client, RolloutInfo, StatusInfo};
use clap::Args;
use hotshelf_terminal::quantity;
use hotshelf_terminal::table::{Column, TextTable};
use std::io::Write;
use std::time::Duration;

/// Whom to ask about what.
#[derive(Args)]
struct Asked {
    #[command(flatten)]
    address: AdminAddress,
    /// Model [default: the server's]
    #[arg(long, default_value = "", hide_default_value = true)]
    model: String,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `hotshelf rollout status`.
#[derive(Args)]
pub(super) struct RolloutStatusArgs {
    #[command(flatten)]
    look: Asked,
    /// Show it again every so many seconds, until interrupted [default: 2]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    watch: Option<u64>,
}

/// Arguments of `hotshelf status`.
#[derive(Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    look: Asked,
    /// Show every server that follows the same registry, and what holds it back
    #[arg(long)]
    fleet: bool,
    /// Show it again every so many seconds, until interrupted [default: 2]
    #[arg(long, value_name = "SECONDS", requires = "fleet", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    watch: Option<u64>,
}

/// Asks and writes.
pub(super) fn run(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.fleet {
        return fleet(&args.look, args.watch, out);
    }
    let args = &args.look;
    let status = block_on(async {
        Ok(Client::connect(&args.address.admin)
            .await?
            .status(&args.model)
            .await?)
    })?;
    if args.output.json {
        write_json(out, &status)
    } else {
        write_text(out, &status)
    }
}

/// Runs `hotshelf rollout status`: how far the desired rollout has come.
pub(super) fn rollout(args: &RolloutStatusArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    fleet(&args.look, args.watch, out)
}

fn fleet(asked: &Asked, watch: Option<u64>, out: &mut dyn Write) -> anyhow::Result<()> {
    let look = Look {
        admin: &asked.address.admin,
        model: &asked.model,
        is_json: asked.output.json,
        every: watch.map(Duration::from_secs),
    };
    look.run(out)
}

pub(super) fn in_words(rollout: Option<&RolloutInfo>) -> String {
    rollout.map_or_else(|| "none".to_owned(), RolloutInfo::to_string)
}

fn write_text(out: &mut dyn Write, status: &StatusInfo) -> anyhow::Result<()> {
    writeln!(out, "model    {}", status.model)?;
    writeln!(out, "live     {}", in_words(status.live.as_ref()))?;
    writeln!(out, "desired  {}", in_words(status.desired.as_ref()))?;
    if !status.degraded.is_empty() {
        writeln!(out, "degraded {}", status.degraded)?;
    }
    if status.registry_writing != "proven" {
        writeln!(out, "recording rollouts: {}", status.registry_writing)?;
    }
    if !status.silent.is_empty() {
        writeln!(out, "silent   {}", status.silent)?;
    }
    for breach in &status.guardrail_breaches {
        writeln!(out, "breached {breach}")?;
    }
    if !status.registry_error.is_empty() {
        writeln!(out, "registry {}", status.registry_error)?;
    }
    for skipped in &status.skipped_rollouts {
        writeln!(out, "skipped  {skipped}")?;
    }
    let mut table = TextTable::new([
        Column::Right("version"),
        Column::Left("state"),
        Column::Right("memory"),
        Column::Text("note"),
    ]);
    for version in &status.versions {
        let failure = version
            .failure
            .as_ref()
            .map(|f| format!("{}: {}", f.kind, f.message));
        let said = [&version.degraded, &version.mended].map(String::as_str);
        let said: Vec<_> = said.into_iter().filter(|said| !said.is_empty()).collect();
        let note = failure.unwrap_or_else(|| said.join("; "));
        table.row([
            version.version.to_string(),
            version.state.clone(),
            quantity::bytes(version.resident_bytes),
            note,
        ]);
    }
    write!(out, "{}", table.render(0))?;
    Ok(())
}
