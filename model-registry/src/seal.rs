//! From the cache folder into memory that this process owns: one pass that reads and hashes.
//!
//! The file is not read again afterwards, so that truncating or altering it does no harm. Memory starts
//! at a multiple of 64 bytes: arrays of any number type can be read in place, and rows start on cache
//! lines.

use crate::{Error, PartEntry, Sha256Digest};
use bytes::Bytes;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::PathBuf;

/// Bytes between two calls of `breathe`.
const SLICE_BYTES: usize = 128 << 10;

/// Fetches of one part before its bytes count as those of the store (chosen: what a proxy, a network card
/// or a memory bit corrupts is right the second time; what is wrong twice stays wrong).
pub(crate) const FETCHES_MAX: u32 = 2;

/// A version's parts as complete files of the cache, their bytes not yet verified.
#[derive(Debug)]
pub struct LocalParts {
    /// How messages name the version.
    pub(crate) version: String,
    pub(crate) parts: Vec<LocalPart>,
    /// Fetches of one part in all; at most [`FETCHES_MAX`].
    pub(crate) fetches_max: u32,
}

/// One of them.
#[derive(Debug)]
pub(crate) struct LocalPart {
    pub(crate) entry: PartEntry,
    pub(crate) path: PathBuf,
    /// How often it was fetched for this load; 0: it was in the cache before.
    pub(crate) fetches: u32,
    /// Sealing refused it, and its file was deleted.
    pub(crate) is_refused: bool,
}

/// Where the refused bytes came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Damaged {
    /// A file that was in the cache before.
    InCache,
    /// Just fetched.
    InTransit,
}

impl LocalPart {
    pub(crate) const fn new(entry: PartEntry, path: PathBuf) -> Self {
        Self {
            entry,
            path,
            fetches: 0,
            is_refused: false,
        }
    }
}

/// One cache line.
#[derive(Clone, Copy, bytemuck::Zeroable, bytemuck::Pod)]
#[repr(C, align(64))]
struct Line([u8; 64]);

/// Owned memory of any length whose beginning is aligned.
struct Aligned {
    lines: Vec<Line>,
    len: usize,
}

impl AsRef<[u8]> for Aligned {
    fn as_ref(&self) -> &[u8] {
        &bytemuck::cast_slice(&self.lines)[..self.len]
    }
}

impl LocalParts {
    /// Bytes of all parts: what sealing will allocate.
    #[must_use]
    pub fn size_bytes(&self) -> u64 {
        self.parts.iter().map(|part| part.entry.size_bytes).sum()
    }

    /// Reads and hashes every part into owned memory, by name. BLOCKS: some 1 ms a MiB. `breathe` is
    /// called after each piece of at most 128 KiB and may sleep.
    ///
    /// # Errors
    /// [`Error::Corrupt`] naming the part, the expected and the found value; the file is deleted by then,
    /// and the error can be retried unless these were the bytes of a second fetch. All other damaged files
    /// are deleted too, so that [`crate::Registry::refetch`] fetches all of them.
    /// [`Error::Cache`] if the file cannot be read or there is no memory for it.
    pub fn seal(
        &mut self,
        breathe: &mut dyn FnMut(usize),
    ) -> Result<BTreeMap<String, Bytes>, Error> {
        let of = (self.version.as_str(), self.fetches_max);
        let mut sealed = BTreeMap::new();
        let mut parts = self.parts.iter_mut();
        while let Some(part) = parts.next() {
            match part.seal(of, breathe) {
                Ok(bytes) => drop(sealed.insert(part.entry.name.to_string(), bytes)),
                Err(error) => {
                    drop(sealed);
                    for part in parts {
                        // Their errors say nothing that this one does not.
                        let _sealed = part.seal(of, breathe);
                    }
                    return Err(error);
                }
            }
        }
        Ok(sealed)
    }

    /// Where the parts that [`LocalParts::seal`] refused were damaged, if another fetch can help: none was
    /// fetched twice, or once where the limit is one try.
    #[must_use]
    pub fn damaged(&self) -> Option<Damaged> {
        let refused = || self.parts.iter().filter(|part| part.is_refused);
        match refused().next()?.fetches {
            _ if refused().any(|part| part.fetches >= self.fetches_max) => None,
            0 => Some(Damaged::InCache),
            _ => Some(Damaged::InTransit),
        }
    }
}

impl LocalPart {
    fn seal(
        &mut self,
        (version, fetches_max): (&str, u32),
        breathe: &mut dyn FnMut(usize),
    ) -> Result<Bytes, Error> {
        let expected = &self.entry;
        let cannot = |source| Error::cache("reading", &self.path, source);
        let mut file = File::open(&self.path).map_err(cannot)?;
        let found_bytes = file.metadata().map_err(cannot)?.len();
        if found_bytes != expected.size_bytes {
            let why = format!(
                "expected {} bytes, found {found_bytes}",
                expected.size_bytes
            );
            // It had the right size when it was fetched, so that the damage is the cache's.
            return Err(self.refuse(version, why, true));
        }
        let (memory, found) = match read(&mut file, found_bytes, breathe) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                let why = format!(
                    "expected {} bytes, the file ended early",
                    expected.size_bytes
                );
                return Err(self.refuse(version, why, true));
            }
            outcome => outcome.map_err(cannot)?,
        };
        if found != expected.sha256 {
            let why = format!("expected sha256 {}, found {found}", expected.sha256);
            return Err(self.refuse(version, why, self.fetches < fetches_max));
        }
        Ok(Bytes::from_owner(memory))
    }

    fn refuse(&mut self, version: &str, why: String, is_refetchable: bool) -> Error {
        let removed = fs::remove_file(&self.path);
        // A file that stays would be reused and refused again and again.
        let is_gone = match removed {
            Ok(()) => true,
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        self.is_refused = is_gone;
        let what = format!("part {} of {version}", self.entry.name);
        Error::Corrupt {
            what,
            why,
            is_refetchable: is_refetchable && is_gone,
            source: None,
        }
    }
}

fn read(
    file: &mut File,
    len: u64,
    breathe: &mut dyn FnMut(usize),
) -> io::Result<(Aligned, Sha256Digest)> {
    let no_memory = || io::Error::from(io::ErrorKind::OutOfMemory);
    let len = usize::try_from(len).map_err(|_| no_memory())?;
    let lines = bytemuck::allocation::try_zeroed_vec::<Line>(len.div_ceil(64));
    let mut lines = lines.map_err(|()| no_memory())?;
    let mut hasher = Sha256::new();
    let bytes: &mut [u8] = bytemuck::cast_slice_mut(&mut lines);
    for slice in bytes[..len].chunks_mut(SLICE_BYTES) {
        file.read_exact(slice)?;
        hasher.update(&*slice);
        breathe(slice.len());
    }
    Ok((Aligned { lines, len }, Sha256Digest::finish(hasher)))
}
