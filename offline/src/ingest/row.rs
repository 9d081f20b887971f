//! A header that resolves column names once, and rows whose fields are read by position.

use csv::ByteRecord;
use hotshelf_model::ID_BYTES_MAX;

use crate::error::Error;

/// Position of a column in its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Column(usize);

/// The header of a file, and the columns that were not found.
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

    /// The column `name`. [`Header::check`] errs if it is missing or ambiguous.
    pub(super) fn column(&mut self, name: &str) -> Column {
        let mut positions = (0..self.names.len()).filter(|at| self.names[*at] == name);
        let problem = match (positions.next(), positions.next()) {
            (Some(at), None) => return Column(at),
            (Some(_), Some(_)) => format!("column {name:?} occurs twice"),
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

    /// Errs with every missing or ambiguous column.
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

/// Why a row is bad, as a whole sentence.
pub(super) type Reason = String;

/// One row of a file, with as many fields as the header.
pub(super) struct Row<'r> {
    pub(super) names: &'r [String],
    pub(super) fields: &'r ByteRecord,
    pub(super) nulls: &'r [String],
}

impl Row<'_> {
    /// A trimmed field; empty for a null. Errs if it is not UTF-8.
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

    /// Prefixes a reason with the column's name.
    pub(super) fn about(&self, column: Column, why: &str) -> Reason {
        format!("column {} {why}", self.names[column.0])
    }

    /// A finite number; Err if it is no number.
    pub(super) fn number(&self, column: Column) -> Result<f64, Reason> {
        crate::mapping::number(self.text(column)?).map_err(|why| self.about(column, &why))
    }

    /// A finite number, None if the field is empty; Err if it is no number.
    pub(super) fn number_if_any(&self, column: Column) -> Result<Option<f64>, Reason> {
        if self.text(column)?.is_empty() {
            return Ok(None);
        }
        self.number(column).map(Some)
    }

    /// Several fields joined, without the empty ones.
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

    /// An id: not empty and not too long.
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
