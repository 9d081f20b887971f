//! One process a cache folder: `<dir>/.lock`, held for as long as the process lives. Two servers in one
//! folder would evict each other's files and report under one replica's name.

use super::CacheDir;
use crate::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read, Write};

/// The lock's file; no model's folder starts with a dot.
const FILE: &str = ".lock";
/// Longest text of a lock file that is read, in bytes (chosen: a process id and a path).
const TEXT_BYTES_MAX: u64 = 4_096;

/// A locked cache folder; the lock ends with this value or with the process, even by SIGKILL.
#[derive(Debug)]
pub struct CacheLock {
    _file: File,
}

impl CacheDir {
    /// Locks the folder for this process. BLOCKS for one small write. Where the file system has no locks,
    /// a warning is all there is.
    ///
    /// # Errors
    /// [`Error::Cache`] naming the process that holds the lock, its program and the folder.
    pub fn lock(&self) -> Result<CacheLock, Error> {
        let path = self.path().join(FILE);
        let failed = |source| Error::cache("locking", &path, source);
        if let Ok(found) = std::fs::metadata(&path)
            && let Some(kind) = crate::store::disk::kind(found.file_type())
        {
            return Err(failed(io::Error::other(format!(
                "it is a {kind} and not a file"
            ))));
        }
        let mut options = OpenOptions::new();
        let file = options.read(true).write(true).create(true).truncate(false);
        let mut file = file.open(&path).map_err(failed)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let holder = holder(&mut file);
                let doing = format!(
                    "in use by {holder}; give every server a cache_dir of its own. The folder is"
                );
                let source = io::ErrorKind::ResourceBusy.into();
                return Err(Error::cache(&doing, self.path(), source));
            }
            Err(TryLockError::Error(error)) => {
                tracing::warn!(%error, path = %path.display(), "file system does not support locks; two servers may share the cache folder");
            }
        }
        // For the process that finds the folder locked; the lock holds without this text, too.
        let program = std::env::current_exe().unwrap_or_default();
        let text = format!("{} {}\n", std::process::id(), program.display());
        let written = file
            .set_len(0)
            .and_then(|()| file.write_all(text.as_bytes()));
        if let Err(error) = written {
            tracing::warn!(%error, path = %path.display(), "cannot record the holder of the lock");
        }
        Ok(CacheLock { _file: file })
    }
}

/// Who holds the lock, in words.
fn holder(file: &mut File) -> String {
    let mut text = String::new();
    let read = file.take(TEXT_BYTES_MAX).read_to_string(&mut text);
    let text = crate::json::printable(text.trim(), TEXT_BYTES_MAX as usize);
    match (read, text.split_once(' ')) {
        (Ok(_), Some((pid, program))) => format!("process {pid} ({program})"),
        _ => "another process".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn second_process_of_a_folder_is_refused_naming_the_first_and_the_folder() {
        let dir = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(dir.path()).unwrap();
        let first = cache.lock().unwrap();
        let second = CacheDir::open(dir.path()).unwrap();
        let said = second.lock().unwrap_err().to_string();
        for part in [
            format!("process {} (", std::process::id()),
            dir.path().display().to_string(),
        ] {
            assert!(said.contains(&part), "{said}");
        }
        drop(first);
        second.lock().unwrap();
    }

    #[test]
    fn folder_reached_by_another_path_is_the_same_folder() {
        let dir = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(dir.path().join("cache")).unwrap();
        let _first = cache.lock().unwrap();
        #[cfg(unix)]
        {
            let link = dir.path().join("link");
            std::os::unix::fs::symlink(cache.path(), &link).unwrap();
            assert!(CacheDir::open(&link).unwrap().lock().is_err());
        }
        let dotted = dir.path().join("cache/../cache");
        assert!(CacheDir::open(dotted).unwrap().lock().is_err());
    }

    /// A holder that wrote nothing, or words of somebody else.
    #[test]
    fn lock_file_with_junk_is_still_locked() {
        let dir = tempfile::tempdir().unwrap();
        let cache = CacheDir::open(dir.path()).unwrap();
        let _first = cache.lock().unwrap();
        std::fs::write(dir.path().join(FILE), b"\xff\x1b[2J").unwrap();
        let said = cache.lock().unwrap_err().to_string();
        assert!(said.contains("in use by another process"), "{said}");
    }
}
