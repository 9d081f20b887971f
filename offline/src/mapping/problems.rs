//! The problems of one TOML text, each with its line and key.
//!
//! It knows neither tables nor values: the mapping reads those with `section.rs`.

use std::cell::RefCell;

use toml::de::DeTable;

use crate::error::Problem;

/// One TOML text and the problems found in it so far.
pub(super) struct Document<'t> {
    text: &'t str,
    problems: RefCell<Vec<Problem>>,
}

impl<'t> Document<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self {
            text,
            problems: RefCell::new(Vec::new()),
        }
    }

    /// The outermost table; None if the text is not TOML, which is then the only problem.
    pub(super) fn table(&self) -> Option<DeTable<'t>> {
        match DeTable::parse(self.text) {
            Ok(table) => Some(table.into_inner()),
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                self.report(offset, "", error.message().to_owned());
                None
            }
        }
    }

    /// Every problem, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    pub(super) fn report(&self, offset: usize, key: &str, message: String) {
        self.problems.borrow_mut().push(Problem {
            line: self.line(offset),
            key: key.to_owned(),
            message,
        });
    }

    /// The line of a byte, from 1.
    fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }
}

/// The key and offset of a table or value, for problems with it.
pub(super) struct KeyLocation<'t> {
    pub(super) document: &'t Document<'t>,
    /// Dotted path of its key.
    pub(super) path: String,
    /// Of its first byte in the text.
    pub(super) offset: usize,
}

impl KeyLocation<'_> {
    /// Its line in the text, from 1.
    pub(super) fn line(&self) -> usize {
        self.document.line(self.offset)
    }

    pub(super) fn complain(&self, message: String) {
        self.document.report(self.offset, &self.path, message);
    }
}
