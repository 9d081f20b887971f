//! What `hotshelf reload` and the changes of `hotshelf rollout` share: the server, the model, the deadline,
//! the replicas to wait for, and the output.

use super::Output;
use super::address::AdminAddress;
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
    /// Change this model [default: the server's first]
    #[arg(
        long,
        value_name = "NAME",
        default_value = "",
        hide_default_value = true
    )]
    pub(super) model: String,
    /// Fail unless this is the newest rollout; 0 is none
    #[arg(long, value_name = "ROLLOUT")]
    pub(super) expected_rollout: Option<u64>,
    /// Stop waiting after this time; the change continues
    #[arg(long, value_name = "SECONDS", default_value_t = 600)]
    timeout_s: u64,
    /// Wait until this many replicas serve it
    #[arg(long, value_name = "COUNT|all", value_parser = quorum)]
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

/// Writes the steps taken, and the replicas that were waited for.
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
            "other replicas cannot be listed: {}",
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

/// Fails the command if it timed out before every replica served the change.
pub(super) fn ensure_met(quorum: Option<&QuorumInfo>) -> anyhow::Result<()> {
    let is_met = quorum.is_none_or(|quorum| quorum.met);
    anyhow::ensure!(
        is_met,
        "timed out before every replica served it; they continue: look with hotshelf status --fleet"
    );
    Ok(())
}
