//! `hotshelf-offline`: runs a command and prints its report or its error.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use hotshelf_offline::Error;
use hotshelf_offline::cli::Cli;
use hotshelf_terminal::text::lines;
use hotshelf_terminal::usage::named;

fn main() -> ExitCode {
    let cli = Cli::try_parse().unwrap_or_else(|error| named(error).exit());
    let output = match cli.run() {
        Ok(output) => output,
        Err(error) => return failed(error),
    };
    if let Err(error) = print(&output.report) {
        complain(&error);
        return ExitCode::FAILURE;
    }
    output.refusal.map_or(ExitCode::SUCCESS, failed)
}

fn failed(error: Error) -> ExitCode {
    let code = error.exit_code();
    complain(&anyhow::Error::from(error));
    ExitCode::from(code)
}

/// Prints the error and its causes; texts from files are escaped.
fn complain(error: &anyhow::Error) {
    // If standard error cannot be written to, the exit code still tells.
    let _ = writeln!(std::io::stderr(), "error: {}", lines(format!("{error:#}")));
}

/// Prints the report. A reader that closed the pipe (`| head`) is no failure.
fn print(report: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(report.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}
