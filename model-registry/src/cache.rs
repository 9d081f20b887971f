//! The private folder that parts are downloaded into: `<dir>/<model>/<upload>/<part>`. Beside the
//! uploads of a model stands what was live last, `<dir>/<model>/live-set`.
//!
//! Uploads never change, so that a complete file is good for ever; whether its bytes are right is
//! found out when it is sealed. Files under way are named apart and carry a lock that dies with
//! their writer, so that after `kill -9` the next one to open the folder clears them away.
//! All functions here block.

use crate::random::Random;
use crate::{Error, Manifest, ModelName, UploadId};
use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

mod live_set;
mod partial;
pub(crate) mod space;

pub use live_set::LiveSet;
pub(crate) use partial::Partial;
use partial::{is_partial, remove_if_dead};

/// A folder of downloaded parts.
#[derive(Clone, Debug)]
pub struct CacheDir {
    path: PathBuf,
}

/// What [`CacheDir::keep_only`] removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Evicted {
    /// Uploads removed.
    pub uploads: usize,
    /// Bytes freed.
    pub bytes: u64,
}

impl CacheDir {
    /// Creates the folder, readable by this user alone, proves that files can be made in it, and
    /// removes what dead writers left half done. Files of writers that live, in this or another
    /// process, stay.
    ///
    /// # Errors
    /// [`Error::Cache`].
    pub fn open(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref().to_owned();
        create_private(&path).map_err(|source| failed("creating", &path, source))?;
        let cache = Self { path };
        let probe = Partial::create(&cache.path.join("probe"), Random::new(None).nonce()?)?;
        drop(probe);
        cache.sweep()?;
        Ok(cache)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes every upload of `model` but those named and those that are remembered as live. For
    /// callers who have sealed what they serve: a fetch that is under way in a removed folder fails
    /// and can be retried.
    ///
    /// # Errors
    /// [`Error::Cache`]; what was removed before stays removed.
    pub fn keep_only(
        &self,
        model: &ModelName,
        uploads: &BTreeSet<UploadId>,
    ) -> Result<Evicted, Error> {
        let mut evicted = Evicted::default();
        let remembered = self.remembered_uploads(model);
        for folder in entries(&self.path.join(model.as_str()))? {
            let name = folder.file_name().to_string_lossy().into_owned();
            match name.parse::<UploadId>() {
                Ok(upload) if !uploads.contains(&upload) && !remembered.contains(&upload) => {
                    evicted.bytes += remove_upload(&folder.path())?;
                    evicted.uploads += 1;
                }
                // Kept, or nothing that this cache ever made.
                Ok(_) | Err(_) => {}
            }
        }
        Ok(evicted)
    }

    /// Where a version's parts are kept.
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

/// An error about a path of the cache.
pub(crate) fn failed(doing: &str, path: &Path, source: io::Error) -> Error {
    Error::Cache {
        what: format!("{doing} {}", path.display()),
        source,
    }
}

fn create_private(path: &Path) -> io::Result<()> {
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// What stands in a folder; nothing if there is no such folder.
fn entries(folder: &Path) -> Result<Vec<fs::DirEntry>, Error> {
    let listing = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        listing => listing.map_err(|source| failed("listing", folder, source))?,
    };
    let listed: io::Result<Vec<_>> = listing.collect();
    listed.map_err(|source| failed("listing", folder, source))
}

fn remove_upload(folder: &Path) -> Result<u64, Error> {
    let sizes = entries(folder)?
        .into_iter()
        .filter_map(|entry| entry.metadata().ok());
    let bytes = sizes.map(|meta| meta.len()).sum();
    fs::remove_dir_all(folder).map_err(|source| failed("removing", folder, source))?;
    Ok(bytes)
}

#[cfg(test)]
mod tests;
