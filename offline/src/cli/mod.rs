//! The command line of `hotshelf-offline`.
//!
//! A command returns its report as one text and writes nothing else to standard output, so `--json`
//! prints one JSON value. Progress bars go to standard error. A training that the gate refuses has a
//! report, too.

mod evaluate;
mod publish;
mod registry;
mod report;
mod shop_args;
mod train;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Trains, evaluates and publishes models from a shop's files.
#[derive(Debug, Parser)]
#[command(name = "hotshelf-offline", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Evaluate, train and publish a model
    Train(train::TrainArgs),
    /// Evaluate parameters, or a packed model, on held-out events
    Evaluate(evaluate::EvaluateArgs),
    /// Publish a packed model to a registry
    Publish(publish::PublishArgs),
}

impl Cli {
    /// Runs the command.
    ///
    /// # Errors
    /// Any error of the command; [`Error::exit_code`] is the exit code of the process.
    pub fn run(&self) -> Result<CommandOutput, Error> {
        match &self.command {
            Command::Train(args) => args.run(),
            Command::Evaluate(args) => args.run().map(CommandOutput::from),
            Command::Publish(args) => args.run().map(CommandOutput::from),
        }
    }
}

/// What a command prints.
#[derive(Debug)]
pub struct CommandOutput {
    /// The text for standard output.
    pub report: String,
    /// Why the gate refused what was trained; the report shows its numbers.
    pub refusal: Option<Error>,
}

impl From<String> for CommandOutput {
    fn from(report: String) -> Self {
        Self {
            report,
            refusal: None,
        }
    }
}

/// A value as indented JSON, ended by a newline.
fn json(value: &impl serde::Serialize) -> Result<String, Error> {
    let text = serde_json::to_string_pretty(value);
    let text = text.map_err(|error| Error::Write {
        path: "-".into(),
        source: error.into(),
    })?;
    Ok(text + "\n")
}
