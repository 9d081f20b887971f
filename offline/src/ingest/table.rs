//! The loop over the rows of a source: drop rules, bad rows and their allowance, counts.
//!
//! ```text
//! file ─▶ unzip, hash ─▶ records ─▶ field count ─▶ drop rules ─▶ row sink
//!                                        └───── bad row ──┴──────────┘─▶ quarantine, or an error
//! ```
//!
//! A [`RowSink`] parses the rows; this file only counts the outcomes. Memory is one record,
//! whatever the file's size.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use csv::ByteRecord;

use super::quarantine::Quarantine;
use super::quotes::{QuoteTracker, SWALLOWED, swallowed_rows};
use super::records::Records;
use super::report::{Dropped, FileReport, SourceReport};
use super::row::{Column, Header, Reason, Row};
use super::source::Source;
use crate::error::{BadRow, Error};
use crate::mapping::{Condition, Quoting, SourceMapping};
use crate::progress::Progress;

/// Bad rows shown in a message; reading stops after as many if none is allowed.
const BAD_ROWS_SHOWN: usize = 10;
/// Rows between two updates of the progress bar.
const ROWS_PER_TICK: u64 = 4096;

/// Consumes rows.
pub(super) trait RowSink {
    /// Looks up its columns; called once, because the files of a source share their header.
    fn bind(&mut self, header: &mut Header);
    /// Keeps or skips a row, or returns why it is bad. A bad row must leave no trace.
    fn accept(&mut self, row: &Row<'_>) -> Result<Outcome, Reason>;
    /// Called before the rows of the first test file, if there are such files.
    fn start_test(&mut self) {}
    /// Whether a line within a quoted field would be a good row.
    fn reads_as_row(&self, row: &Row<'_>) -> bool;
    /// Why reading must stop, if what was kept exceeds a limit.
    fn over_limit(&self) -> Option<String>;
    /// Why rows are skipped, for the report.
    fn skip_reason(&self) -> Option<String>;
}

/// What a sink did with a row.
pub(super) enum Outcome {
    Kept,
    Skipped,
}

/// Reads every file of a source, then the test files, whose rows have the same columns and rules.
pub(super) fn read(
    source: &SourceMapping,
    test: &[(String, PathBuf)],
    sink: &mut dyn RowSink,
    progress: Progress,
) -> Result<SourceReport, Error> {
    let mut ingestion = Ingestion::new(source);
    let mut files = Vec::new();
    let all = source.files.iter().chain(test).enumerate();
    for (at, (name, path)) in all {
        if at == source.files.len() {
            sink.start_test();
        }
        let quotes = (source.quoting != Quoting::None)
            .then(|| Rc::new(RefCell::new(QuoteTracker::new(source.delimiter))));
        let opened = Source::open(path, quotes).map_err(|error| Error::Unreadable {
            path: path.clone(),
            source: error,
        })?;
        files.push(ingestion.file(name, opened, sink, progress)?);
    }
    ingestion.finish(files, sink)
}

fn misquoted(file: &str, line: u64) -> Error {
    Error::Quote {
        file: file.to_owned(),
        line,
        why: SWALLOWED,
    }
}

struct Rule<'m> {
    column: Column,
    condition: &'m Condition,
}

struct Ingestion<'m> {
    source: &'m SourceMapping,
    header: Vec<String>,
    rules: Vec<Rule<'m>>,
    dropped: Vec<u64>,
    skipped: u64,
    kept: u64,
    bad: u64,
    first_bad: Vec<BadRow>,
    quarantine: Option<Quarantine>,
}

impl<'m> Ingestion<'m> {
    fn new(source: &'m SourceMapping) -> Self {
        Self {
            source,
            header: Vec::new(),
            rules: Vec::new(),
            dropped: vec![0; source.drop.len()],
            skipped: 0,
            kept: 0,
            bad: 0,
            first_bad: Vec::new(),
            quarantine: None,
        }
    }

    fn file(
        &mut self,
        name: &str,
        source: Source,
        sink: &mut dyn RowSink,
        progress: Progress,
    ) -> Result<FileReport, Error> {
        let bar = progress.bytes(&format!("reading {name}"), source.size_bytes);
        let account = source.account();
        let mut records = Records::new(name, source, self.source.delimiter);
        let header = records.header()?;
        if self.header.is_empty() {
            self.bind(name, header, sink)?;
        } else {
            self.check_same_header(name, &header)?;
        }
        let mut rows = 0;
        while let Some((line, record)) = records.next()? {
            rows += 1;
            if self.swallows_rows(record, sink) {
                return Err(misquoted(name, line));
            }
            if let Err(reason) = self.row(record, sink) {
                self.bad_row(
                    BadRow {
                        file: name.to_owned(),
                        line,
                        reason,
                    },
                    record,
                )?;
            }
            if let Some(why) = sink.over_limit() {
                return Err(Error::Broken {
                    file: name.to_owned(),
                    line,
                    why,
                });
            }
            if rows % ROWS_PER_TICK == 0 {
                bar.set_position(account.read_bytes());
            }
        }
        bar.finish_and_clear();
        Ok(FileReport {
            name: name.to_owned(),
            sha256: account.sha256(),
            rows,
        })
    }

    fn bind(
        &mut self,
        file: &str,
        names: Vec<String>,
        sink: &mut dyn RowSink,
    ) -> Result<(), Error> {
        let mut header = Header::new(file, names);
        let rules = self.source.drop.iter();
        self.rules = rules
            .map(|rule| Rule {
                column: header.column(&rule.column),
                condition: &rule.condition,
            })
            .collect();
        sink.bind(&mut header);
        self.header = header.check()?;
        if let Some(path) = self.source.bad_rows.quarantine() {
            self.quarantine = Some(Quarantine::create(path, &self.header)?);
        }
        Ok(())
    }

    /// Whether a line within a field of this record reads as a row: then a stray quote opened the
    /// field, and rows would silently be missing.
    fn swallows_rows(&self, record: &ByteRecord, sink: &dyn RowSink) -> bool {
        if self.source.quoting != Quoting::Quotes || !record.as_slice().contains(&b'\n') {
            return false;
        }
        swallowed_rows(record, self.source.delimiter).any(|fields| {
            let row = Row {
                names: &self.header,
                fields: &fields,
                nulls: &self.source.nulls,
            };
            sink.reads_as_row(&row)
        })
    }

    fn check_same_header(&self, file: &str, names: &[String]) -> Result<(), Error> {
        if names == self.header {
            return Ok(());
        }
        let first = self.source.files.first().map_or("", |(name, _)| name);
        let problem = format!("the header differs from that of {first}");
        Err(Error::Columns {
            file: file.to_owned(),
            problems: vec![problem],
            columns: names.to_vec(),
        })
    }

    fn row(&mut self, fields: &ByteRecord, sink: &mut dyn RowSink) -> Result<(), Reason> {
        let (found, expected) = (fields.len(), self.header.len());
        if found != expected {
            return Err(format!("{found} fields, where the header has {expected}"));
        }
        let row = Row {
            names: &self.header,
            fields,
            nulls: &self.source.nulls,
        };
        for (at, rule) in self.rules.iter().enumerate() {
            let text = row.text(rule.column)?;
            if rule
                .condition
                .drops(text)
                .map_err(|why| row.about(rule.column, &why))?
            {
                self.dropped[at] += 1;
                return Ok(());
            }
        }
        match sink.accept(&row)? {
            Outcome::Kept => self.kept += 1,
            Outcome::Skipped => self.skipped += 1,
        }
        Ok(())
    }

    fn bad_row(&mut self, bad: BadRow, fields: &ByteRecord) -> Result<(), Error> {
        self.bad += 1;
        if let Some(quarantine) = &mut self.quarantine {
            quarantine.add(&bad, fields)?;
        }
        if self.first_bad.len() < BAD_ROWS_SHOWN {
            self.first_bad.push(bad);
        }
        let hopeless = self.source.bad_rows.share == 0.0 && self.first_bad.len() == BAD_ROWS_SHOWN;
        if hopeless {
            Err(self.too_many(false))
        } else {
            Ok(())
        }
    }

    fn too_many(&self, complete: bool) -> Error {
        Error::BadRows {
            bad: self.bad,
            allowed_share: self.source.bad_rows.share,
            complete,
            first: self.first_bad.clone(),
        }
    }

    fn finish(mut self, files: Vec<FileReport>, sink: &dyn RowSink) -> Result<SourceReport, Error> {
        let quarantine = self.quarantine.take().map(Quarantine::finish).transpose()?;
        let rows: u64 = files.iter().map(|file| file.rows).sum();
        if self.bad as f64 > self.source.bad_rows.share * rows as f64 {
            return Err(self.too_many(true));
        }
        let by_rule = self.source.drop.iter().zip(&self.dropped);
        let mut dropped: Vec<Dropped> = by_rule
            .map(|(rule, rows)| Dropped {
                reason: rule.name.clone(),
                rows: *rows,
            })
            .collect();
        if let Some(reason) = sink.skip_reason() {
            dropped.push(Dropped {
                reason,
                rows: self.skipped,
            });
        }
        Ok(SourceReport {
            files,
            rows,
            dropped,
            bad_rows: self.bad,
            quarantine,
            kept: self.kept,
        })
    }
}
