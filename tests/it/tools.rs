//! Outside tools of tests: where they are found, and how S3 servers among them are started.
//!
//! With Rust alone the tests pass and say what they skipped. Every test that needs a tool asks here:
//!
//! ```text
//! let Some(grpcurl) = tools::find(Tool::Grpcurl) else { return };
//! ```

use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::thread;

pub(crate) mod authority;
#[allow(dead_code, reason = "shared with the registry's tests")]
mod installed;
#[allow(dead_code, reason = "shared with the registry's tests")]
pub(crate) mod s3_server;

pub(crate) use installed::{Tool, find, skip_on_this_machine};
use installed::{found_or_skipped, is_ci};

/// The `hotshelf-offline` that was built beside the server: cargo builds every binary of the workspace
/// before it runs the workspace's tests, but only its own for one package's.
///
/// # Panics
/// Under CI=true where it is missing.
pub(crate) fn trainer() -> Option<PathBuf> {
    let beside = Path::new(env!("CARGO_BIN_EXE_hotshelf")).with_file_name("hotshelf-offline");
    let missing = "hotshelf-offline not found, `cargo build --workspace` builds it";
    let found = beside.is_file().then_some(beside).ok_or(missing.to_owned());
    found_or_skipped(found, is_ci(), &mut io::stderr())
}

/// A data set that may lie beside the checkout. Without it None, and a line that says so; CI has it
/// only where somebody put it there.
pub(crate) fn public_shop(name: &str) -> Option<PathBuf> {
    let file = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data")
        .join(name);
    if file.is_file() {
        return Some(file);
    }
    let thread = thread::current();
    let test = thread.name().unwrap_or("a test");
    let line = format!("skipped: {test}: {} not found\n", file.display());
    io::stderr().write_all(line.as_bytes()).ok();
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use super::installed::find_in;
    use super::*;

    /// A `.tools/` with grpcurl in it, stamped with this version.
    fn tools_with_grpcurl(version: &str) -> tempfile::TempDir {
        let tools = tempfile::tempdir().unwrap();
        for folder in ["bin", "stamps"] {
            fs::create_dir(tools.path().join(folder)).unwrap();
        }
        fs::write(tools.path().join("bin/grpcurl"), "").unwrap();
        fs::write(tools.path().join("stamps/grpcurl"), version).unwrap();
        tools
    }

    fn pins() -> BTreeMap<String, String> {
        BTreeMap::from([("grpcurl".to_owned(), "1.9.4".to_owned())])
    }

    #[test]
    fn tool_at_its_pinned_version_is_used() {
        let tools = tools_with_grpcurl("1.9.4\n");
        let found = find_in(tools.path(), Tool::Grpcurl, &pins());
        assert_eq!(found, Ok(tools.path().join("bin/grpcurl")));
    }

    #[test]
    fn tool_at_another_version_is_refused_with_both_versions() {
        let tools = tools_with_grpcurl("1.9.3\n");
        let found = find_in(tools.path(), Tool::Grpcurl, &pins());
        let reason = "bin/grpcurl is of version 1.9.3, the pin is 1.9.4";
        assert_eq!(found, Err(reason.to_owned()));
    }

    #[test]
    fn tool_of_an_unfinished_install_is_missing() {
        let tools = tools_with_grpcurl("1.9.4\n");
        fs::remove_file(tools.path().join("stamps/grpcurl")).unwrap();
        let found = find_in(tools.path(), Tool::Grpcurl, &pins());
        assert_eq!(found, Err("bin/grpcurl not found".to_owned()));
    }

    #[test]
    fn missing_tool_skips_its_test_and_says_so() {
        let mut output = Vec::new();
        let missing = Err("bin/grpcurl not found".to_owned());
        assert_eq!(found_or_skipped(missing, false, &mut output), None);
        let line = String::from_utf8(output).unwrap();
        assert!(line.starts_with("skipped: "), "{line}");
        assert!(
            line.ends_with(": bin/grpcurl not found (run .ci/tools.sh)\n"),
            "{line}"
        );
    }

    #[test]
    #[should_panic(expected = "not found (run .ci/tools.sh)")]
    fn missing_tool_fails_its_test_in_ci() {
        let missing = Err("bin/grpcurl not found".to_owned());
        found_or_skipped(missing, true, &mut io::sink());
    }
}
