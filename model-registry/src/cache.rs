//! The private folder that parts are downloaded into: `<dir>/<model>/<upload>/<part>`. Beside the
//! uploads of a model lies its live set, `<dir>/<model>/live-set`.
//!
//! Uploads never change, so that a complete file stays valid; sealing verifies its bytes. Partial files
//! have names of their own and a lock that ends with their writer, so that after `kill -9` the next process
//! to open the folder removes them. All functions here block.

use crate::random::Random;
use crate::{Error, Manifest, ModelName, UploadId};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

mod live_set;
mod lock;
mod partial;
pub(crate) mod space;

pub use live_set::LiveSet;
pub use lock::CacheLock;
pub(crate) use partial::Partial;
use partial::{is_partial, remove_if_dead};

/// A folder of downloaded parts.
#[derive(Clone, Debug)]
pub struct CacheDir {
    path: PathBuf,
}

/// What [`CacheDir::evict_except`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Uploads removed.
    pub uploads: usize,
    /// Bytes freed.
    pub bytes: u64,
}

impl CacheDir {
    /// Creates the folder, readable by this user alone, verifies that it is writable, and removes partial
    /// files of dead writers. Files of live writers, in this or another process, stay.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        create_private(&path).map_err(|source| Error::cache("creating", &path, source))?;
        let cache = Self { path };
        let probe = Partial::create(&cache.path.join("probe"), Random::new(None).nonce()?)?;
        drop(probe);
        cache.sweep()?;
        Ok(cache)
    }

    /// Its path.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Evicts every upload of `model` but those named and those of the live set. For callers who have
    /// sealed what they serve: a fetch in flight into a removed folder fails and can be retried.
    ///
    /// # Errors
    /// [`Error::Cache`]; what was removed before stays removed.
    pub fn evict_except(
        &self,
        model: &ModelName,
        uploads: &BTreeSet<UploadId>,
    ) -> Result<Evicted, Error> {
        let mut evicted = Evicted::default();
        let persisted = self.persisted_uploads(model);
        for folder in entries(&self.path.join(model.as_str()))? {
            let name = folder.file_name().to_string_lossy().into_owned();
            match name.parse::<UploadId>() {
                Ok(upload) if !uploads.contains(&upload) && !persisted.contains(&upload) => {
                    evicted.bytes += remove_upload(&folder.path())?;
                    evicted.uploads += 1;
                }
                // Retained, or not an upload of this cache.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(evicted)
    }

    /// The folder of a version's parts.
    pub(crate) fn upload_folder(&self, manifest: &Manifest) -> PathBuf {
        self.path
            .join(manifest.model.as_str())
            .join(manifest.upload.to_string())
    }

    fn sweep(&self) -> Result<(), Error> {
        let below = |folders: Vec<fs::DirEntry>| -> Result<Vec<fs::DirEntry>, Error> {
            let folders = folders.iter().filter(|entry| entry.path().is_dir());
            let inside = folders.map(|entry| entries(&entry.path()));
            Ok(inside
                .collect::<Result<Vec<_>, _>>()?
                .into_iter()
                .flatten()
                .collect())
        };
        let top = entries(&self.path)?;
        let probes: Vec<PathBuf> = top.iter().map(fs::DirEntry::path).collect();
        let uploads = below(top)?;
        let live_sets: Vec<PathBuf> = uploads.iter().map(fs::DirEntry::path).collect();
        let parts = below(uploads)?;
        for path in probes
            .into_iter()
            .chain(live_sets)
            .chain(parts.iter().map(fs::DirEntry::path))
        {
            if is_partial(&path) {
                remove_if_dead(&path)?;
            }
        }
        Ok(())
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// The entries of a folder; none if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(|source| Error::cache("listing", folder, source))?,
    };
    let listed: io::Result<Vec<_>> = listing.collect();
    listed.map_err(|source| Error::cache("listing", folder, source))
}

fn remove_upload(folder: &Path) -> Result<u64, Error> {
    let sizes = entries(folder)?
        .into_iter()
        .filter_map(|entry| entry.metadata().ok());
    let bytes = sizes.map(|meta| meta.len()).sum();
    fs::remove_dir_all(folder).map_err(|source| Error::cache("removing", folder, source))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
