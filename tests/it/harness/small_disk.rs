//! A disk that can be filled: a file system of its own in memory, in a mount namespace that one process
//! has. Nobody else sees it but through that process, and it goes when the process does.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::server::Server;
use crate::tools;

/// Makes the namespace, and in it the disk, and becomes the program. Who is not root is so in a user
/// namespace of its own.
const MOUNTED: &str = r#"size=$1 folder=$2; shift 2
if [ "$(id -u)" = 0 ]; then user=; else user="--user --map-root-user"; fi
exec unshare $user --mount -- sh -c 'mount -t tmpfs -o "size=$0" tmpfs "$1" && shift && exec "$@"' \
    "$size" "$folder" "$@""#;

/// Of one page after the other, so that the last one is met.
const PAGE_BYTES: usize = 4096;

/// Where it is mounted, and how large it is.
pub(crate) struct SmallDisk {
    folder: TempDir,
    size_bytes: u64,
}

impl SmallDisk {
    /// None, and a line that says so, where mounting is not permitted.
    pub(crate) fn new(size_bytes: u64) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let disk = Self { folder, size_bytes };
        let tried = disk.command("true").output().unwrap();
        if tried.status.success() {
            return Some(disk);
        }
        let said = String::from_utf8_lossy(&tried.stderr);
        tools::skip_on_this_machine(&format!("no disk can be mounted here: {}", said.trim_end()));
        None
    }

    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// A command that is the program, its arguments still to come, with the disk mounted.
    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", MOUNTED, "sh"]);
        command.arg(self.size_bytes.to_string()).arg(self.folder());
        command.arg(program);
        command
    }

    /// The mounted folder of a server that was started on it, as others can reach it.
    pub(crate) fn of(&self, server: &Server) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", server.id()));
        root.join(self.folder().strip_prefix("/").unwrap())
    }

    /// Another process writes until nothing more fits; the file that takes the room.
    pub(crate) fn fill(&self, server: &Server) -> PathBuf {
        let path = self.of(server).join("somebody-elses");
        let mut file = File::create(&path).unwrap();
        let full = loop {
            match file.write_all(&[0; PAGE_BYTES]) {
                Ok(()) => {}
                Err(error) => break error,
            }
        };
        assert_eq!(full.kind(), ErrorKind::StorageFull, "{full}");
        path
    }
}
