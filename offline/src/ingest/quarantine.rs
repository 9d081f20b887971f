//! Bad rows kept in a file of their own, so that nothing is lost without a trace.
//!
//! The file is CSV: `file`, `line` and `reason` first, then the row's fields as they stood (a row
//! with too many or too few has them all the same). It always describes the last run, also one
//! that failed.

use std::fs::File;
use std::path::{Path, PathBuf};

use csv::ByteRecord;

use crate::error::{BadRow, Error};

pub(super) struct SetAside {
    path: PathBuf,
    writer: csv::Writer<File>,
}

impl SetAside {
    pub(super) fn create(path: &Path, header: &[String]) -> Result<Self, Error> {
        let writer = csv::WriterBuilder::new().flexible(true).from_path(path);
        let writer = writer.map_err(|error| failed(path, error))?;
        let mut set_aside = Self {
            path: path.to_owned(),
            writer,
        };
        let added = ["file", "line", "reason"].into_iter();
        let names = added.chain(header.iter().map(String::as_str));
        set_aside.write(names.map(str::as_bytes))?;
        Ok(set_aside)
    }

    pub(super) fn keep(&mut self, row: &BadRow, fields: &ByteRecord) -> Result<(), Error> {
        let line = row.line.to_string();
        let added = [row.file.as_bytes(), line.as_bytes(), row.reason.as_bytes()];
        self.write(added.into_iter().chain(fields.iter()))
    }

    /// The path, with everything written.
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
