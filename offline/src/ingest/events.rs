//! Rows of the events' files become events.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::attributes::{AttributeColumns, Tallies};
use super::row::{Column, Header, Reason, Row};
use super::table::{Taken, Taker};
use crate::mapping::{EventColumns, KindColumn, Mapping, ProductColumns};
use crate::shop::{Names, ShopEvent};
use crate::time_format::{date, midnight, rfc3339};

/// What was read from the events' files.
pub(super) struct EventsRead {
    pub(super) users: Names,
    pub(super) products: Names,
    pub(super) kinds: Names,
    pub(super) events: Vec<ShopEvent>,
    pub(super) tallies: Tallies,
    pub(super) sessions: Option<u64>,
}

pub(super) struct EventsTaker<'m> {
    mapped: &'m EventColumns,
    values: &'m BTreeMap<String, f32>,
    from_events: Option<&'m ProductColumns>,
    until_s: Option<i64>,
    columns: Option<Columns<'m>>,
    /// 64-bit hashes of session ids, for counting: two of a million sessions share one with a
    /// chance of 3 in 100 million.
    sessions: HashSet<u64>,
    read: EventsRead,
}

/// The mapped columns by position.
struct Columns<'m> {
    user_id: Column,
    product_id: Column,
    timestamp: Column,
    kind: Option<Column>,
    value: Option<Column>,
    quantity: Option<Column>,
    session_id: Option<Column>,
    attributes: Option<AttributeColumns<'m>>,
}

impl<'m> EventsTaker<'m> {
    pub(super) fn new(
        mapping: &'m Mapping,
        until_s: Option<i64>,
        from_events: Option<&'m ProductColumns>,
    ) -> Self {
        let read = EventsRead {
            users: Names::default(),
            products: Names::default(),
            kinds: Names::default(),
            events: Vec::new(),
            tallies: Tallies::default(),
            sessions: None,
        };
        Self {
            mapped: &mapping.events.columns,
            values: &mapping.values,
            from_events,
            until_s,
            columns: None,
            sessions: HashSet::new(),
            read,
        }
    }

    pub(super) fn into_read(mut self) -> EventsRead {
        let counted = self.mapped.session_id.is_some();
        self.read.sessions = counted.then_some(self.sessions.len() as u64);
        self.read
    }
}

impl Taker for EventsTaker<'_> {
    fn bind(&mut self, header: &mut Header) {
        let mapped = self.mapped;
        let kind = match &mapped.kind {
            KindColumn::Constant(_) => None,
            KindColumn::Column { column, .. } => Some(header.column(column)),
        };
        let mut optional = |name: &Option<String>| name.as_ref().map(|name| header.column(name));
        let value = optional(&mapped.value);
        let quantity = optional(&mapped.quantity);
        let session_id = optional(&mapped.session_id);
        self.columns = Some(Columns {
            user_id: header.column(&mapped.user_id),
            product_id: header.column(&mapped.product_id),
            timestamp: header.column(&mapped.timestamp.column),
            kind,
            value,
            quantity,
            session_id,
            attributes: self
                .from_events
                .map(|mapped| AttributeColumns::bind(mapped, header)),
        });
    }

    fn take(&mut self, row: &Row<'_>) -> Result<Taken, Reason> {
        let Some(columns) = &self.columns else {
            return Err("read before its header".to_owned());
        };
        let timestamp = row.text(columns.timestamp)?;
        let at_s = self.mapped.timestamp.format.read(timestamp);
        let at_s = at_s.map_err(|why| row.about(columns.timestamp, &why))?;
        let user = row.id(columns.user_id)?;
        let product = row.id(columns.product_id)?;
        let (kind, worth) = kind(self.mapped, self.values, columns.kind, row)?;
        let value = value(columns, worth, row)?;
        let session = columns
            .session_id
            .map(|column| row.text(column))
            .transpose()?;
        let attributes = columns
            .attributes
            .as_ref()
            .map(|a| a.read(row))
            .transpose()?;
        if self.until_s.is_some_and(|until| at_s >= until) {
            return Ok(Taken::LeftOut);
        }
        let read = &mut self.read;
        let product = read.products.number(product);
        if let Some(attributes) = attributes {
            read.tallies.count(product, attributes);
        }
        if let Some(session) = session.filter(|session| !session.is_empty()) {
            let mut hasher = DefaultHasher::new();
            session.hash(&mut hasher);
            self.sessions.insert(hasher.finish());
        }
        let user = read.users.number(user);
        let kind = read.kinds.number(kind);
        read.events.push(ShopEvent {
            user,
            product,
            at_s,
            value,
            kind,
        });
        Ok(Taken::Kept)
    }

    fn left_out_because(&self) -> Option<String> {
        let until = self.until_s?;
        let until = if midnight(until) == until {
            date(until)
        } else {
            rfc3339(until)
        };
        Some(format!("at or after {until}"))
    }
}

/// The type of an event and what it is worth.
fn kind<'r>(
    mapped: &'r EventColumns,
    values: &BTreeMap<String, f32>,
    column: Option<Column>,
    row: &'r Row<'_>,
) -> Result<(&'r str, f32), Reason> {
    let (kind, column) = match (&mapped.kind, column) {
        (KindColumn::Constant(kind), _) => (kind.as_str(), None),
        (KindColumn::Column { rename, .. }, Some(column)) => {
            let text = row.text(column)?;
            (rename.get(text).map_or(text, String::as_str), Some(column))
        }
        (KindColumn::Column { .. }, None) => ("", None),
    };
    match (values.get(kind), column) {
        (Some(worth), _) => Ok((kind, *worth)),
        (None, Some(column)) => {
            let known: Vec<&str> = values.keys().map(String::as_str).collect();
            let known = known.join(", ");
            Err(row.about(
                column,
                &format!("is {kind:?}, not an interaction type: {known}"),
            ))
        }
        (None, None) => Err(format!("interaction type {kind:?} has no worth")),
    }
}

/// What one event is worth: its own value or its type's, times its quantity.
fn value(columns: &Columns<'_>, worth: f32, row: &Row<'_>) -> Result<f32, Reason> {
    let mut value = f64::from(worth);
    if let Some(column) = columns.value {
        value = positive(column, row)?;
    }
    if let Some(column) = columns.quantity {
        value *= positive(column, row)?;
    }
    let narrow = value as f32;
    if narrow.is_finite() && narrow > 0.0 {
        return Ok(narrow);
    }
    Err(format!(
        "the event's value {value} is beyond what can be added up"
    ))
}

fn positive(column: Column, row: &Row<'_>) -> Result<f64, Reason> {
    let number = row.number(column)?;
    if number > 0.0 {
        return Ok(number);
    }
    Err(row.about(
        column,
        &format!("is {number}, where a number above 0 is needed"),
    ))
}
