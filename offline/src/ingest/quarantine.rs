//! The quarantine: a CSV file of bad rows with their reasons.
//!
//! Its columns are `file`, `line` and `reason`, then the row's fields as they were, however many.
//! It describes the last run, even one that failed.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use crate::error::{BadRow, Error};

/// The columns before the row's own.
const COLUMNS: [&str; 3] = ["file", "line", "reason"];

/// Whether a file with this beginning is a quarantine of an earlier run.
pub(super) fn is_quarantine(head: &[u8]) -> bool {
    head.starts_with(COLUMNS.join(",").as_bytes())
}

pub(super) struct Quarantine {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl Quarantine {
    pub(super) fn create(path: &Path, header: &[String]) -> Result<Self, Error> {
        let writer = csv::WriterBuilder::new().flexible(true).from_path(path);
        let writer = writer.map_err(|error| failed(path, error))?;
        let mut quarantine = Self {
            path: path.to_owned(),
            writer,
        };
        let added = COLUMNS.into_iter();
        let names = added.chain(header.iter().map(String::as_str));
        quarantine.write(names.map(str::as_bytes))?;
        Ok(quarantine)
    }

    pub(super) fn add(&mut self, row: &BadRow, fields: &ByteRecord) -> Result<(), Error> {
        let line = row.line.to_string();
        let added = [row.file.as_bytes(), line.as_bytes(), row.reason.as_bytes()];
        self.write(added.into_iter().chain(fields.iter()))
    }

    /// Flushes everything and returns the path.
    pub(super) fn finish(mut self) -> Result<PathBuf, Error> {
        let flushed = self.writer.flush();
        flushed.map_err(|source| Error::Write {
            path: self.path.clone(),
            source,
        })?;
        Ok(self.path)
    }

    fn write<'f>(&mut self, fields: impl Iterator<Item = &'f [u8]>) -> Result<(), Error> {
        self.writer
            .write_record(fields)
            .map_err(|error| failed(&self.path, error))
    }
}

fn failed(path: &Path, error: csv::Error) -> Error {
    Error::Write {
        path: path.to_owned(),
        source: error.into(),
    }
}
