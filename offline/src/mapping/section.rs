//! A TOML table read key by key, with every mistake collected instead of the first one returned.
//!
//! Somebody who writes a mapping for a new shop makes several mistakes at once; serde would show
//! them one per run. A [`Section`] gives out each key once, notes what has the wrong type with its
//! line, and [`Section::finish`] reports the keys nobody asked for. It knows nothing about shops.

use std::cell::RefCell;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

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
            Ok(table) => Some(Section {
                document: self,
                path: String::new(),
                offset: 0,
                table: table.into_inner(),
                known: Vec::new(),
            }),
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

/// One table, of which each key is taken once.
pub(super) struct Section<'t> {
    document: &'t Document<'t>,
    path: String,
    offset: usize,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
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
            self.document
                .report(self.offset, &self.key(key), "is missing".to_owned());
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
        self.document
            .report(self.offset, &self.path, message.into());
    }

    /// Ends the reading: whatever was not asked for is unknown.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let known = self.known.join(", ");
            let message = format!("is not a known key; known here: {known}");
            self.document
                .report(key.span().start, &self.key(key.get_ref()), message);
        }
    }

    fn key(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    fn named(&self, key: &str, found: Spanned<DeValue<'t>>) -> Value<'t> {
        let offset = found.span().start;
        Value {
            document: self.document,
            path: self.key(key),
            offset,
            value: found.into_inner(),
        }
    }
}

/// One value, which turns into the type somebody needs or into a problem.
pub(super) struct Value<'t> {
    document: &'t Document<'t>,
    path: String,
    offset: usize,
    value: DeValue<'t>,
}

impl<'t> Value<'t> {
    /// Reports this value.
    pub(super) fn complain(&self, message: impl Into<String>) {
        self.document
            .report(self.offset, &self.path, message.into());
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// The word `true`; anything else is a problem, for such keys are switched off by leaving
    /// them out.
    pub(super) fn is_true(&self) -> bool {
        let is_true = self.value.as_bool() == Some(true);
        if !is_true {
            self.complain("must be true, or left out");
        }
        is_true
    }

    /// A string that is not empty.
    pub(super) fn text(&self) -> Option<String> {
        match self.value.as_str() {
            Some("") => self.refuse("must not be empty"),
            Some(text) => Some(text.to_owned()),
            None => self.refuse_type("a string"),
        }
    }

    /// A date or time: a TOML date or a string.
    pub(super) fn date(&self) -> Option<String> {
        match self.value.as_datetime() {
            Some(date) => Some(date.to_string()),
            None => self.text(),
        }
    }

    /// A finite number.
    pub(super) fn number(&self) -> Option<f64> {
        let digits = match &self.value {
            DeValue::Integer(whole) => whole.to_string(),
            DeValue::Float(float) => float.to_string(),
            _ => return self.refuse_type("a number"),
        };
        match digits.parse::<f64>() {
            Ok(number) if number.is_finite() => Some(number),
            _ => self.refuse("must be a finite number"),
        }
    }

    /// A number inside `range`.
    pub(super) fn number_in(&self, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        let number = self.number()?;
        if range.contains(&number) {
            return Some(number);
        }
        let (low, high) = range.into_inner();
        self.refuse(&format!("must lie in {low} to {high}, not {number}"))
    }

    /// A whole number inside `range`.
    pub(super) fn whole_in(&self, range: std::ops::RangeInclusive<u64>) -> Option<u64> {
        let Some(whole) = self.value.as_integer() else {
            return self.refuse_type("a whole number");
        };
        match u64::from_str_radix(whole.as_str(), whole.radix()) {
            Ok(number) if range.contains(&number) => Some(number),
            _ => {
                let (low, high) = range.into_inner();
                self.refuse(&format!("must lie in {low} to {high}, not {whole}"))
            }
        }
    }

    /// A string, or a list of strings with at least one.
    pub(super) fn texts(&self) -> Option<Vec<String>> {
        let Some(array) = self.value.as_array() else {
            return self.value.as_str().map_or_else(
                || self.refuse_type("a string or a list of strings"),
                |_| Some(vec![self.text()?]),
            );
        };
        let texts: Option<Vec<String>> = array
            .iter()
            .map(|entry| entry.get_ref().as_str().map(str::to_owned))
            .collect();
        match texts {
            None => self.refuse("must be a list of strings only"),
            Some(texts) if texts.is_empty() => self.refuse("must not be an empty list"),
            texts => texts,
        }
    }

    /// A table.
    pub(super) fn section(self) -> Option<Section<'t>> {
        if !self.value.is_table() {
            return self.refuse_type("a table");
        }
        let Self {
            document,
            path,
            offset,
            value: DeValue::Table(table),
        } = self
        else {
            return None;
        };
        Some(Section {
            document,
            path,
            offset,
            table,
            known: Vec::new(),
        })
    }

    /// A list of tables.
    pub(super) fn sections(self) -> Vec<Section<'t>> {
        if !self.value.is_array() {
            self.complain(format!(
                "must be a list of tables, not {}",
                self.value.type_str()
            ));
            return Vec::new();
        }
        let Self {
            document,
            path,
            value: DeValue::Array(array),
            ..
        } = self
        else {
            return Vec::new();
        };
        let numbered = array.into_iter().enumerate().filter_map(|(at, entry)| {
            let offset = entry.span().start;
            let path = format!("{path}[{at}]");
            Value {
                document,
                path,
                offset,
                value: entry.into_inner(),
            }
            .section()
        });
        numbered.collect()
    }

    fn refuse<T>(&self, message: &str) -> Option<T> {
        self.complain(message);
        None
    }

    fn refuse_type<T>(&self, wanted: &str) -> Option<T> {
        self.complain(format!("must be {wanted}, not {}", self.value.type_str()));
        None
    }
}
