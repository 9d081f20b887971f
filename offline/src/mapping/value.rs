//! One value of a TOML file on its way to the type somebody needs.

use std::ops::RangeInclusive;

use toml::de::DeValue;

use super::section::{Place, Section};

/// One value, which turns into the type somebody needs or into a problem.
pub(super) struct Value<'t> {
    place: Place<'t>,
    value: DeValue<'t>,
}

impl<'t> Value<'t> {
    pub(super) fn new(place: Place<'t>, value: DeValue<'t>) -> Self {
        Self { place, value }
    }

    /// Reports this value.
    pub(super) fn complain(&self, message: impl Into<String>) {
        self.place.complain(message.into());
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
        let Self { place, value } = self;
        match value {
            DeValue::Table(table) => Some(Section::new(place, table)),
            other => Self::new(place, other).refuse_type("a table"),
        }
    }

    /// A list of tables.
    pub(super) fn sections(self) -> Vec<Section<'t>> {
        let Self { place, value } = self;
        let array = match value {
            DeValue::Array(array) => array,
            other => {
                let _: Option<()> = Self::new(place, other).refuse_type("a list of tables");
                return Vec::new();
            }
        };
        let numbered = array.into_iter().enumerate().filter_map(|(at, entry)| {
            let entry_place = Place {
                document: place.document,
                path: format!("{}[{at}]", place.path),
                offset: entry.span().start,
            };
            Self::new(entry_place, entry.into_inner()).section()
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
