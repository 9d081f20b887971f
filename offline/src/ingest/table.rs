//! The loop over the rows of a shop's files: drop rules, bad rows and their allowance, counts.
//!
//! ```text
//! file ─▶ unzip, hash ─▶ records ─▶ fields counted ─▶ drop rules ─▶ taker
//!                                        └────── bad row ──────┴──────┘─▶ set aside, or refused
//! ```
//!
//! What a row means is the [`Taker`]'s business; this file knows only that it may be refused.
//! Memory is one record, whatever the file's size.

use csv::ByteRecord;

use super::quarantine::SetAside;
use super::records::Records;
use super::row::{Column, Header, Reason, Row};
use super::source::Source;
use super::{Dropped, FileReport, SourceReport};
use crate::error::{BadRow, Error};
use crate::mapping::{Condition, SourceMapping};
use crate::progress::Progress;

/// Bad rows shown in a message, and the number at which reading stops when none is allowed.
const BAD_ROWS_SHOWN: usize = 10;
/// Rows between two movements of the progress bar.
const ROWS_PER_TICK: u64 = 4096;

/// Makes something of rows.
pub(super) trait Taker {
    /// Looks its columns up; called once, for files of one source share their header.
    fn bind(&mut self, header: &mut Header);
    /// Takes one row, leaves it out, or says why it is bad. A bad row must leave no trace.
    fn take(&mut self, row: &Row<'_>) -> Result<Taken, Reason>;
    /// What [`Taken::LeftOut`] means, for the report.
    fn left_out_because(&self) -> Option<String>;
}

pub(super) enum Taken {
    Kept,
    LeftOut,
}

/// Reads every file of a source.
pub(super) fn read(
    source: &SourceMapping,
    taker: &mut dyn Taker,
    progress: Progress,
) -> Result<SourceReport, Error> {
    let mut reading = Reading::new(source);
    let mut files = Vec::new();
    for (name, path) in &source.files {
        let opened = Source::open(path).map_err(|error| Error::Unreadable {
            path: path.clone(),
            source: error,
        })?;
        files.push(reading.file(name, opened, taker, progress)?);
    }
    reading.finish(files, taker)
}

struct Rule<'m> {
    column: Column,
    condition: &'m Condition,
}

struct Reading<'m> {
    source: &'m SourceMapping,
    header: Vec<String>,
    rules: Vec<Rule<'m>>,
    dropped: Vec<u64>,
    left_out: u64,
    kept: u64,
    bad: u64,
    first_bad: Vec<BadRow>,
    set_aside: Option<SetAside>,
}

impl<'m> Reading<'m> {
    fn new(source: &'m SourceMapping) -> Self {
        Self {
            source,
            header: Vec::new(),
            rules: Vec::new(),
            dropped: vec![0; source.drop.len()],
            left_out: 0,
            kept: 0,
            bad: 0,
            first_bad: Vec::new(),
            set_aside: None,
        }
    }

    fn file(
        &mut self,
        name: &str,
        source: Source,
        taker: &mut dyn Taker,
        progress: Progress,
    ) -> Result<FileReport, Error> {
        let bar = progress.bytes(&format!("reading {name}"), source.size_bytes);
        let account = source.account();
        let mut records = Records::new(name, source, self.source.delimiter);
        let header = records.header()?;
        if self.header.is_empty() {
            self.bind(name, header, taker)?;
        } else {
            self.check_same_header(name, &header)?;
        }
        let mut rows = 0;
        while let Some((line, record)) = records.next()? {
            rows += 1;
            if let Err(reason) = self.row(record, taker) {
                self.bad_row(
                    BadRow {
                        file: name.to_owned(),
                        line,
                        reason,
                    },
                    record,
                )?;
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

    fn bind(&mut self, file: &str, names: Vec<String>, taker: &mut dyn Taker) -> Result<(), Error> {
        let mut header = Header::new(file, names);
        let rules = self.source.drop.iter();
        self.rules = rules
            .map(|rule| Rule {
                column: header.column(&rule.column),
                condition: &rule.condition,
            })
            .collect();
        taker.bind(&mut header);
        self.header = header.check()?;
        if self.source.bad_rows.share > 0.0
            && let Some(path) = &self.source.bad_rows.file
        {
            self.set_aside = Some(SetAside::create(path, &self.header)?);
        }
        Ok(())
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

    fn row(&mut self, fields: &ByteRecord, taker: &mut dyn Taker) -> Result<(), Reason> {
        let (found, wanted) = (fields.len(), self.header.len());
        if found != wanted {
            return Err(format!("{found} fields, where the header has {wanted}"));
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
        match taker.take(&row)? {
            Taken::Kept => self.kept += 1,
            Taken::LeftOut => self.left_out += 1,
        }
        Ok(())
    }

    fn bad_row(&mut self, bad: BadRow, fields: &ByteRecord) -> Result<(), Error> {
        self.bad += 1;
        if let Some(set_aside) = &mut self.set_aside {
            set_aside.keep(&bad, fields)?;
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

    fn finish(mut self, files: Vec<FileReport>, taker: &dyn Taker) -> Result<SourceReport, Error> {
        let set_aside = self.set_aside.take().map(SetAside::finish).transpose()?;
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
        if let Some(reason) = taker.left_out_because() {
            dropped.push(Dropped {
                reason,
                rows: self.left_out,
            });
        }
        Ok(SourceReport {
            files,
            rows,
            dropped,
            bad_rows: self.bad,
            set_aside,
            kept: self.kept,
        })
    }
}
