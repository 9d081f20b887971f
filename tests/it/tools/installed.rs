//! Where an outside tool is looked for, and what happens where it is missing: its test is skipped
//! and says so, but under CI=true nothing may be left out.
//!
//! The registry's tests mount this file too.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

/// What becomes of a test without its tool.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Without {
    /// Skipped here, failed under CI=true: `.ci/tools.sh` installs the tool.
    InstalledByCi,
    /// Skipped everywhere.
    Extra,
}

/// The tool of this name, in `.tools/bin` or else on PATH. Without it None, and a line that says
/// which test was skipped.
///
/// # Panics
/// Under CI=true where a tool is missing that CI installs.
pub(crate) fn find(name: &str, without: Without) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let folders = [own_tools().join("bin")]
        .into_iter()
        .chain(env::split_paths(&path));
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    if found.is_none() && without == Without::Extra {
        left_out(&format!("{name} is not on PATH"));
        return None;
    }
    found_or_skipped(found, name, in_ci(), &mut io::stderr())
}

/// Says that the test has nothing to do on this machine, under CI=true too. In other words than those of
/// a tool that CI installs: by those, CI counts what it must not leave out.
pub(crate) fn left_out(why: &str) {
    let line = format!("left out: {}: {why}\n", this_test());
    io::stderr().write_all(line.as_bytes()).ok();
}

/// `.tools/` of the checkout that the package being tested is part of.
pub(crate) fn own_tools() -> PathBuf {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let checkout = package
        .ancestors()
        .find(|folder| folder.join(".ci").is_dir());
    checkout.unwrap_or(package).join(".tools")
}

pub(crate) fn in_ci() -> bool {
    variable("CI").is_some_and(|value| value == "true")
}

#[allow(
    clippy::disallowed_methods,
    reason = "the tests' one look at the environment"
)]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

fn this_test() -> String {
    thread::current().name().unwrap_or("a test").to_owned()
}

/// Writes past the capture of the test runner, so that a skip is seen though its test passes.
pub(crate) fn found_or_skipped(
    found: Option<PathBuf>,
    tool: &str,
    is_needed: bool,
    told: &mut impl Write,
) -> Option<PathBuf> {
    if found.is_none() {
        let test = this_test();
        let line = format!("skipped: {test}: {tool} not found (run .ci/tools.sh)\n");
        assert!(!is_needed, "{line}");
        told.write_all(line.as_bytes()).ok();
    }
    found
}
