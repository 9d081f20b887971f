//! Opens one data file, plain or gzip, and hashes it while it is read.
//!
//! The first bytes identify gzip, not the name. The sha256 is that of the file on disk, so that
//! `sha256sum` can check it; it costs no second pass.

use std::cell::{Cell, RefCell};
use std::fs::File;
use std::io::{BufRead, BufReader, Read, Result};
use std::path::Path;
use std::rc::Rc;

use flate2::bufread::MultiGzDecoder;
use hotshelf_registry::Sha256Digest;
use sha2::{Digest, Sha256};

use super::newlines::{Quotes, RecordBytes, UniversalNewlines};

const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
const BUFFER_BYTES: usize = 1 << 16;

/// The text of a file, and an account of what was read.
pub(super) struct Source {
    /// Input of the CSV reader.
    pub(super) text: Box<dyn Read>,
    /// Reset when a record starts.
    pub(super) record_bytes: RecordBytes,
    pub(super) quotes: Quotes,
    /// Size of the file.
    pub(super) size_bytes: u64,
    read_bytes: Rc<Cell<u64>>,
    hash: Rc<RefCell<Sha256>>,
}

impl Source {
    /// Opens a file; `quotes` follows its text.
    pub(super) fn open(path: &Path, quotes: Quotes) -> Result<Self> {
        let file = hotshelf_terminal::file::open(path)?;
        let size_bytes = file.metadata()?.len();
        let (read_bytes, hash) = (Rc::default(), Rc::new(RefCell::new(Sha256::new())));
        let hashing = Hashing {
            inner: file,
            hash: Rc::clone(&hash),
            read_bytes: Rc::clone(&read_bytes),
        };
        let mut raw = BufReader::with_capacity(BUFFER_BYTES, hashing);
        let record_bytes = RecordBytes::default();
        let text: Box<dyn Read> = if raw.fill_buf()?.starts_with(&GZIP_MAGIC) {
            let plain = BufReader::with_capacity(BUFFER_BYTES, MultiGzDecoder::new(raw));
            Box::new(UniversalNewlines::new(
                plain,
                Rc::clone(&record_bytes),
                quotes.clone(),
            ))
        } else {
            Box::new(UniversalNewlines::new(
                raw,
                Rc::clone(&record_bytes),
                quotes.clone(),
            ))
        };
        Ok(Self {
            text,
            record_bytes,
            quotes,
            size_bytes,
            read_bytes,
            hash,
        })
    }
}

/// Bytes read by a [`Source`] so far, and their hash.
pub(super) struct Account {
    read_bytes: Rc<Cell<u64>>,
    hash: Rc<RefCell<Sha256>>,
}

impl Source {
    /// An account that outlives the reader.
    pub(super) fn account(&self) -> Account {
        Account {
            read_bytes: Rc::clone(&self.read_bytes),
            hash: Rc::clone(&self.hash),
        }
    }
}

impl Account {
    /// Bytes of the file on disk.
    pub(super) fn read_bytes(&self) -> u64 {
        self.read_bytes.get()
    }

    /// Hash of the bytes read; of the whole file at its end.
    pub(super) fn sha256(&self) -> Sha256Digest {
        Sha256Digest::from_bytes(self.hash.borrow().clone().finalize().into())
    }
}

struct Hashing {
    inner: File,
    hash: Rc<RefCell<Sha256>>,
    read_bytes: Rc<Cell<u64>>,
}

impl Read for Hashing {
    fn read(&mut self, out: &mut [u8]) -> Result<usize> {
        let taken = self.inner.read(out)?;
        self.hash.borrow_mut().update(&out[..taken]);
        self.read_bytes.set(self.read_bytes.get() + taken as u64);
        Ok(taken)
    }
}
