//! `hotshelf serve`.

mod signals;

use super::WrongCall;
use crate::app::App;
use crate::config::{Config, Layers, Problems, SETTINGS, Setting, variables};
use crate::telemetry;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use hotshelf_registry::Registry;
use signals::Signals;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::PathBuf;

/// Threads of the accept loops, watches and drivers; requests have threads of their own.
const CONTROL_THREADS: usize = 2;

/// Every setting as a flag, made from the table.
pub(super) struct ServeArgs {
    config: Option<PathBuf>,
    layers: Layers,
}

impl ServeArgs {
    /// Flags over variables over the file.
    fn config(&self) -> Result<Config, Problems> {
        let mut layers = Layers {
            flags: self.layers.flags.clone(),
            variables: variables()?,
            file: None,
        };
        if let Some(path) = &self.config {
            layers.read_file(path)?;
        }
        Config::build(&layers)
    }
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
            .help("Read settings from this TOML file (keys with underscores)");
        command.arg(config).args(SETTINGS.iter().map(argument))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

/// A setting as a flag.
fn argument(setting: &Setting) -> Arg {
    let default = match setting.default {
        Some("") => String::new(),
        Some(default) => format!("[default: {default}] "),
        None => "[required] ".to_owned(),
    };
    let variable = setting.variable();
    Arg::new(setting.key)
        .long(setting.flag())
        .value_name(setting.value_name())
        .help_heading(setting.group.heading())
        .help(format!("{} {default}[env: {variable}]", setting.help))
}

/// Serves until SIGTERM, SIGINT or SIGHUP, and drains; a second SIGTERM or SIGINT ends the process at
/// once.
pub(super) fn run(args: &ServeArgs) -> anyhow::Result<()> {
    let config = args.config()?;
    telemetry::start(&config.log_format, &config.log_level)?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(CONTROL_THREADS)
        .thread_name("hotshelf-control")
        .enable_all()
        .build()?;
    // The log of a panic is written by a thread that the process would not wait for.
    let served = catch_unwind(AssertUnwindSafe(|| runtime.block_on(serve(config))));
    let outcome = served.unwrap_or_else(|_| {
        Err(anyhow::anyhow!(
            "the server panicked, and ended without draining; the log says where"
        ))
    });
    // Loaders may be reading; the cache is safe at any moment, so they are not waited for.
    runtime.shutdown_background();
    outcome
}

async fn serve(config: Config) -> anyhow::Result<()> {
    let mut signals = Signals::new()?;
    ensure_registry(&config).await?;
    let app = App::bind(config).await?;
    let (first, drain) = tokio::sync::oneshot::channel();
    tokio::select! {
        ended = app.run(async { drop(drain.await) }) => Ok(ended?),
        () = signals.second(first) => Err(anyhow::anyhow!("second signal: ended without draining")),
    }
}

/// Refuses a registry folder that is missing on the first start. Later the folder may be a mount that is not
/// there yet, and the server serves its persisted live set.
async fn ensure_registry(config: &Config) -> anyhow::Result<()> {
    let is_first_start = config
        .cache_dir
        .read_dir()
        .map_or(true, |mut entries| entries.next().is_none());
    if !(is_first_start && config.registry.starts_with("file://")) {
        return Ok(());
    }
    let registry = Registry::open(&config.registry, &config.s3)?;
    match registry.exists().await? {
        true => Ok(()),
        false => Err(WrongCall(format!("registry {} does not exist", config.registry)).into()),
    }
}
