//! `--wait`: whom a change has to reach before the command ends.

use super::table;
use crate::grpc::client::{QuorumAsk, QuorumInfo};
use clap::Args;
use std::io::Write;

/// Whom to wait for.
#[derive(Args)]
pub(super) struct Wait {
    /// How many replicas have to serve it first, the one that is asked included; or "all" that have told of
    /// themselves and are neither lost nor stopped
    #[arg(long, value_name = "N|all", value_parser = quorum)]
    wait: Option<QuorumAsk>,
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

impl Wait {
    pub(super) fn ask(&self) -> Option<QuorumAsk> {
        self.wait
    }
}

/// Says how far it has come.
pub(super) fn write_text(out: &mut dyn Write, quorum: &QuorumInfo) -> anyhow::Result<()> {
    writeln!(out, "served by {}", quorum.serving.join(", "))?;
    if !quorum.replicas_error.is_empty() {
        writeln!(out, "others cannot be seen: {}", quorum.replicas_error)?;
    }
    let missing = quorum.missing.iter().map(|replica| {
        let name = format!("  not {}", replica.replica);
        vec![name, replica.standing.clone(), replica.held_back_by.clone()]
    });
    table::write(out, &missing.collect::<Vec<_>>())?;
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
