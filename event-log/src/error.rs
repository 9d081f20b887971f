//! Why events were not taken, or not read.

use std::io;
use std::path::{Path, PathBuf};

/// An error of the log.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The segments that wait for their upload have reached the limit.
    #[error(
        "{held} bytes of events wait for their upload, the limit is {limit}; nothing was written"
    )]
    Full {
        /// Bytes on disk, with the refused ones.
        held: u64,
        /// The limit.
        limit: u64,
    },
    /// More batches wait for the disk than the queue holds.
    #[error("{0} batches of events wait for the disk already; nothing was written")]
    Busy(usize),
    /// One batch is larger than a block may be.
    #[error("a batch of {found} bytes, the limit is {limit}; send fewer events at a time")]
    TooLarge {
        /// Bytes of the batch.
        found: usize,
        /// The limit.
        limit: usize,
    },
    /// The writer has ended, by a shutdown or a panic.
    #[error("the event log is closed")]
    Closed,
    /// Another process has the folder.
    #[error("{} is in use by another process; give every server a folder of its own", .0.display())]
    Locked(PathBuf),
    /// The disk failed. Nothing of the batch is acknowledged.
    #[error("{doing} {}", path.display())]
    Disk {
        /// What failed.
        doing: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's reason.
        source: io::Error,
    },
    /// A file is no segment.
    #[error("{} is no segment of events: {reason}", path.display())]
    Corrupt {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// Columns could not be written.
    #[error("writing Parquet")]
    Parquet(#[from] parquet::errors::ParquetError),
    /// Columns of unequal lengths, which is a bug.
    #[error("building columns")]
    Columns(#[from] arrow_schema::ArrowError),
    /// The object store failed.
    #[error("uploading {object}")]
    Store {
        /// The object.
        object: String,
        /// The store's reason.
        source: object_store::Error,
    },
}

impl Error {
    pub(crate) fn disk(doing: &'static str, path: &Path) -> impl Fn(io::Error) -> Self + use<> {
        let path = path.to_owned();
        move |source| Self::Disk {
            doing,
            path: path.clone(),
            source,
        }
    }
}
