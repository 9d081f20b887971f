//! `hotshelf status`.

use super::address::AdminAddress;
use super::fleet::Look;
use super::{Output, block_on, rollout_text, write_json};
use crate::grpc::client::{Client, EventsInfo, StatusInfo};
use clap::Args;
use hotshelf_terminal::quantity;
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
use std::io::Write;
use std::time::Duration;

/// Which model of which server.
#[derive(Args)]
struct Shown {
    #[command(flatten)]
    address: AdminAddress,
    /// Show this model [default: the server's first]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    model: String,
    #[command(flatten)]
    output: Output,
}

/// Arguments of `hotshelf rollout status`.
#[derive(Args)]
pub(super) struct RolloutStatusArgs {
    #[command(flatten)]
    shown: Shown,
    /// Repeat every SECONDS until interrupted [default: 2]
    #[arg(long, value_name = "SECONDS", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    watch: Option<u64>,
}

/// Arguments of `hotshelf status`.
#[derive(Args)]
pub(super) struct StatusArgs {
    #[command(flatten)]
    shown: Shown,
    /// Show every replica of the registry, and its problems
    #[arg(long)]
    fleet: bool,
    /// Repeat every SECONDS until interrupted [default: 2]
    #[arg(long, value_name = "SECONDS", requires = "fleet", num_args = 0..=1, default_missing_value = "2",
        value_parser = clap::value_parser!(u64).range(1..=3_600))]
    watch: Option<u64>,
}

/// Runs `hotshelf status`.
pub(super) fn run(args: &StatusArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    if args.fleet {
        return fleet(&args.shown, args.watch, out);
    }
    let args = &args.shown;
    let model = &args.model;
    let status = block_on(
        args.address
            .call(async |client: &Client| client.status(model).await),
    )?;
    if args.output.json {
        write_json(out, &status)
    } else {
        write_text(out, &status)
    }
}

/// Runs `hotshelf rollout status`: the desired rollout on every replica.
pub(super) fn rollout(args: &RolloutStatusArgs, out: &mut dyn Write) -> anyhow::Result<()> {
    fleet(&args.shown, args.watch, out)
}

fn fleet(shown: &Shown, watch: Option<u64>, out: &mut dyn Write) -> anyhow::Result<()> {
    let look = Look {
        address: &shown.address,
        model: &shown.model,
        is_json: shown.output.json,
        every: watch.map(Duration::from_secs),
    };
    look.run(out)
}

/// Events on one line.
fn events_text(events: &EventsInfo) -> String {
    let held = quantity::bytes(events.held_bytes);
    let uploaded = events.uploaded_at.as_deref().unwrap_or("none yet");
    let failing = match events.upload_error.as_str() {
        "" => String::new(),
        why => format!("; failing: {why}"),
    };
    format!(
        "to {}; {held} not uploaded; last upload {uploaded}{failing}",
        events.url
    )
}

/// Recents on one line.
fn recents_text(events: &EventsInfo) -> String {
    events.recents_people.map_or_else(
        || "off".to_owned(),
        |people| format!("{people} people, in the memory of this server alone"),
    )
}

fn write_text(out: &mut dyn Write, status: &StatusInfo) -> anyhow::Result<()> {
    writeln!(out, "model    {}", one_line(&status.model))?;
    writeln!(out, "live     {}", rollout_text(status.live.as_ref()))?;
    writeln!(out, "desired  {}", rollout_text(status.desired.as_ref()))?;
    let mut line = |name: &str, text: &str| match text {
        "" => Ok(()),
        text => writeln!(out, "{name:8} {}", one_line(text)),
    };
    line("degraded", &status.degraded)?;
    if status.registry_writing != "proven" {
        line("write access", &status.registry_writing)?;
    }
    line("not reporting", &status.silent)?;
    for breach in &status.guardrail_breaches {
        line("breached", breach)?;
    }
    line("registry", &status.registry_error)?;
    for skipped in &status.skipped_rollouts {
        line("skipped", skipped)?;
    }
    if let Some(events) = &status.events {
        line("events", &events_text(events))?;
        line("recents", &recents_text(events))?;
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
