//! Outside tools that tests use: where they are, and what happens where they are not.
//!
//! A machine with nothing but Rust passes the tests and is told what it left out; under CI=true
//! nothing may be left out. Every test that needs a tool asks here:
//!
//! ```text
//! let Some(grpcurl) = tools::tool("grpcurl") else { return };
//! ```

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

pub(crate) mod authority;
#[allow(dead_code, reason = "shared with the registry's tests")]
mod installed;
#[allow(dead_code, reason = "shared with the registry's tests")]
pub(crate) mod s3_server;

pub(crate) use installed::left_out;
use installed::{Without, found_or_skipped, in_ci, own_tools};

/// The tool of this name, in `.tools/bin` or else on PATH. Without it None, and a line that says
/// which test was skipped.
///
/// # Panics
/// Under CI=true where the tool is missing.
pub(crate) fn tool(name: &str) -> Option<PathBuf> {
    installed::find(name, Without::InstalledByCi)
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
