//! `hotshelf rollout …`: changes through a running server, and the past from the registry itself.

mod change;
mod history;
mod steps;

pub(super) use history::{WhoWasLiveArgs, who_was_live};

use super::status::{self, RolloutStatusArgs};
use clap::Subcommand;
use std::io::Write;

/// Subcommands of `hotshelf rollout`.
#[derive(Subcommand)]
pub(super) enum RolloutCommand {
    /// Put a version before a share of users, or several beside each other
    Start(change::StartArgs),
    /// Let the candidate grow otherwise from now on
    Set(change::SetArgs),
    /// Leave the candidate at the share it has
    Pause(change::Signed),
    /// Let a paused candidate grow on
    Resume(change::Signed),
    /// Give everybody the candidate, or one arm of a test
    Promote(change::PromoteArgs),
    /// Give everybody what they had before the candidate or the test
    Abort(change::Signed),
    /// Give everybody the version that everybody had before; twice is there and back
    Rollback(change::Signed),
    /// Show how far the newest rollout has come on every replica: status --fleet
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
