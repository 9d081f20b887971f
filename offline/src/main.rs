//! `hotshelf-offline`: arguments in, a report out, an exit code.

use std::io::Write;
use std::process::ExitCode;

use anyhow::Context;
use clap::Parser;
use hotshelf_offline::cli::Cli;

fn main() -> ExitCode {
    let report = match Cli::parse().run() {
        Ok(report) => report,
        Err(error) => {
            let code = error.exit_code();
            complain(&anyhow::Error::from(error));
            return ExitCode::from(code);
        }
    };
    match print(&report) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            complain(&error);
            ExitCode::FAILURE
        }
    }
}

/// The error and its causes on one line.
fn complain(error: &anyhow::Error) {
    // Where standard error cannot be written to, the exit code still says it.
    let _ = writeln!(std::io::stderr(), "error: {error:#}");
}

/// A reader that went away (`| head`) has read enough; that is no failure.
fn print(report: &str) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    let written = out.write_all(report.as_bytes()).and_then(|()| out.flush());
    match written {
        Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        written => written.context("standard output"),
    }
}
