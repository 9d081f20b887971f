//! Finds the outside tools that tests use: those that `.ci/tools.sh` installed into `.tools/` of this
//! checkout, at the versions that the script pins. PATH is never searched, so a machine's own tools
//! change nothing. A test without its tool is skipped and says so; under CI=true it fails.
//!
//! The registry's tests mount this file too.

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::thread;

/// A tool that `.ci/tools.sh` installs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tool {
    Grpcurl,
    H2spec,
    Versitygw,
    Kustomize,
    Buf,
    /// The interpreter that has the packages of the Python clients and readers.
    Python,
    /// The interpreter that has moto, the S3 simulator.
    MotoPython,
    KubernetesValidate,
    /// The interpreter that has the validator's packages.
    KubernetesPython,
}

impl Tool {
    /// Its file below `.tools/`.
    fn file(self) -> &'static str {
        match self {
            Self::Grpcurl => "bin/grpcurl",
            Self::H2spec => "bin/h2spec",
            Self::Versitygw => "bin/versitygw",
            Self::Kustomize => "bin/kustomize",
            Self::Buf => "bin/buf",
            Self::Python => "python/bin/python",
            Self::MotoPython => "moto/bin/python",
            Self::KubernetesValidate => "bin/kubernetes-validate",
            Self::KubernetesPython => "kubernetes/bin/python",
        }
    }

    /// The install that brings it: a file below `.tools/stamps/`, and a line of `.ci/tools.sh --pins`.
    fn install(self) -> &'static str {
        match self {
            Self::Grpcurl => "grpcurl",
            Self::H2spec => "h2spec",
            Self::Versitygw => "versitygw",
            Self::Kustomize => "kustomize",
            Self::Buf | Self::Python => "python",
            Self::MotoPython => "moto",
            Self::KubernetesValidate | Self::KubernetesPython => "kubernetes",
        }
    }
}

/// The path of a tool at its pinned version. Otherwise None, and a line that names the skipped test.
///
/// # Panics
/// Under CI=true where the tool is missing or has another version.
pub(crate) fn find(tool: Tool) -> Option<PathBuf> {
    let found = find_in(&checkout().join(".tools"), tool, pins());
    found_or_skipped(found, is_ci(), &mut io::stderr())
}

/// The path of a tool in this folder, or why it cannot be used.
pub(crate) fn find_in(
    tools: &Path,
    tool: Tool,
    pins: &BTreeMap<String, String>,
) -> Result<PathBuf, String> {
    let (file, install) = (tools.join(tool.file()), tool.install());
    let stamp = std::fs::read_to_string(tools.join("stamps").join(install));
    let Some(installed) = stamp.ok().filter(|_| file.is_file()) else {
        return Err(format!("{} not found", tool.file()));
    };
    match (installed.trim(), pins.get(install)) {
        (installed, Some(pinned)) if installed == pinned => Ok(file),
        (installed, pinned) => {
            let pinned = pinned.map_or("none", String::as_str);
            let file = tool.file();
            Err(format!(
                "{file} is of version {installed}, the pin is {pinned}"
            ))
        }
    }
}

/// The pinned version of each install, as `.ci/tools.sh` lists them.
fn pins() -> &'static BTreeMap<String, String> {
    static PINS: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    PINS.get_or_init(|| {
        let script = checkout().join(".ci/tools.sh");
        // A machine that cannot run the script has no tools from it either.
        let Ok(output) = Command::new("bash").arg(script).arg("--pins").output() else {
            return BTreeMap::new();
        };
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), ".ci/tools.sh --pins: {errors}");
        let lines = String::from_utf8(output.stdout).unwrap();
        let pin = |line: &str| {
            let (install, version) = line.split_once(' ').unwrap();
            (install.to_owned(), version.to_owned())
        };
        lines.lines().map(pin).collect()
    })
}

/// The path, or None and a line that names the test and the reason. The line goes past the capture of
/// the test runner: a skip is seen though its test passes, and `.ci/run` counts it.
///
/// # Panics
/// Where the tool is needed and missing.
pub(crate) fn found_or_skipped(
    found: Result<PathBuf, String>,
    is_needed: bool,
    output: &mut impl Write,
) -> Option<PathBuf> {
    let reason = match found {
        Ok(path) => return Some(path),
        Err(reason) => reason,
    };
    let line = format!("skipped: {}: {reason} (run .ci/tools.sh)\n", this_test());
    assert!(!is_needed, "{line}");
    output.write_all(line.as_bytes()).ok();
    None
}

/// Says that this machine does not let the test run, whatever is installed. CI does not count it.
pub(crate) fn skip_on_this_machine(why: &str) {
    let line = format!("not run here: {}: {why}\n", this_test());
    io::stderr().write_all(line.as_bytes()).ok();
}

/// The checkout that the tested package is part of.
pub(crate) fn checkout() -> &'static Path {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut folders = package.ancestors();
    folders
        .find(|folder| folder.join(".ci").is_dir())
        .unwrap_or(package)
}

pub(crate) fn is_ci() -> bool {
    variable("CI").is_some_and(|value| value == "true")
}

#[allow(
    clippy::disallowed_methods,
    reason = "the only place where tests read the environment"
)]
fn variable(name: &str) -> Option<OsString> {
    env::var_os(name)
}

fn this_test() -> String {
    thread::current().name().unwrap_or("a test").to_owned()
}
