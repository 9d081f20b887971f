//! The keys that events and catalogue files share: files, delimiter, nulls, bad rows, drop rules.

use std::path::{Path, PathBuf};

use super::drop_rule::{self, DropRule};
use super::section::Section;

/// Files with one header, and which of their rows are dropped.
#[derive(Debug, Clone)]
pub(crate) struct SourceMapping {
    /// Each file as the mapping names it, and its path.
    pub(crate) files: Vec<(String, PathBuf)>,
    pub(crate) delimiter: u8,
    /// Texts that mean an empty field.
    pub(crate) nulls: Vec<String>,
    pub(crate) bad_rows: BadRowsAllowed,
    pub(crate) drop: Vec<DropRule>,
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
