//! The one reader of the process's environment.

use std::collections::BTreeMap;
use std::ffi::OsString;

/// The variables whose names `is_read` accepts, with values that are text.
///
/// A name or value that is not UTF-8 is skipped: the environment is full of variables that are not
/// ours, and none of them may stop a command.
#[allow(
    clippy::disallowed_methods,
    reason = "the one place where the environment is read"
)]
pub fn variables(is_read: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let text = |(name, value): (OsString, OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    let all = std::env::vars_os().filter_map(text);
    all.filter(|(name, _)| is_read(name)).collect()
}
