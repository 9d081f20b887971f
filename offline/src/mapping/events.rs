//! The `[events]` table: where interactions stand and which column holds what.

use std::collections::BTreeMap;
use std::path::Path;

use super::section::Section;
use super::value::Value;
use super::{EventsMapping, read_source};
use crate::time_format::TimeFormat;

/// Columns of one interaction.
#[derive(Debug, Clone)]
pub(crate) struct EventColumns {
    pub(crate) user_id: String,
    pub(crate) product_id: String,
    pub(crate) timestamp: TimestampColumn,
    pub(crate) kind: KindColumn,
    /// Worth of the event, instead of what its type is worth.
    pub(crate) value: Option<String>,
    /// Multiplies the worth.
    pub(crate) quantity: Option<String>,
    pub(crate) session_id: Option<String>,
}

#[derive(Debug, Clone)]
pub(crate) struct TimestampColumn {
    pub(crate) column: String,
    pub(crate) format: TimeFormat,
}

/// Where an event's type comes from.
#[derive(Debug, Clone)]
pub(crate) enum KindColumn {
    /// Every row is of this type.
    Constant(String),
    /// A column, whose own words may be renamed.
    Column {
        column: String,
        rename: BTreeMap<String, String>,
    },
}

type Values = BTreeMap<String, f32>;

/// None where a problem was reported.
pub(super) fn read(
    mut section: Section<'_>,
    folder: &Path,
    values: &Values,
) -> Option<EventsMapping> {
    let source = read_source(&mut section, folder);
    let columns = section.needed("columns").and_then(|value| value.section());
    let columns = columns.and_then(|columns| read_columns(columns, values));
    section.finish();
    Some(EventsMapping {
        source: source?,
        columns: columns?,
    })
}

fn read_columns(mut section: Section<'_>, values: &Values) -> Option<EventColumns> {
    let user_id = section.needed("user_id").and_then(|value| value.text());
    let product_id = section.needed("product_id").and_then(|value| value.text());
    let timestamp = section.needed("timestamp").and_then(read_timestamp);
    let kind = section
        .needed("interaction_type")
        .and_then(|value| read_kind(value, values));
    let value = section.value("value").map(|value| value.text());
    let quantity = section.value("quantity").map(|value| value.text());
    let session_id = section.value("session_id").map(|value| value.text());
    section.finish();
    Some(EventColumns {
        user_id: user_id?,
        product_id: product_id?,
        timestamp: timestamp?,
        kind: kind?,
        value: optional(value)?,
        quantity: optional(quantity)?,
        session_id: optional(session_id)?,
    })
}

/// A key that may be absent, but not wrong.
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
    let column = section.needed("column").and_then(|value| value.text());
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

fn read_kind(value: Value<'_>, values: &Values) -> Option<KindColumn> {
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
        .map(|value| known_kind(&value, values));
    let rename = section.value("rename").and_then(|value| value.section());
    let rename = rename.map(|section| read_rename(section, values));
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

fn read_rename(mut section: Section<'_>, values: &Values) -> BTreeMap<String, String> {
    let renamed = section.rest().into_iter();
    renamed
        .filter_map(|(from, value)| Some((from, known_kind(&value, values)?)))
        .collect()
}

fn known_kind(value: &Value<'_>, values: &Values) -> Option<String> {
    let kind = value.text()?;
    if values.contains_key(&kind) {
        return Some(kind);
    }
    value.complain(format!(
        "is {kind:?}, an interaction type without a worth in [values]"
    ));
    None
}
