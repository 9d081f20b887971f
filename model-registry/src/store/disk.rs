//! What only a local disk has where an object belongs: folders, FIFOs, sockets, devices. To open a FIFO
//! blocks for as long as nobody writes to it, so the kind is checked first. Listings are made here too:
//! one name that no object can have must not end them, as it does in the client's own listing.

use object_store::Error as StoreError;
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use std::fs::{FileType, Metadata};
use std::io;
use std::time::SystemTime;

/// Something else than a file lies at an object's path.
#[derive(Debug, thiserror::Error)]
#[error("it is a {0} and not a file")]
pub(super) struct NotAFile(&'static str);

/// One entry below a folder.
pub(super) struct Entry {
    /// The segments of its path below the folder.
    pub(super) below: Vec<String>,
    pub(super) size_bytes: u64,
    pub(super) modified: SystemTime,
    /// What it is, where it is no file.
    pub(super) kind: Option<&'static str>,
}

/// Refuses what is not a file. What cannot be examined is left to the call that follows.
pub(super) async fn check_is_file(disk: &LocalFileSystem, path: &Path) -> Result<(), StoreError> {
    let file = disk.path_to_filesystem(path)?;
    match tokio::fs::metadata(&file).await {
        Ok(found) => match kind(found.file_type()) {
            Some(kind) => Err(StoreError::Generic {
                store: "registry",
                source: Box::new(NotAFile(kind)),
            }),
            None => Ok(()),
        },
        Err(_) => Ok(()),
    }
}

/// Everything below a folder but folders, `depth` levels deep; at the last level folders, too. `None` where
/// there is more than `max`. A folder that does not exist has nothing below it.
#[expect(
    clippy::disallowed_methods,
    reason = "lists a folder, as the disk store itself does; bounded by `max` and off the request path"
)]
pub(super) async fn walk(
    disk: &LocalFileSystem,
    folder: &Path,
    depth: usize,
    max: usize,
) -> Result<Option<Vec<Entry>>, StoreError> {
    let root = disk.path_to_filesystem(folder)?;
    let walked = tokio::task::spawn_blocking(move || {
        let mut entries = Vec::new();
        visit(&root, &mut Vec::new(), depth, &mut |entry| {
            entries.push(entry);
            entries.len() <= max
        })?;
        Ok((entries.len() <= max).then_some(entries))
    });
    let walked = walked.await.map_err(io::Error::other);
    walked
        .and_then(|walked| walked)
        .map_err(|source| StoreError::Generic {
            store: "registry",
            source: Box::new(source),
        })
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
        kind: kind(found.file_type()),
    }
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
