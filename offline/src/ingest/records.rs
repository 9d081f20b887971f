//! The CSV records of one file, with the lines where they start.

use std::io::Read;

use csv::ByteRecord;

use super::newlines::{Quotes, RecordBytes};
use super::quotes::{SWALLOWED, swallowed_rows};
use super::source::Source;
use crate::error::Error;

const UTF16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

pub(super) struct Records {
    file: String,
    delimiter: u8,
    reader: csv::Reader<Box<dyn Read>>,
    record_bytes: RecordBytes,
    quotes: Quotes,
    last_line: u64,
    record: ByteRecord,
}

impl Records {
    pub(super) fn new(file: &str, source: Source, delimiter: u8) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .quoting(source.quotes.is_some())
            .from_reader(source.text);
        let record_bytes = source.record_bytes;
        Self {
            file: file.to_owned(),
            delimiter,
            reader,
            record_bytes,
            quotes: source.quotes,
            last_line: 0,
            record: ByteRecord::new(),
        }
    }

    /// The column names.
    pub(super) fn header(&mut self) -> Result<Vec<String>, Error> {
        let Some((_, header)) = self.next()? else {
            return Err(self.broken("the file is empty"));
        };
        let first = header.get(0).unwrap_or_default();
        if UTF16_MARKS.iter().any(|mark| first.starts_with(mark)) {
            return Err(self.broken("the text is UTF-16; it must be UTF-8"));
        }
        let columns = self.record.len();
        let delimiter = self.delimiter;
        if swallowed_rows(&self.record, delimiter).any(|row| row.len() == columns) {
            return Err(self.misquoted(1, SWALLOWED));
        }
        let names = self
            .record
            .iter()
            .map(|name| String::from_utf8_lossy(name).trim().to_owned());
        Ok(names.collect())
    }

    /// The next record and the line where it starts; None at the end of the file.
    pub(super) fn next(&mut self) -> Result<Option<(u64, &ByteRecord)>, Error> {
        self.record_bytes.set(0);
        match self.reader.read_byte_record(&mut self.record) {
            Ok(false) => {
                self.check_quotes(u64::MAX)?;
                return Ok(None);
            }
            Ok(true) => {}
            Err(error) => return Err(self.broken(&plain_cause(error))),
        }
        // The line after the record's own newline, which `UniversalNewlines` guarantees.
        let next_line = self.reader.position().line();
        self.last_line = next_line - 1;
        self.check_quotes(self.last_line)?;
        let inside = self
            .record
            .as_slice()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        Ok(Some((self.last_line - inside as u64, &self.record)))
    }

    /// Errs if a quote goes wrong in the lines up to `line`.
    fn check_quotes(&self, line: u64) -> Result<(), Error> {
        let quotes = self.quotes.as_ref();
        match quotes.and_then(|quotes| quotes.borrow().problem(line)) {
            Some(problem) => Err(self.misquoted(problem.opened, problem.why)),
            None => Ok(()),
        }
    }

    /// A quote on `line` swallows rows.
    fn misquoted(&self, line: u64, why: &'static str) -> Error {
        Error::Quote {
            file: self.file.clone(),
            line,
            why,
        }
    }

    fn broken(&self, why: &str) -> Error {
        Error::Broken {
            file: self.file.clone(),
            line: self.last_line,
            why: why.to_owned(),
        }
    }
}

fn plain_cause(error: csv::Error) -> String {
    match error.into_kind() {
        csv::ErrorKind::Io(source) => source.to_string(),
        other => format!("{other:?}"),
    }
}
