//! TOML tables and values, read key by key: every problem is collected, not only the first.
//!
//! The author of a mapping for a new shop makes several mistakes at once; serde would report them
//! one per run. A [`Section`] gives out each key once, and a [`Value`] turns into the type that is
//! needed or into a problem with its line. [`Section::finish`] reports unknown keys. Both share one
//! file because a table holds values and a value may be a table. Neither knows about shops.

use std::ops::RangeInclusive;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::problems::{Document, KeyLocation};

/// One table; each key is read once.
pub(super) struct Section<'t> {
    location: KeyLocation<'t>,
    table: DeTable<'t>,
    known: Vec<&'static str>,
}

impl<'t> Section<'t> {
    /// The outermost table of a document; None if the text is not TOML.
    pub(super) fn root(document: &'t Document<'t>) -> Option<Self> {
        let location = KeyLocation {
            document,
            path: String::new(),
            offset: 0,
        };
        Some(Self::new(location, document.table()?))
    }

    fn new(location: KeyLocation<'t>, table: DeTable<'t>) -> Self {
        Self {
            location,
            table,
            known: Vec::new(),
        }
    }

    /// The value of `key`, if present.
    pub(super) fn value(&mut self, key: &'static str) -> Option<Value<'t>> {
        self.known.push(key);
        let found = self.table.remove(key)?;
        Some(self.named(key, found))
    }

    /// The value of `key`; its absence is a problem.
    pub(super) fn required(&mut self, key: &'static str) -> Option<Value<'t>> {
        let found = self.value(key);
        if found.is_none() {
            let KeyLocation {
                document, offset, ..
            } = self.location;
            document.report(offset, &self.key(key), "is missing".to_owned());
        }
        found
    }

    /// Reports that `key` is missing, and why it is needed.
    pub(super) fn missing(&self, key: &str, why: &str) {
        let KeyLocation {
            document, offset, ..
        } = self.location;
        document.report(offset, &self.key(key), format!("is missing; {why}"));
    }

    /// Every remaining key with its value: for tables with keys of the user's choice.
    pub(super) fn rest(&mut self) -> Vec<(String, Value<'t>)> {
        let table = std::mem::take(&mut self.table);
        let entries = table.into_iter().map(|(key, value)| {
            let key = key.into_inner().into_owned();
            let value = self.named(&key, value);
            (key, value)
        });
        entries.collect()
    }

    /// Reports a problem with the table itself.
    pub(super) fn complain(&self, message: impl Into<String>) {
        self.location.complain(message.into());
    }

    /// Reports every key that was not read as unknown.
    pub(super) fn finish(self) {
        for key in self.table.keys() {
            let known = self.known.join(", ");
            let message = format!("is not a known key; known here: {known}");
            let path = self.key(key.get_ref());
            self.location
                .document
                .report(key.span().start, &path, message);
        }
    }

    fn key(&self, key: &str) -> String {
        if self.location.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.location.path)
        }
    }

    fn named(&self, key: &str, found: Spanned<DeValue<'t>>) -> Value<'t> {
        let location = KeyLocation {
            document: self.location.document,
            path: self.key(key),
            offset: found.span().start,
        };
        Value::new(location, found.into_inner())
    }
}

/// One value, which turns into the type that is needed or into a problem.
pub(super) struct Value<'t> {
    location: KeyLocation<'t>,
    value: DeValue<'t>,
}

impl<'t> Value<'t> {
    fn new(location: KeyLocation<'t>, value: DeValue<'t>) -> Self {
        Self { location, value }
    }

    /// Reports a problem with this value.
    pub(super) fn complain(&self, message: impl Into<String>) {
        self.location.complain(message.into());
    }

    /// Its line in the text, from 1.
    pub(super) fn line(&self) -> usize {
        self.location.line()
    }

    pub(super) fn is_table(&self) -> bool {
        self.value.is_table()
    }

    /// The word `true`; anything else is a problem, because such keys are switched off by omission.
    pub(super) fn is_true(&self) -> bool {
        let is_true = self.value.as_bool() == Some(true);
        if !is_true {
            self.complain("must be true, or left out");
        }
        is_true
    }

    /// `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        let found = self.value.as_bool();
        found.or_else(|| self.refuse_type("true or false"))
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
    pub(super) fn number_in(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let number = self.number()?;
        if range.contains(&number) {
            return Some(number);
        }
        let (low, high) = range.into_inner();
        self.refuse(&format!("must lie in {low} to {high}, not {number}"))
    }

    /// A whole number inside `range`.
    pub(super) fn whole_in(&self, range: RangeInclusive<u64>) -> Option<u64> {
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

    /// A whole number inside `range`, or a list of them.
    pub(super) fn whole_numbers_in(&self, range: RangeInclusive<u64>) -> Option<Vec<u64>> {
        let Some(array) = self.value.as_array() else {
            return Some(vec![self.whole_in(range)?]);
        };
        let whole = |entry: &Spanned<DeValue<'_>>| {
            let whole = entry.get_ref().as_integer()?;
            u64::from_str_radix(whole.as_str(), whole.radix()).ok()
        };
        let numbers: Option<Vec<u64>> = array.iter().map(whole).collect();
        match numbers {
            Some(numbers) if numbers.iter().all(|number| range.contains(number)) => Some(numbers),
            _ => {
                let (low, high) = range.into_inner();
                self.refuse(&format!("must be whole numbers in {low} to {high}"))
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
        let Self { location, value } = self;
        match value {
            DeValue::Table(table) => Some(Section::new(location, table)),
            other => Self::new(location, other).refuse_type("a table"),
        }
    }

    /// A list of tables.
    pub(super) fn sections(self) -> Vec<Section<'t>> {
        let Self { location, value } = self;
        let array = match value {
            DeValue::Array(array) => array,
            other => {
                let _: Option<()> = Self::new(location, other).refuse_type("a list of tables");
                return Vec::new();
            }
        };
        let numbered = array.into_iter().enumerate().filter_map(|(at, entry)| {
            let entry_location = KeyLocation {
                document: location.document,
                path: format!("{}[{at}]", location.path),
                offset: entry.span().start,
            };
            Self::new(entry_location, entry.into_inner()).section()
        });
        numbered.collect()
    }

    fn refuse<T>(&self, message: &str) -> Option<T> {
        self.complain(message);
        None
    }

    fn refuse_type<T>(&self, expected: &str) -> Option<T> {
        self.complain(format!("must be {expected}, not {}", self.value.type_str()));
        None
    }
}
