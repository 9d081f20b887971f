//! The command line of `hotshelf-offline`.
//!
//! A command reads its arguments, does its work and returns its whole report as one text; nothing
//! else is written to standard output, so `--json` is one JSON value. Bars go to standard error.

mod evaluate;
mod publish;
mod registry_args;
mod report;
mod shop_args;
mod train;

use clap::{Parser, Subcommand};

use crate::error::Error;

/// Turns a shop's files into trained, evaluated and published models.
#[derive(Debug, Parser)]
#[command(name = "hotshelf-offline", version, about)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Fit on the past, evaluate on the rest, fit on everything, and keep or publish the model
    Train(train::TrainArgs),
    /// Evaluate parameters, or a packed model, on a shop's held-out events
    Evaluate(evaluate::EvaluateArgs),
    /// Publish a packed model to a registry
    Publish(publish::PublishArgs),
}

impl Cli {
    /// Runs the command and returns what it has to say on standard output.
    ///
    /// # Errors
    /// Whatever the command meets; [`Error::exit_code`] says how the process should end.
    pub fn run(&self) -> Result<String, Error> {
        match &self.command {
            Command::Train(args) => args.run(),
            Command::Evaluate(args) => args.run(),
            Command::Publish(args) => args.run(),
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
