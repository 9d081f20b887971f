//! Files that people name: opened without waiting, and read within limits.

use rustix::fs::OFlags;
use std::fs::{File, FileType, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::Path;
use std::time::{Duration, Instant};

/// Time for the writer of a pipe to finish (chosen: a shell's `<(command)` takes less).
const PIPE_TIMEOUT: Duration = Duration::from_secs(10);
/// Pause between two reads of a pipe that has nothing yet.
const PIPE_PAUSE: Duration = Duration::from_millis(10);

/// A regular file, opened for reading; nothing else is waited for.
///
/// # Errors
/// It is something else, such as a folder, a FIFO or a device, which the message names, or cannot be opened.
pub fn open(path: &Path) -> io::Result<File> {
    let (file, kind) = open_any(path)?;
    match kind.is_file() {
        true => Ok(file),
        false => Err(other(&format!(
            "it is a {} and not a regular file",
            described(kind)
        ))),
    }
}

/// Anything that can be opened, and what it is.
fn open_any(path: &Path) -> io::Result<(File, FileType)> {
    // Without it, opening a FIFO waits forever for a writer.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    let kind = file.metadata()?.file_type();
    Ok((file, kind))
}

fn described(kind: FileType) -> &'static str {
    if kind.is_dir() {
        "folder"
    } else if kind.is_fifo() {
        "FIFO"
    } else {
        "device"
    }
}

/// The text of a regular file or a pipe. BLOCKS for as long as the disk takes, and at most ten seconds
/// for a pipe.
///
/// # Errors
/// It is something else, such as a device, is longer than `bytes_max`, is not UTF-8, or cannot be read.
pub fn read_text(path: &Path, bytes_max: u64) -> io::Result<String> {
    let (file, kind) = open_any(path)?;
    let mut limited = file.take(bytes_max + 1);
    let mut bytes = Vec::new();
    if kind.is_file() {
        limited.read_to_end(&mut bytes)?;
    } else if kind.is_fifo() {
        read_pipe(&mut limited, &mut bytes)?;
    } else {
        return Err(other(&format!(
            "it is a {} and neither a regular file nor a pipe",
            described(kind)
        )));
    }
    if bytes.len() as u64 > bytes_max {
        return Err(other(&format!("it is longer than {bytes_max} bytes")));
    }
    String::from_utf8(bytes).map_err(|_| other("it is not UTF-8"))
}

#[allow(
    clippy::disallowed_methods,
    reason = "a command that has nothing else to do waits for its own input"
)]
fn read_pipe(pipe: &mut impl Read, bytes: &mut Vec<u8>) -> io::Result<()> {
    let end = Instant::now() + PIPE_TIMEOUT;
    let mut piece = [0; 4096];
    loop {
        match pipe.read(&mut piece) {
            Ok(0) => return Ok(()),
            Ok(read) => bytes.extend_from_slice(&piece[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                if Instant::now() >= end {
                    return Err(other("its writer does not finish"));
                }
                std::thread::sleep(PIPE_PAUSE);
            }
            Err(error) => return Err(error),
        }
    }
}

fn other(why: &str) -> io::Error {
    io::Error::other(why.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use rustix::fs::{CWD, FileType, Mode, mknodat};
    use std::path::PathBuf;

    fn refusal(path: impl AsRef<Path>) -> String {
        read_text(path.as_ref(), 10).unwrap_err().to_string()
    }

    #[test]
    fn regular_file_is_read_up_to_the_limit() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "0123456789").unwrap();
        assert_eq!(read_text(&file, 10).unwrap(), "0123456789");
        assert!(open(&file).is_ok());
        std::fs::write(&file, "0123456789x").unwrap();
        assert_eq!(refusal(&file), "it is longer than 10 bytes");
        std::fs::write(&file, [0xff]).unwrap();
        assert_eq!(refusal(&file), "it is not UTF-8");
        assert!(read_text(&folder.path().join("none"), 10).is_err());
    }

    #[test]
    fn devices_and_folders_are_refused() {
        for (path, kind) in [
            ("/dev/zero", "device"),
            ("/dev/null", "device"),
            ("/", "folder"),
        ] {
            let why = format!("it is a {kind} and neither a regular file nor a pipe");
            assert_eq!(refusal(path), why);
            let why = format!("it is a {kind} and not a regular file");
            assert_eq!(open(path.as_ref()).unwrap_err().to_string(), why);
        }
    }

    #[test]
    fn pipe_is_read_while_it_has_a_writer_and_is_empty_without_one() {
        let folder = tempfile::tempdir().unwrap();
        let pipe: PathBuf = folder.path().join("pipe");
        mknodat(CWD, &pipe, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        assert_eq!(read_text(&pipe, 10).unwrap(), "");
        let why = open(&pipe).unwrap_err().to_string();
        assert_eq!(why, "it is a FIFO and not a regular file");
        // Opened for both, so that the open waits for nobody.
        let mut writer = OpenOptions::new()
            .read(true)
            .write(true)
            .open(&pipe)
            .unwrap();
        io::Write::write_all(&mut writer, b"0123456789x").unwrap();
        assert_eq!(refusal(&pipe), "it is longer than 10 bytes");
    }
}
