//! What only a local disk has where an object belongs: folders, FIFOs, sockets, devices. To open a FIFO
//! blocks for as long as nobody writes to it, so the kind is checked first. Listings are made here too:
//! one name that no object can have must not end them, as it does in the client's own listing.

use object_store::Error as StoreError;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use std::fs::{FileType, Metadata};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;
use tokio::sync::Semaphore;

/// Something else than a file lies at an object's path.
#[derive(Debug, thiserror::Error)]
#[error("it is a {0} and not a file")]
pub(super) struct NotAFile(&'static str);

/// Looks at files that may block at once (chosen: a look at a mount that hangs blocks a thread for as long as it
/// does, and a runtime has 512).
const LOOKS_MAX: usize = 32;

/// A local disk. Cheap to clone; clones share their looks.
#[derive(Clone, Debug)]
pub(crate) struct Disk {
    files: LocalFileSystem,
    looks: Arc<Semaphore>,
}

/// One entry below a folder.
pub(super) struct Entry {
    /// The segments of its path below the folder.
    pub(super) below: Vec<String>,
    pub(super) size_bytes: u64,
    pub(super) modified: SystemTime,
    /// Which file it is, where the system says so.
    pub(super) inode: Option<u64>,
    /// What it is, where it is no file.
    pub(super) kind: Option<&'static str>,
}

impl Disk {
    pub(crate) fn new(files: LocalFileSystem) -> Self {
        let looks = Arc::new(Semaphore::new(LOOKS_MAX));
        Self { files, looks }
    }

    /// Where an object lies.
    pub(super) fn place(&self, path: &Path) -> Result<PathBuf, StoreError> {
        self.files.path_to_filesystem(path)
    }

    /// Refuses what is not a file. What cannot be examined is left to the call that follows.
    pub(super) async fn check_is_file(&self, path: &Path) -> Result<(), StoreError> {
        let file = self.place(path)?;
        let found = self.look(move || std::fs::metadata(file)).await;
        match found.ok().and_then(|found| kind(found.file_type())) {
            Some(kind) => Err(StoreError::Generic {
                store: "registry",
                source: Box::new(NotAFile(kind)),
            }),
            None => Ok(()),
        }
    }

    /// Whether this is a folder.
    pub(super) async fn is_folder(&self, folder: &Path) -> Result<bool, StoreError> {
        let Ok(folder) = self.place(folder) else {
            return Ok(false);
        };
        let found = self.look(move || std::fs::metadata(folder)).await;
        Ok(found.is_ok_and(|found| found.is_dir()))
    }

    /// Everything below a folder but folders, `depth` levels deep; at the last level folders, too. `None`
    /// where there is more than `max`. A folder that does not exist has nothing below it.
    pub(super) async fn walk(
        &self,
        folder: &Path,
        depth: usize,
        max: usize,
    ) -> Result<Option<Vec<Entry>>, StoreError> {
        let root = self.place(folder)?;
        let walked = self.look(move || {
            let mut entries = Vec::new();
            visit(&root, &mut Vec::new(), depth, &mut |entry| {
                entries.push(entry);
                entries.len() <= max
            })?;
            Ok((entries.len() <= max).then_some(entries))
        });
        walked.await.map_err(|source| StoreError::Generic {
            store: "registry",
            source: Box::new(source),
        })
    }

    /// On a thread that may block. One that is abandoned keeps its place until it comes back.
    #[expect(
        clippy::disallowed_methods,
        reason = "looks at the disk, as the disk store itself does; bounded, and off the request path"
    )]
    async fn look<T: Send + 'static>(
        &self,
        look: impl FnOnce() -> io::Result<T> + Send + 'static,
    ) -> io::Result<T> {
        // Never closed.
        let place = Arc::clone(&self.looks).acquire_owned().await;
        let looked = tokio::task::spawn_blocking(move || {
            let _place = place;
            look()
        });
        looked.await.map_err(io::Error::other)?
    }
}

/// Calls `take` for every entry until it returns false.
fn visit(
    folder: &std::path::Path,
    below: &mut Vec<String>,
    depth: usize,
    take: &mut dyn FnMut(Entry) -> bool,
) -> io::Result<()> {
    let listing = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        listing => listing?,
    };
    for entry in listing {
        let entry = entry?;
        // Names that are not text, and those of the client's unfinished writes, are no object's.
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        // A link that leads nowhere, or a file that was removed meanwhile.
        let Ok(found) = std::fs::metadata(entry.path()) else {
            continue;
        };
        if name.contains('#') {
            continue;
        }
        below.push(name);
        if found.is_dir() && below.len() < depth {
            visit(&entry.path(), below, depth, take)?;
        } else if !take(described(below, &found)) {
            return Ok(());
        }
        below.pop();
    }
    Ok(())
}

fn described(below: &[String], found: &Metadata) -> Entry {
    Entry {
        below: below.to_vec(),
        size_bytes: found.len(),
        modified: found.modified().unwrap_or(SystemTime::UNIX_EPOCH),
        inode: inode(found),
        kind: kind(found.file_type()),
    }
}

#[cfg(unix)]
fn inode(found: &Metadata) -> Option<u64> {
    Some(std::os::unix::fs::MetadataExt::ino(found))
}

#[cfg(not(unix))]
fn inode(_found: &Metadata) -> Option<u64> {
    None
}

/// What it is, where it is no file.
pub(crate) fn kind(found: FileType) -> Option<&'static str> {
    if found.is_file() {
        return None;
    }
    Some(if found.is_dir() {
        "folder"
    } else {
        special(found)
    })
}

#[cfg(unix)]
fn special(found: FileType) -> &'static str {
    use std::os::unix::fs::FileTypeExt;
    if found.is_fifo() {
        "FIFO"
    } else if found.is_socket() {
        "socket"
    } else {
        "device"
    }
}

#[cfg(not(unix))]
fn special(_found: FileType) -> &'static str {
    "device"
}
