//! Free space for a download, checked before its first byte: a full disk is reported with the bytes needed
//! and free, not as the write that happened to fail.

use crate::Error;
use std::io;
use std::path::Path;

/// Whether the file system of `folder` has room for this many more bytes. Others write there too, so that
/// a download may still run out of space.
pub(crate) fn check(folder: &Path, need_bytes: u64, version: &str) -> Result<(), Error> {
    let free_bytes =
        free(folder).map_err(|source| Error::cache("reading the free space of", folder, source))?;
    if need_bytes <= free_bytes {
        return Ok(());
    }
    let doing =
        format!("fetching {version} needs {need_bytes} bytes, but only {free_bytes} are free in");
    Err(Error::cache(
        &doing,
        folder,
        io::ErrorKind::StorageFull.into(),
    ))
}

#[cfg(unix)]
fn free(folder: &Path) -> io::Result<u64> {
    let found = rustix::fs::statvfs(folder)?;
    Ok(found.f_bavail.saturating_mul(found.f_frsize))
}

/// Elsewhere the failing write reports it.
#[cfg(not(unix))]
fn free(_folder: &Path) -> io::Result<u64> {
    Ok(u64::MAX)
}
