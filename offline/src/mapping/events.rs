//! The `[events]` table: the files of interactions, and which column holds what.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::EventsMapping;
use super::section::{Section, Value};
use super::source;
use crate::time_format::TimeFormat;

/// Columns of one interaction.
#[derive(Debug, Clone)]
pub(crate) struct EventColumns {
    pub(crate) user_id: String,
    pub(crate) product_id: String,
    /// None where the data have no times: then rows follow each other in the order of the files.
    pub(crate) timestamp: Option<TimestampColumn>,
    pub(crate) kind: KindColumn,
    /// Value of the event, instead of its type's weight.
    pub(crate) value: Option<String>,
    /// Multiplies the value.
    pub(crate) quantity: Option<String>,
    pub(crate) session_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct TimestampColumn {
    pub(crate) column: String,
    pub(crate) format: TimeFormat,
}

/// Source of an event's type.
#[derive(Debug, Clone)]
pub(crate) enum KindColumn {
    /// Every row is of this type.
    Constant(String),
    /// A column, whose values may be renamed.
    Column {
        column: String,
        rename: BTreeMap<String, String>,
    },
}

type Weights = BTreeMap<String, f32>;

/// What a split by time says where there are no times.
const TIMES_NEEDED: &str = "evaluation.split = \"time\" needs it; data without times can be split \"leave_last_out\" or \"given\"";

/// None where a problem was reported.
pub(super) fn read(
    mut section: Section<'_>,
    folder: &Path,
    weights: &Weights,
    (test, needs_times): (Vec<(String, PathBuf)>, bool),
) -> Option<EventsMapping> {
    let source = source::read(&mut section, folder);
    let columns = section
        .required("columns")
        .and_then(|value| value.section());
    let columns = columns.and_then(|columns| read_columns(columns, weights, needs_times));
    section.finish();
    Some(EventsMapping {
        source: source?,
        test,
        columns: columns?,
    })
}

fn read_columns(
    mut section: Section<'_>,
    weights: &Weights,
    needs_times: bool,
) -> Option<EventColumns> {
    let user_id = section.required("user_id").and_then(|value| value.text());
    let product_id = section
        .required("product_id")
        .and_then(|value| value.text());
    let timestamp = section.value("timestamp").map(read_timestamp);
    if timestamp.is_none() && needs_times {
        section.missing("timestamp", TIMES_NEEDED);
    }
    let kind = section
        .required("interaction_type")
        .and_then(|value| read_kind(value, weights));
    let value = section.value("value").map(|value| value.text());
    let quantity = section.value("quantity").map(|value| value.text());
    let session_id = section.value("session_id").map(|value| value.text());
    section.finish();
    Some(EventColumns {
        user_id: user_id?,
        product_id: product_id?,
        timestamp: optional(timestamp)?,
        kind: kind?,
        value: optional(value)?,
        quantity: optional(quantity)?,
        session_id: optional(session_id)?,
    })
}

/// Turns an optional key inside out: absent is fine, a reported problem is not.
pub(super) fn optional<T>(found: Option<Option<T>>) -> Option<Option<T>> {
    found.map_or(Some(None), |value| value.map(Some))
}

fn read_timestamp(value: Value<'_>) -> Option<TimestampColumn> {
    if !value.is_table() {
        return Some(TimestampColumn {
            column: value.text()?,
            format: TimeFormat::Rfc3339,
        });
    }
    let mut section = value.section()?;
    let column = section.required("column").and_then(|value| value.text());
    let format = section
        .value("format")
        .map_or(Some(TimeFormat::Rfc3339), |value| {
            let text = value.text()?;
            TimeFormat::parse(&text)
                .map_err(|why| value.complain(why))
                .ok()
        });
    section.finish();
    Some(TimestampColumn {
        column: column?,
        format: format?,
    })
}

fn read_kind(value: Value<'_>, weights: &Weights) -> Option<KindColumn> {
    if !value.is_table() {
        return Some(KindColumn::Column {
            column: value.text()?,
            rename: BTreeMap::new(),
        });
    }
    let mut section = value.section()?;
    let column = section.value("column").map(|value| value.text());
    let constant = section
        .value("constant")
        .map(|value| known_kind(&value, weights));
    let rename = section.value("rename").and_then(|value| value.section());
    let rename = rename.map(|section| read_rename(section, weights));
    let built = match (column, constant, rename) {
        (Some(column), None, rename) => Some(KindColumn::Column {
            column: column?,
            rename: rename.unwrap_or_default(),
        }),
        (None, Some(constant), None) => Some(KindColumn::Constant(constant?)),
        _ => {
            section.complain("needs either a column (and perhaps rename) or a constant");
            None
        }
    };
    section.finish();
    built
}

fn read_rename(mut section: Section<'_>, weights: &Weights) -> BTreeMap<String, String> {
    let renamed = section.rest().into_iter();
    renamed
        .filter_map(|(from, value)| Some((from, known_kind(&value, weights)?)))
        .collect()
}

fn known_kind(value: &Value<'_>, weights: &Weights) -> Option<String> {
    let kind = value.text()?;
    if weights.contains_key(&kind) {
        return Some(kind);
    }
    value.complain(format!(
        "is {kind:?}, an interaction type without a weight in [values]"
    ));
    None
}
