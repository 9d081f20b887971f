//! `hotshelf rollout …`: changes through a running server, and the history from the registry.

mod change;
mod history;
mod steps;

pub(super) use history::{WhoWasLiveArgs, arms_text, who_was_live};

use super::status::{self, RolloutStatusArgs};
use clap::Subcommand;
use std::io::Write;

/// Subcommands of `hotshelf rollout`.
#[derive(Subcommand)]
pub(super) enum RolloutCommand {
    /// Start a canary of a version, or a test of several
    Start(change::StartArgs),
    /// Replace the candidate's share or steps
    Set(change::SetArgs),
    /// Pause the candidate at its share
    Pause(change::Signed),
    /// Resume a paused candidate
    Resume(change::Signed),
    /// Give the candidate, or an arm, all traffic
    Promote(change::PromoteArgs),
    /// End the candidate or test; the base gets all traffic
    Abort(change::Signed),
    /// Return all traffic to the previous version
    Rollback(change::Signed),
    /// Show the newest rollout on every replica (status --fleet)
    Status(RolloutStatusArgs),
    /// List rollouts, newest first
    History(history::HistoryArgs),
}

/// Runs `hotshelf rollout …`.
pub(super) fn run(command: RolloutCommand, out: &mut dyn Write) -> anyhow::Result<()> {
    use crate::grpc::client::ChangeAsk;
    match command {
        RolloutCommand::Start(args) => change::start(args, out),
        RolloutCommand::Set(args) => change::set(args, out),
        RolloutCommand::Pause(signed) => change::run(signed, ChangeAsk::Pause, out),
        RolloutCommand::Resume(signed) => change::run(signed, ChangeAsk::Resume, out),
        RolloutCommand::Promote(args) => change::promote(args, out),
        RolloutCommand::Abort(signed) => change::run(signed, ChangeAsk::Abort, out),
        RolloutCommand::Rollback(signed) => change::run(signed, ChangeAsk::Rollback, out),
        RolloutCommand::Status(args) => status::rollout(&args, out),
        RolloutCommand::History(args) => history::run(&args, out),
    }
}
