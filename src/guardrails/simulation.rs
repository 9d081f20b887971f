//! Ramps that were never rolled out: how often good candidates are called bad, and how soon bad ones are.
//!
//! `cargo test -p hotshelf --lib guardrails::simulation -- --nocapture` prints the figures that
//! docs/guardrails.md shows.

mod dice;
mod ramps;
mod shoppers;

use super::{Guardrails, Mode, People, Rule};
use std::time::Duration;

/// As they are set by default.
pub(crate) fn settings() -> Guardrails {
    let rule = |mode, tolerance| Rule { mode, tolerance };
    Guardrails {
        rules: [
            rule(Mode::Abort, 0.001),
            rule(Mode::Abort, 0.002),
            rule(Mode::Warn, 0.01),
            rule(Mode::Abort, 0.002),
        ],
        people: People::All,
        slow_after: Duration::from_millis(50),
        people_min: 100,
        replicas_max: 20,
        interval: Duration::from_secs(5),
    }
}
