//! The CSV records of one file, with the lines where they start.

use std::io::Read;

use csv::ByteRecord;

use super::newlines::RecordBytes;
use super::source::Source;
use crate::error::Error;

const UTF16_MARKS: [&[u8]; 2] = [&[0xff, 0xfe], &[0xfe, 0xff]];

pub(super) struct Records {
    file: String,
    reader: csv::Reader<Box<dyn Read>>,
    record_bytes: RecordBytes,
    last_line: u64,
    record: ByteRecord,
}

impl Records {
    pub(super) fn new(file: &str, source: Source, delimiter: u8) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(delimiter)
            .from_reader(source.text);
        let record_bytes = source.record_bytes;
        Self {
            file: file.to_owned(),
            reader,
            record_bytes,
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
            Ok(false) => return Ok(None),
            Ok(true) => {}
            Err(error) => return Err(self.broken(&plain_cause(error))),
        }
        // The line after the record's own newline, which `UniversalNewlines` guarantees.
        let next_line = self.reader.position().line();
        self.last_line = next_line - 1;
        let inside = self
            .record
            .as_slice()
            .iter()
            .filter(|byte| **byte == b'\n')
            .count();
        Ok(Some((self.last_line - inside as u64, &self.record)))
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
