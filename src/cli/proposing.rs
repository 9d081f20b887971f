//! What `hotshelf reload` and the changes of `hotshelf rollout` have in common: whom they ask over what, how
//! long, whom they wait for, and how they tell what came of it.

use super::{AdminAddress, Output};
use crate::grpc::client::{PhaseInfo, QuorumAsk, QuorumInfo};
use clap::Args;
use hotshelf_terminal::table::{Column, TextTable};
use hotshelf_terminal::text::one_line;
use std::io::Write;
use std::time::Duration;

/// Flags of a command that proposes a rollout.
#[derive(Args)]
pub(super) struct Proposing {
    #[command(flatten)]
    pub(super) address: AdminAddress,
    /// Model [default: the server's]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(super) model: String,
    /// Number of the rollout you believe to be the newest; 0 = none yet
    #[arg(long)]
    pub(super) expected_rollout: Option<u64>,
    /// Longest wait, in seconds; what was begun goes on after it
    #[arg(long, default_value_t = 600)]
    timeout_s: u64,
    /// How many replicas have to serve it first, the one that is asked included; or "all" that have told of
    /// themselves and are neither lost nor stopped
    #[arg(long, value_name = "N|all", value_parser = quorum)]
    pub(super) wait: Option<QuorumAsk>,
    #[command(flatten)]
    pub(super) output: Output,
}

impl Proposing {
    pub(super) fn timeout(&self) -> Duration {
        Duration::from_secs(self.timeout_s)
    }
}

fn quorum(text: &str) -> Result<QuorumAsk, String> {
    if text == "all" {
        return Ok(QuorumAsk::All);
    }
    let count = text.parse().ok().filter(|count| *count > 0);
    count
        .map(QuorumAsk::Replicas)
        .ok_or_else(|| format!("{text:?} is neither a number from 1 nor \"all\""))
}

/// Says what was done, and how far it has come where that was asked for.
pub(super) fn write_text(
    out: &mut dyn Write,
    phases: &[PhaseInfo],
    quorum: Option<&QuorumInfo>,
) -> anyhow::Result<()> {
    let mut table = TextTable::new([Column::Left(""), Column::Right("")]);
    for phase in phases {
        table.row([phase.name.clone(), format!("{:.1} ms", phase.duration_ms)]);
    }
    write!(out, "{}", table.render(2))?;
    let Some(quorum) = quorum else {
        return Ok(());
    };
    writeln!(out, "served by {}", one_line(quorum.serving.join(", ")))?;
    if !quorum.replicas_error.is_empty() {
        writeln!(
            out,
            "others cannot be seen: {}",
            one_line(&quorum.replicas_error)
        )?;
    }
    let mut table = TextTable::new([Column::Left(""), Column::Left(""), Column::Text("")]);
    for replica in &quorum.missing {
        let name = format!("not {}", replica.replica);
        table.row([name, replica.standing.clone(), replica.held_back_by.clone()]);
    }
    write!(out, "{}", table.render(2))?;
    Ok(())
}

/// Fails the command where the time was over first.
pub(super) fn ensure_met(quorum: Option<&QuorumInfo>) -> anyhow::Result<()> {
    let is_met = quorum.is_none_or(|quorum| quorum.met);
    anyhow::ensure!(
        is_met,
        "the time was over before all who were waited for served it; they go on, look with status --fleet"
    );
    Ok(())
}
