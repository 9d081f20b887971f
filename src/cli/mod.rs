//! The command line: parses the arguments into one command, which writes to a given stream.

mod address;
mod asking;
mod batch;
mod fleet;
mod model_args;
mod models;
mod proposing;
mod recommend;
mod reload;
mod rollouts;
mod serve;
mod similar;
mod status;

use crate::config::Problems;
use crate::demo::DemoArgs;
use crate::grpc::client::RolloutInfo;
use crate::telemetry;
use clap::{Args, Parser, Subcommand};
use hotshelf_terminal::text::{self, SafeWriter};
use std::io::Write;
use std::process::ExitCode;

/// A gRPC recommendation server whose models are swapped while it serves.
///
/// Training, evaluation and publishing are commands of hotshelf-offline.
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
    /// Generate a shop, train, serve, and swap the model under traffic
    Demo(DemoArgs),
    /// List, show, verify and remove versions in a registry
    #[command(subcommand)]
    Models(models::ModelsCommand),
    /// Change which versions receive traffic, and show past rollouts
    #[command(subcommand)]
    Rollout(rollouts::RolloutCommand),
    /// Show which version served a user at a time
    WhoWasLive(rollouts::WhoWasLiveArgs),
    /// Make a version live on a running server
    Reload(reload::ReloadArgs),
    /// Request recommendations from a running server
    Recommend(recommend::RecommendArgs),
    /// Request similar products from a running server
    Similar(similar::SimilarArgs),
    /// Show what a running server serves
    Status(status::StatusArgs),
}

/// How results are written.
#[derive(Args)]
struct Output {
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
}

/// A command that was called wrongly; exit code 2, as for wrong flags.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct WrongCall(String);

impl From<hotshelf_registry::Error> for WrongCall {
    fn from(error: hotshelf_registry::Error) -> Self {
        Self(crate::error::with_causes(&error))
    }
}

/// Parses the process's arguments, runs the command, and turns its outcome into an exit code: 0 done,
/// 1 failed, 2 wrongly called.
pub fn run() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(error) => batch::exit(&hotshelf_terminal::usage::named(error)),
    };
    let mut out = SafeWriter(std::io::stdout().lock());
    let outcome = execute(cli.command, &mut out).and_then(|()| Ok(out.flush()?));
    match outcome {
        Err(error) if !is_closed_pipe(&error) => {
            telemetry::last_line(Some(&format!("hotshelf: {}", message(&error))));
            exit_code(&error)
        }
        _ => {
            telemetry::last_line(None);
            ExitCode::SUCCESS
        }
    }
}

fn execute(command: Command, out: &mut dyn Write) -> anyhow::Result<()> {
    match command {
        Command::Serve(args) => serve::run(&args),
        Command::Demo(args) => crate::demo::run(&args, out),
        Command::Models(command) => models::run(&command, out),
        Command::Rollout(command) => rollouts::run(command, out),
        Command::WhoWasLive(args) => rollouts::who_was_live(&args, out),
        Command::Reload(args) => reload::run(args, out),
        Command::Recommend(args) => recommend::run(args, out),
        Command::Similar(args) => similar::run(args, out),
        Command::Status(args) => status::run(&args, out),
    }
}

fn exit_code(error: &anyhow::Error) -> ExitCode {
    match error.is::<Problems>() || error.is::<WrongCall>() {
        true => ExitCode::from(2),
        false => ExitCode::FAILURE,
    }
}

/// `hotshelf models list | head` is no failure.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|error| error.kind() == std::io::ErrorKind::BrokenPipe)
}

/// The error and its causes, each once, safe to print: on one line but for a list of problems.
fn message(error: &anyhow::Error) -> String {
    let message = crate::error::with_causes(error.as_ref());
    match error.is::<Problems>() {
        true => text::lines(message),
        false => text::one_line(message),
    }
}

/// Runs one short conversation with a server or a store.
fn block_on<T>(conversation: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(conversation);
    // A look at a mount that hangs must not keep the command, which has its outcome.
    runtime.shutdown_background();
    outcome
}

/// A rollout on one line of text.
fn rollout_text(rollout: Option<&RolloutInfo>) -> String {
    rollout.map_or_else(|| "none".to_owned(), text::one_line)
}

/// Writes one JSON value and a line end.
fn write_json(out: &mut dyn Write, value: &impl serde::Serialize) -> anyhow::Result<()> {
    let json = serde_json::to_string_pretty(value)?;
    writeln!(out, "{}", text::json(&json))?;
    Ok(())
}
