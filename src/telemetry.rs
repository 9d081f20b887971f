//! Logs: JSON lines for machines, readable ones on a terminal, always on standard error.

mod line;

use line::Line;
use std::io::IsTerminal;
use tracing_subscriber::EnvFilter;

/// Starts logging. `format` and `level` as in the settings.
///
/// A second call in one process does nothing: the first one holds.
pub fn start(format: &str, level: &str) {
    let is_json = match format {
        "json" => true,
        "text" => false,
        _ => !std::io::stderr().is_terminal(),
    };
    // The transports log every frame at debug level; their own mistakes are enough.
    let filter = EnvFilter::new(format!("{level},h2=warn,hyper=warn,tower=warn"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .event_format(Line { is_json })
        .try_init();
    // A test process starts several servers; the first one's choice holds.
    drop(started);
    std::panic::set_hook(Box::new(|panic| {
        let place = panic
            .location()
            .map(ToString::to_string)
            .unwrap_or_default();
        let what = panic
            .payload_as_str()
            .unwrap_or("something that is no text");
        let thread = std::thread::current().name().unwrap_or("?").to_owned();
        tracing::error!(place, what, thread, "panic");
    }));
}
