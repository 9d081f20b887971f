//! `hotshelf serve`.

use crate::app::App;
use crate::config::{Config, Layers, SETTINGS, Setting, variables};
use crate::telemetry;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use std::path::PathBuf;
use std::time::{Duration, Instant};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Threads for the accept loops, the watch and the drivers; requests have threads of their own.
const CONTROL_THREADS: usize = 2;

/// Within this time of the first signal another one is the same one again: supervisors signal a process
/// and then its group.
const SIGNAL_ECHO: Duration = Duration::from_millis(200);

/// Every setting as a flag, made from the table.
pub(super) struct ServeArgs {
    config: Option<PathBuf>,
    layers: Layers,
}

impl FromArgMatches for ServeArgs {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let mut layers = Layers::default();
        for setting in SETTINGS {
            if let Some(text) = matches.get_one::<String>(setting.key) {
                layers.flags.insert(setting.key.to_owned(), text.clone());
            }
        }
        Ok(Self {
            config: matches.get_one::<PathBuf>("config").cloned(),
            layers,
        })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for ServeArgs {
    fn augment_args(command: Command) -> Command {
        let config = Arg::new("config")
            .long("config")
            .value_name("FILE")
            .value_parser(clap::value_parser!(PathBuf))
            .help("TOML file with any of the settings below, names with underscores");
        command.arg(config).args(SETTINGS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A setting as a flag.
pub(super) fn argument(setting: &Setting) -> Arg {
    let default = match setting.default {
        Some("") => "default empty".to_owned(),
        Some(default) => format!("default {default}"),
        None => "required".to_owned(),
    };
    Arg::new(setting.key)
        .long(setting.flag())
        .value_name("VALUE")
        .help(format!(
            "{} [{default}; {}]",
            setting.help,
            setting.variable()
        ))
}

/// Serves until SIGTERM or SIGINT; a second signal ends the process at once.
pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let mut layers = Layers {
        flags: args.layers.flags.clone(),
        variables: variables(),
        file: None,
    };
    if let Some(path) = &args.config {
        layers.read_file(path)?;
    }
    let config = Config::build(&layers)?;
    telemetry::start(&config.log_format, &config.log_level);
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("hotshelf-control")
        .enable_all()
        .build()?;
    let outcome = runtime.block_on(async {
        let mut signals = Signals::new()?;
        let app = App::bind(config).await?;
        let (first, second) = tokio::sync::oneshot::channel();
        tokio::select! {
            ended = app.run(async { drop(second.await) }) => Ok(ended?),
            () = signals.two(first) => Err(anyhow::anyhow!("second signal: ended without draining")),
        }
    });
    // Loaders may be reading; the cache is safe at any moment, so nobody waits for them.
    runtime.shutdown_background();
    outcome
}

struct Signals {
    terminate: Signal,
    interrupt: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        let terminate = signal(SignalKind::terminate())?;
        Ok(Self {
            terminate,
            interrupt: signal(SignalKind::interrupt())?,
        })
    }

    async fn one(&mut self) {
        tokio::select! {
            _ = self.terminate.recv() => {}
            _ = self.interrupt.recv() => {}
        }
    }

    /// Tells of the first signal and resolves at the second.
    async fn two(&mut self, first: tokio::sync::oneshot::Sender<()>) {
        self.one().await;
        drop(first);
        let first_came = Instant::now();
        loop {
            self.one().await;
            if first_came.elapsed() >= SIGNAL_ECHO {
                return;
            }
        }
    }
}
