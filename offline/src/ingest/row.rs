//! A header with its columns looked up once, and a row whose fields are asked for by position.

use csv::ByteRecord;
use hotshelf_model::ID_BYTES_MAX;

use crate::error::Error;

/// Position of a column in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column(usize);

/// The first line of a file, and every column that was looked for in vain.
pub(super) struct Header {
    file: String,
    names: Vec<String>,
    problems: Vec<String>,
}

impl Header {
    pub(super) fn new(file: &str, names: Vec<String>) -> Self {
        Self {
            file: file.to_owned(),
            names,
            problems: Vec::new(),
        }
    }

    /// The column called `name`. One that is missing or there twice is noted, and
    /// [`Header::check`] errs.
    pub(super) fn column(&mut self, name: &str) -> Column {
        let mut places = (0..self.names.len()).filter(|at| self.names[*at] == name);
        let problem = match (places.next(), places.next()) {
            (Some(at), None) => return Column(at),
            (Some(_), Some(_)) => format!("column {name:?} stands there twice"),
            (None, _) => format!("no column {name:?}"),
        };
        if !self.problems.contains(&problem) {
            self.problems.push(problem);
        }
        Column(0)
    }

    pub(super) fn columns(&mut self, names: &[String]) -> Vec<Column> {
        names.iter().map(|name| self.column(name)).collect()
    }

    /// Errs with every column that was not found.
    pub(super) fn check(self) -> Result<Vec<String>, Error> {
        if self.problems.is_empty() {
            return Ok(self.names);
        }
        Err(Error::Columns {
            file: self.file,
            problems: self.problems,
            columns: self.names,
        })
    }
}

/// What one row lacks, as a whole sentence.
pub(super) type Reason = String;

/// One row of a file, with as many fields as the header.
pub(super) struct Row<'r> {
    pub(super) names: &'r [String],
    pub(super) fields: &'r ByteRecord,
    pub(super) nulls: &'r [String],
}

impl Row<'_> {
    /// A field without blanks at its ends; empty where a null stands. Err if it is not UTF-8.
    pub(super) fn text(&self, column: Column) -> Result<&str, Reason> {
        let bytes = self.fields.get(column.0).unwrap_or_default();
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let at = error.valid_up_to();
            format!(
                "column {} is not UTF-8 (byte {:#04x} at its position {}): {:?}",
                self.names[column.0],
                bytes[at],
                at + 1,
                String::from_utf8_lossy(bytes)
            )
        })?;
        let text = text.trim();
        if self.nulls.iter().any(|null| null == text) {
            Ok("")
        } else {
            Ok(text)
        }
    }

    /// Turns the end of a sentence that the column's name begins into the whole.
    pub(super) fn about(&self, column: Column, why: &str) -> Reason {
        format!("column {} {why}", self.names[column.0])
    }

    /// A finite number; Err if it is none.
    pub(super) fn number(&self, column: Column) -> Result<f64, Reason> {
        crate::mapping::number(self.text(column)?).map_err(|why| self.about(column, &why))
    }

    /// A finite number, None where the field is empty; Err if it is something else.
    pub(super) fn number_if_any(&self, column: Column) -> Result<Option<f64>, Reason> {
        if self.text(column)?.is_empty() {
            return Ok(None);
        }
        self.number(column).map(Some)
    }

    /// Several fields joined; empty ones are left out.
    pub(super) fn joined(&self, columns: &[Column], separator: &str) -> Result<String, Reason> {
        let mut joined = String::new();
        for column in columns {
            let text = self.text(*column)?;
            if !joined.is_empty() && !text.is_empty() {
                joined.push_str(separator);
            }
            joined.push_str(text);
        }
        Ok(joined)
    }

    /// An identifier: not empty and not over-long.
    pub(super) fn id(&self, column: Column) -> Result<&str, Reason> {
        let id = self.text(column)?;
        if id.is_empty() {
            return Err(self.about(column, "is empty, where an id is needed"));
        }
        if id.len() > ID_BYTES_MAX {
            let why = format!("is an id of {} bytes, above {ID_BYTES_MAX}", id.len());
            return Err(self.about(column, &why));
        }
        Ok(id)
    }
}
