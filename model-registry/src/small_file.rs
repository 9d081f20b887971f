//! Small files that other programs write, read whole and within a limit.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::path::Path;

/// The bytes of a regular file. BLOCKS for as long as the disk takes; a FIFO is not waited for.
///
/// # Errors
/// It is something else, such as a folder, a FIFO or a device, is longer than `bytes_max`, or cannot be
/// read.
pub(crate) fn read(path: &Path, bytes_max: u64) -> io::Result<Vec<u8>> {
    let file = open(path)?;
    if let Some(kind) = crate::store::disk::kind(file.metadata()?.file_type()) {
        return Err(io::Error::other(format!("it is a {kind} and not a file")));
    }
    let mut bytes = Vec::new();
    let read = file
        .take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    if read as u64 > bytes_max {
        return Err(io::Error::other(format!(
            "it is longer than {bytes_max} bytes"
        )));
    }
    Ok(bytes)
}

#[cfg(unix)]
fn open(path: &Path) -> io::Result<File> {
    use std::os::unix::fs::OpenOptionsExt;
    // Without it the open of a FIFO waits for a writer for ever.
    let flags = rustix::fs::OFlags::NONBLOCK.bits().cast_signed();
    OpenOptions::new().read(true).custom_flags(flags).open(path)
}

#[cfg(not(unix))]
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).open(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_is_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, "0123456789").unwrap();
        assert_eq!(read(&path, 10).unwrap(), b"0123456789");
        let said = read(&path, 9).unwrap_err().to_string();
        assert_eq!(said, "it is longer than 9 bytes");
        let missing = read(&folder.path().join("none"), 9).unwrap_err();
        assert_eq!(missing.kind(), io::ErrorKind::NotFound);
    }

    #[cfg(unix)]
    #[test]
    fn other_kinds_are_refused_and_never_waited_for() {
        use rustix::fs::{CWD, FileType, Mode, mknodat};
        let folder = tempfile::tempdir().unwrap();
        let fifo = folder.path().join("fifo");
        mknodat(CWD, &fifo, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        for (path, said) in [
            (fifo.as_path(), "it is a FIFO and not a file"),
            (folder.path(), "it is a folder and not a file"),
            (Path::new("/dev/zero"), "it is a device and not a file"),
        ] {
            assert_eq!(read(path, 10).unwrap_err().to_string(), said);
        }
    }
}
