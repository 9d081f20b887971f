//! The files of a log's folder.

use crate::Error;
use std::fs::{File, TryLockError};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};

const OPEN: &str = "open";
const SEALED: &str = "sealed";
const IDS: &str = "ids";
const LOCK: &str = ".lock";
const WRITER: &str = ".writer";
/// Longest name of a writer, in bytes (chosen: four times what a replica may have).
const WRITER_BYTES_MAX: u64 = 256;

/// A segment's file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SegmentFile {
    /// Grows with every segment of this folder.
    pub number: u64,
    /// Where it lies.
    pub path: PathBuf,
    /// Whether it takes no more events.
    pub is_sealed: bool,
    /// Its size.
    pub bytes: u64,
}

/// A folder of segments. Reading needs no lock.
#[derive(Clone, Debug)]
pub struct Folder(PathBuf);

impl Folder {
    /// The folder at this path; it need not exist to be named.
    #[must_use]
    pub fn new(path: &Path) -> Self {
        Self(path.to_owned())
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Its segments, oldest first. BLOCKS.
    ///
    /// # Errors
    /// [`Error::Disk`].
    pub fn segments(&self) -> Result<Vec<SegmentFile>, Error> {
        let mut segments = Vec::new();
        for (number, ending, path) in self.numbered()? {
            if ending == IDS {
                continue;
            }
            let meta = std::fs::symlink_metadata(&path);
            match meta {
                Ok(meta) if meta.is_file() => segments.push(SegmentFile {
                    number,
                    is_sealed: ending == SEALED,
                    bytes: meta.len(),
                    path,
                }),
                Ok(_) => {
                    tracing::warn!(path = %path.display(), "not a file; ignored among the segments");
                }
                // Uploaded and removed since it was listed.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(source) => return Err(Error::disk("reading", &path)(source)),
            }
        }
        segments.sort_by_key(|segment| segment.number);
        Ok(segments)
    }

    /// Files of ids, oldest first.
    pub(crate) fn ids(&self) -> Result<Vec<(u64, PathBuf)>, Error> {
        let numbered = self.numbered()?.into_iter();
        let mut ids: Vec<_> = numbered
            .filter_map(|(number, ending, path)| (ending == IDS).then_some((number, path)))
            .collect();
        ids.sort();
        Ok(ids)
    }

    fn numbered(&self) -> Result<Vec<(u64, &'static str, PathBuf)>, Error> {
        let failed = Error::disk("listing", &self.0);
        let mut found = Vec::new();
        for entry in std::fs::read_dir(&self.0).map_err(&failed)? {
            let path = entry.map_err(&failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some((number, ending)) = name.and_then(|name| name.split_once('.')) else {
                continue;
            };
            let ending = [OPEN, SEALED, IDS].into_iter().find(|one| *one == ending);
            let is_number = number.len() == 12 && number.bytes().all(|b| b.is_ascii_digit());
            if let (Some(ending), true, Ok(number)) = (ending, is_number, number.parse()) {
                found.push((number, ending, path));
            }
        }
        Ok(found)
    }

    pub(crate) fn open_segment(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:012}.{OPEN}"))
    }

    pub(crate) fn sealed_segment(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:012}.{SEALED}"))
    }

    pub(crate) fn ids_of(&self, number: u64) -> PathBuf {
        self.0.join(format!("{number:012}.{IDS}"))
    }

    /// The name under which this folder's segments are uploaded: the stored one, else `name`, which is stored.
    /// A server that is renamed keeps it, so that a segment whose upload was cut short has one name. BLOCKS.
    pub(crate) fn writer_name(&self, name: &str) -> Result<String, Error> {
        let path = self.0.join(WRITER);
        let failed = Error::disk("reading", &path);
        let mut stored = String::new();
        match File::open(&path) {
            Ok(file) => {
                let mut file = file.take(WRITER_BYTES_MAX);
                file.read_to_string(&mut stored).map_err(failed)?;
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(source) => return Err(failed(source)),
        }
        let is_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        match stored.trim() {
            stored if !stored.is_empty() && stored.chars().all(is_name) => Ok(stored.to_owned()),
            _ => {
                write_durably(&path, name.as_bytes())?;
                Ok(name.to_owned())
            }
        }
    }

    /// Makes names that were created, renamed or removed survive a power cut.
    pub(crate) fn sync(&self) -> Result<(), Error> {
        sync_folder(&self.0)
    }

    /// Creates the folder, for its owner alone, and locks it until the file is closed.
    pub(crate) fn create_and_lock(&self) -> Result<File, Error> {
        let failed = Error::disk("creating", &self.0);
        let mut builder = std::fs::DirBuilder::new();
        builder.recursive(true);
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
        builder.create(&self.0).map_err(&failed)?;
        let path = self.0.join(LOCK);
        let failed = Error::disk("locking", &path);
        let mut options = File::options();
        let file = options.write(true).create(true).truncate(false);
        let file = file.open(&path).map_err(&failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(Error::Locked(self.0.clone())),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

fn sync_folder(folder: &Path) -> Result<(), Error> {
    let synced = File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(Error::disk("syncing", folder))
}

/// A file that is there as a whole or not at all. BLOCKS.
pub(crate) fn write_durably(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    let failed = Error::disk("writing", path);
    let partial = path.with_extension("partial");
    let mut file = File::create(&partial).map_err(&failed)?;
    file.write_all(bytes).map_err(&failed)?;
    file.sync_all().map_err(&failed)?;
    std::fs::rename(&partial, path).map_err(&failed)?;
    path.parent().map_or(Ok(()), sync_folder)
}
