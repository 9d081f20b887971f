//! A TOML table read key by key, with every mistake collected instead of the first one returned.
//!
//! Somebody who writes a mapping for a new shop makes several mistakes at once; serde would show
//! them one per run. A [`Section`] gives out each key once, notes what has the wrong type with its
//! line, and [`Section::finish`] reports the keys nobody asked for. It knows nothing about shops.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::value::Value;
use crate::error::Problem;

/// One TOML text and the mistakes found in it so far.
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
    pub(super) fn root(&'t self) -> Option<Section<'t>> {
        match DeTable::parse(self.text) {
            Ok(table) => {
                let place = Place {
                    document: self,
                    path: String::new(),
                    offset: 0,
                };
                Some(Section::new(place, table.into_inner()))
            }
            Err(error) => {
                let offset = error.span().map_or(0, |span| span.start);
                self.report(offset, "", error.message().to_owned());
                None
            }
        }
    }

    /// What was wrong, in the order of the file.
    pub(super) fn into_problems(self) -> Vec<Problem> {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|problem| problem.line);
        problems
    }

    fn report(&self, offset: usize, key: &str, message: String) {
        let before = self.text.as_bytes().get(..offset).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        self.problems.borrow_mut().push(Problem {
            line,
            key: key.to_owned(),
            message,
        });
    }
}

/// Where a table or a value stands, for messages about it.
pub(super) struct Place<'t> {
    pub(super) document: &'t Document<'t>,
    /// Dotted path of its key.
    pub(super) path: String,
    /// Of its first byte in the text.
    pub(super) offset: usize,
}

impl Place<'_> {
    pub(super) fn complain(&self, message: String) {
        self.document.report(self.offset, &self.path, message);
    }
}

/// One table, of which each key is taken once.
pub(super) struct Section<'t> {
    place: Place<'t>,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    pub(super) fn new(place: Place<'t>, table: DeTable<'t>) -> Self {
        Self {
            place,
            table,
            known: Vec::new(),
        }
    }

    /// The value of `key`, if it stands there.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.known.push(key);
        let found = self.table.remove(key)?;
        Some(self.named(key, found))
    }

    /// The value of `key`; its absence is a problem.
    pub(super) fn needed(&mut self, key: &'static str) -> Option<Value<'t>> {
        let found = self.value(key);
        if found.is_none() {
            let Place {
                document, offset, ..
            } = self.place;
            document.report(offset, &self.key(key), "is missing".to_owned());
        }
        found
    }

    /// Every remaining key with its value: for tables whose keys are the user's own words.
    pub(super) fn rest(&mut self) -> Vec<(String, Value<'t>)> {
        let table = std::mem::take(&mut self.table);
        let entries = table.into_iter().map(|(key, value)| {
            let key = key.into_inner().into_owned();
            let value = self.named(&key, value);
            (key, value)
        });
        entries.collect()
    }

    /// Reports the table itself.
    pub(super) fn complain(&self, message: impl Into<String>) {
        self.place.complain(message.into());
    }

    /// Ends the reading: whatever was not asked for is unknown.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let known = self.known.join(", ");
            let message = format!("is not a known key; known here: {known}");
            let path = self.key(key.get_ref());
            self.place.document.report(key.span().start, &path, message);
        }
    }

    fn key(&self, key: &str) -> String {
        if self.place.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.place.path)
        }
    }

    fn named(&self, key: &str, found: Spanned<DeValue<'t>>) -> Value<'t> {
        let place = Place {
            document: self.place.document,
            path: self.key(key),
            offset: found.span().start,
        };
        Value::new(place, found.into_inner())
    }
}
