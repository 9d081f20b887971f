//! Runs the built binary in a folder of its own.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A folder with a shop in it.
pub(crate) struct Workplace {
    folder: tempfile::TempDir,
}

/// Output of one run; the workplace's path reads `<here>`.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// Standard output as JSON; panics with the output if it is none.
    pub(crate) fn json(&self) -> serde_json::Value {
        assert_eq!(self.code, 0, "{self:?}");
        serde_json::from_str(&self.stdout).unwrap()
    }

    /// Standard error of a run that had to end with `code`, without the lines of its progress.
    pub(crate) fn refusal(&self, code: i32) -> String {
        assert_eq!(self.code, code, "{self:?}");
        assert_eq!(
            self.stdout, "",
            "nothing on standard output where the run failed"
        );
        let is_progress = |line: &&str| line.starts_with("progress: ");
        let said: Vec<&str> = self
            .stderr
            .lines()
            .filter(|line| !is_progress(line))
            .collect();
        said.join("\n")
    }
}

impl Workplace {
    pub(crate) fn new() -> Self {
        Self {
            folder: tempfile::tempdir().unwrap(),
        }
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, content: impl AsRef<[u8]>) -> &Self {
        std::fs::write(self.path(name), content).unwrap();
        self
    }

    pub(crate) fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// Runs the binary with the workplace as its folder.
    pub(crate) fn run<A: AsRef<str>>(&self, args: &[A]) -> Run {
        run_in(self.folder.path(), self.folder.path(), args)
    }

    /// Runs the binary in the repository, as its README does.
    pub(crate) fn run_in_repository<A: AsRef<str>>(&self, args: &[A]) -> Run {
        run_in(&repository(), self.folder.path(), args)
    }
}

pub(crate) fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .unwrap()
        .to_owned()
}

fn run_in<A: AsRef<str>>(folder: &Path, here: &Path, args: &[A]) -> Run {
    let args = args.iter().map(AsRef::as_ref);
    let binary = env!("CARGO_BIN_EXE_hotshelf-offline");
    let output = Command::new(binary)
        .args(args)
        .current_dir(folder)
        .output()
        .unwrap();
    let text = |bytes: Vec<u8>| {
        String::from_utf8(bytes)
            .unwrap()
            .replace(&here.display().to_string(), "<here>")
    };
    Run {
        code: output.status.code().unwrap(),
        stdout: text(output.stdout),
        stderr: text(output.stderr),
    }
}
