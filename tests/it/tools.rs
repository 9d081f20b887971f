//! Outside tools that tests use: where they are, and what happens where they are not.
//!
//! A machine with nothing but Rust passes the tests and is told what it left out; under CI=true
//! nothing may be left out. Every test that needs a tool asks here:
//!
//! ```text
//! let Some(grpcurl) = tools::tool("grpcurl") else { return };
//! ```

use std::env;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

/// The tool of this name, in `.tools/bin` or else on PATH. Without it None, and a line that says
/// which test was skipped.
///
/// # Panics
/// Under CI=true where the tool is missing.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    let path = variable("PATH").unwrap_or_default();
    let folders = [own_tools().join("bin")]
        .into_iter()
        .chain(env::split_paths(&path));
    let found = folders
        .map(|folder| folder.join(name))
        .find(|file| file.is_file());
    found_or_skipped(found, name, in_ci(), &mut io::stderr())
}

/// The interpreter of the virtual environment that holds the Python packages of `.ci/tools.sh`.
///
/// # Panics
/// Under CI=true where it is missing.
pub(crate) fn python() -> Option<PathBuf> {
    let interpreter = own_tools().join("python/bin/python");
    let found = interpreter.is_file().then_some(interpreter);
    found_or_skipped(found, "the Python environment", in_ci(), &mut io::stderr())
}

/// The `hotshelf-offline` that was built beside the server: cargo builds every binary of the workspace
/// before it runs the workspace's tests, but only its own for one package's.
///
/// # Panics
/// Under CI=true where it is missing.
pub(crate) fn trainer() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_hotshelf")).with_file_name("hotshelf-offline");
    let found = beside.is_file().then_some(beside);
    let missing = "hotshelf-offline, which `cargo build --workspace` makes,";
    found_or_skipped(found, missing, in_ci(), &mut io::stderr())
}

/// A file of the public shops that may lie beside the checkout. Without it None, and a line that says
/// so; CI has them only where somebody put them there.
pub(crate) fn public_shop(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(name);
    if file.is_file() {
        return Some(file);
    }
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    writeln!(
        io::stderr(),
        "skipped: {test}: {} is not there",
        file.display()
    )
    .ok();
    None
}

fn own_tools() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join(".tools")
}

fn in_ci() -> bool {
    variable("CI").is_some_and(|value| value == "true")
}

#[allow(
    clippy::disallowed_methods,
    reason = "the tests' one look at the environment"
)]
fn variable(name: &str) -> Option<std::ffi::OsString> {
    env::var_os(name)
}

/// Writes past the capture of the test runner, so that a skip is seen though its test passes.
fn found_or_skipped(
    found: Option<PathBuf>,
    tool: &str,
    in_ci: bool,
    told: &mut impl Write,
) -> Option<PathBuf> {
    if found.is_none() {
        let thread = thread::current();
        let test = thread.name().unwrap_or("a test");
        let line = format!("skipped: {test}: {tool} not found (run .ci/tools.sh)\n");
        assert!(!in_ci, "{line}");
        told.write_all(line.as_bytes()).ok();
    }
    found
}

#[test]
fn a_missing_tool_skips_its_test_and_says_so() {
    let mut told = Vec::new();
    assert_eq!(found_or_skipped(None, "grpcurl", false, &mut told), None);
    let told = String::from_utf8(told).unwrap();
    assert!(told.starts_with("skipped: "), "{told}");
    assert!(
        told.ends_with(": grpcurl not found (run .ci/tools.sh)\n"),
        "{told}"
    );
}

#[test]
#[should_panic(expected = "not found (run .ci/tools.sh)")]
fn a_missing_tool_fails_its_test_in_ci() {
    found_or_skipped(None, "grpcurl", true, &mut io::sink());
}

#[test]
fn a_tool_that_is_there_is_used() {
    let there = Some(PathBuf::from("grpcurl"));
    assert_eq!(
        found_or_skipped(there.clone(), "grpcurl", true, &mut io::sink()),
        there
    );
}
