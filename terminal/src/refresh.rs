//! Text at the bottom of a terminal that is replaced in place.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::IsTerminal;

/// A few lines below what else is printed. Dropped, they are removed.
#[derive(Debug)]
pub struct Refresh {
    bar: ProgressBar,
}

impl Refresh {
    /// On standard output; `None` unless that is a terminal.
    pub fn on_stdout() -> Option<Self> {
        if !std::io::stdout().is_terminal() {
            return None;
        }
        // One position that is never reached, and no bar: only the message is drawn.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stdout());
        let style = ProgressStyle::with_template("{msg}").unwrap_or(ProgressStyle::default_bar());
        Some(Self {
            bar: bar.with_style(style),
        })
    }

    /// Replaces the lines. Those that the terminal has no room for are not shown.
    pub fn show(&self, text: &str) {
        self.bar.set_message(text.trim_end().to_owned());
        self.bar.tick();
    }

    /// Prints a line above them.
    pub fn print(&self, line: &str) {
        self.bar.println(line);
    }
}

impl Drop for Refresh {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
