//! The keys that events and catalogue files share: files, delimiter, nulls, bad rows, drop rules.

use std::path::{Path, PathBuf};

use super::drop_rule::{self, DropRule};
use super::section::{Section, Value};

/// Files with one header, and which of their rows are dropped.
#[derive(Debug, Clone)]
pub(crate) struct SourceMapping {
    /// Each file as the mapping names it, and its path.
    pub(crate) files: Vec<(String, PathBuf)>,
    pub(crate) delimiter: u8,
    pub(crate) quoting: Quoting,
    /// Texts that mean an empty field.
    pub(crate) nulls: Vec<String>,
    pub(crate) bad_rows: BadRowsAllowed,
    pub(crate) drop: Vec<DropRule>,
}

/// What a double quote means in a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Quoting {
    /// Quoted fields may hold delimiters, and line breaks if no line of the field reads as a row.
    Quotes,
    /// The same, whatever the lines of a field look like.
    Multiline,
    /// An ordinary character; every line is a row.
    None,
}

const QUOTINGS: [(&str, Quoting); 3] = [
    ("quotes", Quoting::Quotes),
    ("multiline", Quoting::Multiline),
    ("none", Quoting::None),
];

fn read_quoting(value: &Value<'_>) -> Option<Quoting> {
    let text = value.text()?;
    let found = QUOTINGS.iter().find(|(name, _)| *name == text);
    if found.is_none() {
        value.complain(format!("is {text:?}, neither quotes, multiline nor none"));
    }
    found.map(|(_, quoting)| *quoting)
}

#[derive(Debug, Clone, Default)]
pub(crate) struct BadRowsAllowed {
    /// Share of all rows, 0 to 1.
    pub(crate) share: f64,
    /// The quarantine file; always present if the share is above 0.
    file: Option<PathBuf>,
}

impl BadRowsAllowed {
    /// The file that bad rows are written to, if any are allowed.
    pub(crate) fn quarantine(&self) -> Option<&Path> {
        self.file.as_deref().filter(|_| self.share > 0.0)
    }
}

/// Reads the keys that events and catalogue files share. None where a problem was reported.
pub(super) fn read(section: &mut Section<'_>, folder: &Path) -> Option<SourceMapping> {
    let files = section.required("files").and_then(|value| value.texts());
    let delimiter =
        section
            .value("delimiter")
            .map_or(Some(b','), |value| match value.text()?.as_bytes() {
                [byte] => Some(*byte),
                _ => {
                    value.complain("must be one ASCII character");
                    None
                }
            });
    let quoting = section
        .value("quoting")
        .map_or(Some(Quoting::Quotes), |value| read_quoting(&value));
    let nulls = section
        .value("nulls")
        .map_or(Some(Vec::new()), |value| value.texts());
    let bad_rows = section.value("bad_rows").and_then(|value| value.section());
    let bad_rows = bad_rows.map_or(Some(BadRowsAllowed::default()), |s| {
        read_bad_rows(s, folder)
    });
    let drop = section
        .value("drop")
        .map(|value| value.sections())
        .unwrap_or_default();
    let drop: Vec<Option<DropRule>> = drop.into_iter().map(drop_rule::read).collect();
    let files = files?.into_iter().map(|name| {
        let path = folder.join(&name);
        (name, path)
    });
    Some(SourceMapping {
        files: files.collect(),
        delimiter: delimiter?,
        quoting: quoting?,
        nulls: nulls?,
        bad_rows: bad_rows?,
        drop: drop.into_iter().collect::<Option<_>>()?,
    })
}

fn read_bad_rows(mut section: Section<'_>, folder: &Path) -> Option<BadRowsAllowed> {
    let share = section
        .required("at_most")
        .and_then(|value| value.number_in(0.0..=1.0));
    let file = section.value("file").and_then(|value| value.text());
    if share.is_some_and(|share| share > 0.0) && file.is_none() {
        section.complain("allows bad rows and needs a file to quarantine them in");
    }
    section.finish();
    Some(BadRowsAllowed {
        share: share?,
        file: file.map(|name| folder.join(name)),
    })
}
