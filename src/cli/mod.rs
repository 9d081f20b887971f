//! The command line: what is typed becomes one command, which writes to the stream it is given.

mod asking;
mod fleet;
mod gc;
mod models;
mod place;
mod proposing;
mod recommend;
mod reload;
mod rollouts;
mod serve;
mod similar;
mod status;

use crate::config::Problems;
use crate::demo::DemoArgs;
use clap::{Args, Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// A gRPC recommendation server whose models are swapped while it serves.
#[derive(Parser)]
#[command(name = "hotshelf", version, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Serve recommendations from a registry
    Serve(Box<serve::ServeArgs>),
    /// Make up a shop, train, serve, and swap the model under traffic
    Demo(DemoArgs),
    /// Look at the versions in a registry, and remove those that nobody needs
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Change which version answers whom, and look at what was
    #[command(subcommand)]
    Rollout(rollouts::RolloutCommand),
    /// Tell which version answered whom at a time
    WhoWasLive(rollouts::WhoWasLiveArgs),
    /// Make a version live on a running server
    Reload(reload::ReloadArgs),
    /// Ask a running server for recommendations
    Recommend(recommend::RecommendArgs),
    /// Ask a running server for products like one
    Similar(similar::SimilarArgs),
    /// Show what a running server serves
    Status(status::StatusArgs),
}

/// The operators' listener of a running server.
#[derive(Args)]
struct AdminAddress {
    /// Admin listener of the server
    #[arg(long, default_value = "127.0.0.1:50052")]
    admin: String,
}

/// How results are written.
#[derive(Args)]
struct Output {
    /// Print one JSON object instead of text
    #[arg(long)]
    json: bool,
}

/// Parses the process's arguments, runs the command, and turns its outcome into an exit code: 0 done,
/// 1 failed, 2 wrongly called.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    let mut out = std::io::stdout().lock();
    let outcome = match cli.command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => crate::demo::run(&args, &mut out),
        Command::Models(command) => models::run(&command, &mut out),
        Command::Rollout(command) => rollouts::run(command, &mut out),
        Command::WhoWasLive(args) => rollouts::who_was_live(&args, &mut out),
        Command::Reload(args) => reload::run(args, &mut out),
        Command::Recommend(args) => recommend::run(args, &mut out),
        Command::Similar(args) => similar::run(args, &mut out),
        Command::Status(args) => status::run(&args, &mut out),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            // Where standard error is closed there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "hotshelf: {}", said(&error));
            if error.is::<Problems>() {
                ExitCode::from(2)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

/// `hotshelf models list | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The error and its causes in one line, each cause once.
fn said(error: &anyhow::Error) -> String {
    crate::error::with_causes(error.as_ref())
}

/// Runs one short conversation with a server.
fn block_on<T>(conversation: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(conversation)
}

/// Writes one JSON value and a line end.
fn write_json(out: &mut dyn Write, value: &impl serde::Serialize) -> anyhow::Result<()> {
    serde_json::to_writer_pretty(&mut *out, value)?;
    writeln!(out)?;
    Ok(())
}
