//! The arguments of a bench.

use anyhow::Context;
use std::str::FromStr;

pub(crate) struct Arguments(Vec<String>);

impl Arguments {
    /// Those of this process.
    pub(crate) fn given() -> Self {
        Self(std::env::args().collect())
    }

    /// The number behind a flag, or `default` without that flag.
    pub(crate) fn number<T: FromStr>(&self, flag: &str, default: T) -> anyhow::Result<T> {
        let Some(text) = self.after(flag) else {
            return Ok(default);
        };
        let number = text.with_context(|| format!("{flag}: a number is missing"))?;
        let parsed = number.parse().ok();
        parsed.with_context(|| format!("{flag}: {number:?} is not a number"))
    }

    /// What stands behind a flag: `None` without the flag, `Some(None)` where nothing does.
    pub(crate) fn after(&self, flag: &str) -> Option<Option<&str>> {
        let at = self.0.iter().position(|argument| argument == flag)?;
        Some(self.0.get(at + 1).map(String::as_str))
    }

    /// Whether one JSON array is to be printed in place of a table.
    pub(crate) fn is_json(&self) -> bool {
        self.0.iter().any(|argument| argument == "--json")
    }
}
