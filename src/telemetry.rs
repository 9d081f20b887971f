//! Logs: JSON lines for machines, readable ones on a terminal, always on standard error, and written so
//! that no log can hold up or end the process.

mod line;
mod writer;

use line::LineFormat;
use prometheus::IntCounter;
use std::io::IsTerminal;
use std::sync::{LazyLock, OnceLock};
use std::time::Duration;
use tracing_subscriber::EnvFilter;
use writer::LogWriter;

/// Longest wait for the log at the end of the process (chosen: a reader that reads takes less).
const FLUSH_TIMEOUT: Duration = Duration::from_millis(100);

/// The writer of this process, once logging has started.
static WRITER: OnceLock<LogWriter> = OnceLock::new();

static DROPPED: LazyLock<IntCounter> = LazyLock::new(|| {
    IntCounter::new(
        "hotshelf_log_lines_dropped_total",
        "Log lines that were not written: the log was full, gone or too slow.",
    )
    .expect("the name is a valid one; a test reads it")
});

/// Log lines that were not written.
pub fn lines_dropped() -> IntCounter {
    DROPPED.clone()
}

/// Starts logging. `format` and `level` as in the settings.
///
/// A second call in one process does nothing: the first one holds.
///
/// # Errors
/// The system has no thread or no descriptor left.
pub fn start(format: &str, level: &str) -> std::io::Result<()> {
    let is_json = match format {
        "json" => true,
        "text" => false,
        _ => !std::io::stderr().is_terminal(),
    };
    if WRITER.get().is_some() {
        return Ok(());
    }
    let writer = LogWriter::start(lines_dropped())?;
    // A test process starts several servers at once; the first one's choice holds.
    if WRITER.set(writer.clone()).is_err() {
        return Ok(());
    }
    // The transports log every frame at debug level; their own mistakes are enough.
    let filter = EnvFilter::new(format!("{level},h2=warn,hyper=warn,tower=warn"));
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(writer)
        .with_ansi(std::io::stderr().is_terminal())
        .event_format(LineFormat { is_json })
        .try_init();
    // A caller that logs in a way of its own may have set its subscriber first.
    drop(started);
    std::panic::set_hook(Box::new(|panic| {
        let location = panic.location().map(ToString::to_string);
        let location = location.unwrap_or_default();
        let message = panic.payload_as_str().unwrap_or("not a text");
        let thread = std::thread::current().name().unwrap_or("?").to_owned();
        tracing::error!(location, panic = message, thread, "panic");
    }));
    Ok(())
}

/// Writes one line of text for the person at the terminal, `hotshelf: why it ends`, and gives the log a
/// moment to be written. Where logging has started, it goes the log's way, so that the end of a server
/// waits for no reader.
pub fn last_line(line: Option<&str>) {
    match (WRITER.get(), line) {
        (Some(writer), line) => {
            if let Some(line) = line {
                writer.send(format!("{line}\n").into_bytes());
            }
            writer.flush(FLUSH_TIMEOUT);
        }
        (None, Some(line)) => {
            // Where standard error is closed nobody can be told.
            let _ =
                std::io::Write::write_all(&mut std::io::stderr(), format!("{line}\n").as_bytes());
        }
        (None, None) => {}
    }
}
