//! Drop rules: cancellations, service codes, returns, rows without a customer.
//!
//! A dropped row is well-formed and unwanted. A bad row cannot be parsed; only bad rows count
//! against the allowance. Rules apply in the order of the file, and a row counts for the first that
//! matches.

use glob::Pattern;

use super::section::Section;

/// One rule.
#[derive(Debug, Clone)]
pub(crate) struct DropRule {
    /// Name in reports.
    pub(crate) name: String,
    pub(crate) column: String,
    pub(crate) condition: Condition,
}

/// The condition on a field under which its row is dropped.
#[derive(Debug, Clone)]
pub(crate) enum Condition {
    Empty,
    Is(Vec<String>),
    IsNot(Vec<String>),
    StartsWith(Vec<String>),
    /// Shell patterns: `*` any run of characters, `?` one, `[..]` a set.
    Glob(Vec<Pattern>),
    Below(f64),
    AtMost(f64),
    Above(f64),
    AtLeast(f64),
}

impl Condition {
    /// Whether a row with this field is dropped; `text` is trimmed, and empty for a null. Errs with
    /// a sentence about the field if the condition needs a number and the field is none.
    pub(crate) fn drops(&self, text: &str) -> Result<bool, String> {
        Ok(match self {
            Self::Empty => text.is_empty(),
            Self::Is(texts) => texts.iter().any(|one| one == text),
            Self::IsNot(texts) => !texts.iter().any(|one| one == text),
            Self::StartsWith(prefixes) => prefixes.iter().any(|prefix| text.starts_with(prefix)),
            Self::Glob(patterns) => patterns.iter().any(|pattern| pattern.matches(text)),
            Self::Below(limit) => number(text)? < *limit,
            Self::AtMost(limit) => number(text)? <= *limit,
            Self::Above(limit) => number(text)? > *limit,
            Self::AtLeast(limit) => number(text)? >= *limit,
        })
    }

    fn describe(&self, column: &str) -> String {
        let quoted = |texts: &[String]| texts.join(", ");
        match self {
            Self::Empty => format!("{column} is empty"),
            Self::Is(texts) => format!("{column} is {}", quoted(texts)),
            Self::IsNot(texts) => format!("{column} is not {}", quoted(texts)),
            Self::StartsWith(texts) => format!("{column} starts with {}", quoted(texts)),
            Self::Glob(patterns) => {
                let texts: Vec<String> = patterns.iter().map(|p| p.as_str().to_owned()).collect();
                format!("{column} matches {}", quoted(&texts))
            }
            Self::Below(limit) => format!("{column} below {limit}"),
            Self::AtMost(limit) => format!("{column} at most {limit}"),
            Self::Above(limit) => format!("{column} above {limit}"),
            Self::AtLeast(limit) => format!("{column} at least {limit}"),
        }
    }
}

/// A finite number; Err continues a sentence that starts with the column's name.
pub(crate) fn number(text: &str) -> Result<f64, String> {
    if text.is_empty() {
        return Err("is empty, where a number is needed".to_owned());
    }
    match text.parse::<f64>() {
        Ok(number) if number.is_finite() => Ok(number),
        _ => Err(format!("is {text:?}, which is not a number")),
    }
}

const CONDITIONS: &str = "empty, is, is_not, starts_with, glob, below, at_most, above or at_least";

/// None where a problem was reported.
pub(super) fn read(mut section: Section<'_>) -> Option<DropRule> {
    let name = section.value("name").and_then(|value| value.text());
    let column = section.required("column").and_then(|value| value.text());
    let conditions = read_conditions(&mut section);
    let well_formed = conditions.iter().all(Option::is_some);
    if conditions.len() != 1 {
        section.complain(format!("needs exactly one condition: {CONDITIONS}"));
    }
    section.finish();
    let (column, condition) = (column?, conditions.into_iter().flatten().next()?);
    let name = name.unwrap_or_else(|| condition.describe(&column));
    well_formed.then_some(DropRule {
        name,
        column,
        condition,
    })
}

/// Every condition present; None for one with a problem.
fn read_conditions(section: &mut Section<'_>) -> Vec<Option<Condition>> {
    type OfTexts = fn(Vec<String>) -> Condition;
    type OfNumber = fn(f64) -> Condition;
    let of_texts: [(&'static str, OfTexts); 3] = [
        ("is", Condition::Is),
        ("is_not", Condition::IsNot),
        ("starts_with", Condition::StartsWith),
    ];
    let of_number: [(&'static str, OfNumber); 4] = [
        ("below", Condition::Below),
        ("at_most", Condition::AtMost),
        ("above", Condition::Above),
        ("at_least", Condition::AtLeast),
    ];
    let mut found = Vec::new();
    if let Some(value) = section.value("empty") {
        found.push(value.is_true().then_some(Condition::Empty));
    }
    for (key, build) in of_texts {
        found.extend(section.value(key).map(|value| value.texts().map(build)));
    }
    for (key, build) in of_number {
        found.extend(section.value(key).map(|value| value.number().map(build)));
    }
    if let Some(value) = section.value("glob") {
        let patterns = value.texts().and_then(|texts| {
            let patterns: Result<Vec<_>, _> = texts.iter().map(|t| Pattern::new(t)).collect();
            patterns
                .map_err(|error| value.complain(format!("is not a pattern: {error}")))
                .ok()
        });
        found.push(patterns.map(Condition::Glob));
    }
    found
}
