//! Progress on standard error: bars on a terminal, one line a stage in a pipe or a log.

use std::io::Write;
use std::time::Duration;

use hotshelf_terminal::text::one_line;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Creates progress bars, visible or not.
#[derive(Debug, Clone, Copy)]
pub struct Progress {
    visible: bool,
}

impl Progress {
    /// Bars on standard error if that is a terminal, else a line when a stage begins.
    pub fn on_stderr() -> Self {
        Self { visible: true }
    }

    /// Nothing: for tests and for callers that show their own.
    pub fn silent() -> Self {
        Self { visible: false }
    }

    /// A bar that counts bytes.
    pub(crate) fn bytes(self, what: &str, len: u64) -> ProgressBar {
        self.bar(
            what,
            len,
            "{msg:32} {wide_bar} {bytes}/{total_bytes} {eta:>4}",
        )
    }

    /// A bar that counts steps.
    pub(crate) fn steps(self, what: &str, len: u64) -> ProgressBar {
        self.bar(what, len, "{msg:32} {wide_bar} {pos}/{len} {eta:>4}")
    }

    fn bar(self, what: &str, len: u64, template: &'static str) -> ProgressBar {
        let target = if self.visible {
            ProgressDrawTarget::stderr()
        } else {
            ProgressDrawTarget::hidden()
        };
        let bar = ProgressBar::with_draw_target(Some(len), target).with_message(one_line(what));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        if !bar.is_hidden() {
            bar.enable_steady_tick(Duration::from_millis(200));
        } else if self.visible {
            // If standard error cannot be written to, there is nobody to tell.
            let _ = writeln!(std::io::stderr(), "progress: {}", one_line(what));
        }
        bar
    }
}
