//! A partial file: `<part>.partial-<nonce>`, locked by its writer, renamed when it is complete.
//!
//! The lock is the system's own on the open file, so that it ends with the writer, even by SIGKILL. A
//! sweeper that acquires it knows that the writer is gone.

use crate::{Error, Nonce};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, SeekFrom, Write};
use std::path::{Path, PathBuf};
use tokio::io::{AsyncSeekExt, AsyncWriteExt};

const MARK: &str = ".partial-";
/// Attempts to create a file while sweepers open the folder at the same moment (chosen).
const CREATE_TRIES: usize = 8;

/// A file being written; removed when dropped unfinished.
#[derive(Debug)]
pub(crate) struct Partial {
    file: tokio::fs::File,
    path: PathBuf,
    target: PathBuf,
    is_finished: bool,
}

impl Partial {
    /// A new empty file beside `target`.
    pub(crate) fn create(target: &Path, nonce: Nonce) -> Result<Self, Error> {
        for attempt in 0..CREATE_TRIES {
            let mut name = target.as_os_str().to_owned();
            name.push(format!("{MARK}{nonce}-{attempt}"));
            let path = PathBuf::from(name);
            let file = OpenOptions::new().write(true).create_new(true).open(&path);
            let file = file.map_err(|source| Error::cache("creating", &path, source))?;
            match file.try_lock() {
                // A sweeper holds it between our two calls, and will remove it.
                Err(TryLockError::WouldBlock) => continue,
                // Without locks on this file system sweepers leave every partial file alone.
                Ok(()) | Err(TryLockError::Error(_)) => {}
            }
            if is_linked(&file).map_err(|source| Error::cache("reading", &path, source))? {
                let file = tokio::fs::File::from_std(file);
                let target = target.to_owned();
                return Ok(Self {
                    file,
                    path,
                    target,
                    is_finished: false,
                });
            }
        }
        let source = io::Error::other("other processes kept removing it");
        Err(Error::cache("creating a file next to", target, source))
    }

    /// Writes `bytes` at `start`.
    pub(crate) async fn write_at(&mut self, start: u64, bytes: &[u8]) -> Result<(), Error> {
        let written = async {
            self.file.seek(SeekFrom::Start(start)).await?;
            self.file.write_all(bytes).await?;
            self.file.flush().await
        };
        written.await.map_err(|source| {
            let doing = format!("writing {} bytes at {start} of", bytes.len());
            Error::cache(&doing, &self.path, source)
        })
    }

    /// Syncs the bytes, then renames the file.
    pub(crate) async fn finish(mut self) -> Result<(), Error> {
        let finished = async {
            self.file.sync_all().await?;
            tokio::fs::rename(&self.path, &self.target).await
        };
        finished
            .await
            .map_err(|source| Error::cache("finishing", &self.path, source))?;
        self.is_finished = true;
        Ok(())
    }

    /// The whole file at once: written, synced, renamed, and the name synced too. BLOCKS.
    pub(crate) fn finish_with(mut self, bytes: &[u8]) -> Result<(), Error> {
        let finish = || {
            // The lock is held by the first handle all the while.
            let mut file = OpenOptions::new().write(true).open(&self.path)?;
            file.write_all(bytes)?;
            file.sync_all()?;
            fs::rename(&self.path, &self.target)?;
            self.target.parent().map_or(Ok(()), sync_folder)
        };
        finish().map_err(|source| Error::cache("writing", &self.target, source))?;
        self.is_finished = true;
        Ok(())
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.is_finished {
            // What cannot be removed now is removed when the folder is opened next.
            let _removed = fs::remove_file(&self.path);
        }
    }
}

/// Whether `path` is named like a partial file.
pub(super) fn is_partial(path: &Path) -> bool {
    path.file_name()
        .is_some_and(|name| name.to_string_lossy().contains(MARK))
}

/// Removes a partial file whose writer is gone.
pub(super) fn remove_if_dead(path: &Path) -> Result<(), Error> {
    // To open a FIFO would block.
    if fs::metadata(path).is_ok_and(|found| !found.is_file()) {
        return Ok(());
    }
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        file => file.map_err(|source| Error::cache("opening", path, source))?,
    };
    if file.try_lock().is_err() {
        return Ok(());
    }
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(Error::cache("removing", path, error))
        }
        _ => Ok(()),
    }
}

#[cfg(unix)]
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Elsewhere folders cannot be opened as files.
#[cfg(not(unix))]
fn sync_folder(_folder: &Path) -> io::Result<()> {
    Ok(())
}

/// Whether the open file still has a name.
#[cfg(unix)]
fn is_linked(file: &File) -> io::Result<bool> {
    use std::os::unix::fs::MetadataExt;
    Ok(file.metadata()?.nlink() > 0)
}

/// Elsewhere an open file cannot be removed.
#[cfg(not(unix))]
fn is_linked(_file: &File) -> io::Result<bool> {
    Ok(true)
}
