//! Parses rows of the events' files into events.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};

use super::attributes::AttributeColumns;
use super::row::{Column, Header, Reason, Row};
use super::table::{Outcome, RowSink};
use crate::attributes::{ObservedAttributes, TEXT_BYTES_MAX};
use crate::interner::Interner;
use crate::mapping::{EventColumns, KindColumn, Mapping, ProductColumns};
use crate::shop::ShopEvent;
use crate::time_format::{date, midnight, rfc3339};

/// Events and their id tables.
pub(super) struct ParsedEvents {
    pub(super) users: Interner,
    pub(super) products: Interner,
    pub(super) kinds: Interner,
    pub(super) events: Vec<ShopEvent>,
    pub(super) observed: ObservedAttributes,
    pub(super) sessions: Option<u64>,
    /// Index of the first event of the test files, if there are such files.
    pub(super) test_from: Option<usize>,
}

pub(super) struct EventSink<'m> {
    mapped: &'m EventColumns,
    weights: &'m BTreeMap<String, f32>,
    from_events: Option<&'m ProductColumns>,
    until_s: Option<i64>,
    columns: Option<Columns<'m>>,
    /// 64-bit hashes of session ids, for counting: two of a million sessions share one with a
    /// chance of 3 in 100 million.
    sessions: HashSet<u64>,
    read: ParsedEvents,
}

/// The mapped columns by position.
struct Columns<'m> {
    user_id: Column,
    product_id: Column,
    timestamp: Option<Column>,
    kind: Option<Column>,
    value: Option<Column>,
    quantity: Option<Column>,
    session_id: Option<Column>,
    attributes: Option<AttributeColumns<'m>>,
}

impl<'m> EventSink<'m> {
    pub(super) fn new(
        mapping: &'m Mapping,
        until_s: Option<i64>,
        from_events: Option<&'m ProductColumns>,
    ) -> Self {
        let read = ParsedEvents {
            users: Interner::default(),
            products: Interner::default(),
            kinds: Interner::default(),
            events: Vec::new(),
            observed: ObservedAttributes::default(),
            sessions: None,
            test_from: None,
        };
        Self {
            mapped: &mapping.events.columns,
            weights: &mapping.weights,
            from_events,
            until_s,
            columns: None,
            sessions: HashSet::new(),
            read,
        }
    }

    pub(super) fn into_events(mut self) -> ParsedEvents {
        let counted = self.mapped.session_id.is_some();
        self.read.sessions = counted.then_some(self.sessions.len() as u64);
        self.read
    }

    /// Time of a row; where there are no times, its position among the rows that were kept.
    fn time(&self, columns: &Columns<'_>, row: &Row<'_>) -> Result<i64, Reason> {
        let (Some(column), Some(mapped)) = (columns.timestamp, &self.mapped.timestamp) else {
            return Ok(self.read.events.len() as i64);
        };
        let at_s = mapped.format.read(row.text(column)?);
        at_s.map_err(|why| row.about(column, &why))
    }
}

impl RowSink for EventSink<'_> {
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
        let user_id = header.column(&mapped.user_id);
        let product_id = header.column(&mapped.product_id);
        let timestamp = mapped.timestamp.as_ref();
        let timestamp = timestamp.map(|mapped| header.column(&mapped.column));
        self.columns = Some(Columns {
            user_id,
            product_id,
            timestamp,
            kind,
            value,
            quantity,
            session_id,
            attributes: self
                .from_events
                .map(|mapped| AttributeColumns::bind(mapped, header)),
        });
    }

    fn accept(&mut self, row: &Row<'_>) -> Result<Outcome, Reason> {
        let Some(columns) = &self.columns else {
            return Err("read before its header".to_owned());
        };
        let at_s = self.time(columns, row)?;
        let user = row.id(columns.user_id)?;
        if self.read.test_from.is_some() && self.read.users.find(user).is_none() {
            let why = format!("is {user:?}, a user without a training row");
            return Err(row.about(columns.user_id, &why));
        }
        let product = row.id(columns.product_id)?;
        let (kind, weight) = kind(self.mapped, self.weights, columns.kind, row)?;
        let value = value(columns, weight, row)?;
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
            return Ok(Outcome::Skipped);
        }
        let read = &mut self.read;
        let product = read.products.intern(product);
        if let Some(attributes) = attributes {
            read.observed.push(&attributes);
        }
        if let Some(session) = session.filter(|session| !session.is_empty()) {
            let mut hasher = DefaultHasher::new();
            session.hash(&mut hasher);
            self.sessions.insert(hasher.finish());
        }
        let user = read.users.intern(user);
        let kind = read.kinds.intern(kind);
        read.events.push(ShopEvent {
            user,
            product,
            at_s,
            value,
            kind,
        });
        Ok(Outcome::Kept)
    }

    fn start_test(&mut self) {
        self.read.test_from = Some(self.read.events.len());
    }

    fn reads_as_row(&self, row: &Row<'_>) -> bool {
        let Some(columns) = &self.columns else {
            return false;
        };
        // A row with too many fields would be bad, and counted as such.
        row.fields.len() >= row.names.len()
            && self.time(columns, row).is_ok()
            && row.id(columns.user_id).is_ok()
            && row.id(columns.product_id).is_ok()
    }

    fn over_limit(&self) -> Option<String> {
        let read = &self.read;
        if read.users.bytes() + read.products.bytes() > IDS_BYTES_MAX {
            return Some(format!(
                "the distinct ids have more than {IDS_BYTES_MAX} bytes"
            ));
        }
        let over = read.observed.text_bytes() > TEXT_BYTES_MAX;
        over.then(|| format!("the product texts have more than {TEXT_BYTES_MAX} bytes"))
    }

    fn skip_reason(&self) -> Option<String> {
        let until = self.until_s?;
        let until = if midnight(until) == until {
            date(until)
        } else {
            rfc3339(until)
        };
        Some(format!("at or after {until}"))
    }
}

/// Type and weight of an event.
fn kind<'r>(
    mapped: &'r EventColumns,
    weights: &BTreeMap<String, f32>,
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
    match (weights.get(kind), column) {
        (Some(weight), _) => Ok((kind, *weight)),
        (None, Some(column)) => {
            let known: Vec<&str> = weights.keys().map(String::as_str).collect();
            let known = known.join(", ");
            Err(row.about(
                column,
                &format!("is {kind:?}, not an interaction type: {known}"),
            ))
        }
        (None, None) => Err(format!("interaction type {kind:?} has no weight")),
    }
}

/// Most bytes of distinct ids (chosen: 28 million users with UUIDs).
const IDS_BYTES_MAX: u64 = 1 << 30;

/// Greatest value of one event (chosen: sums of as many events as fit in memory stay finite).
const EVENT_VALUE_MAX: f64 = 1e12;

/// Value of an event: its own or its type's weight, times its quantity.
fn value(columns: &Columns<'_>, weight: f32, row: &Row<'_>) -> Result<f32, Reason> {
    let mut value = f64::from(weight);
    if let Some(column) = columns.value {
        value = positive(column, row)?;
    }
    if let Some(column) = columns.quantity {
        value *= positive(column, row)?;
    }
    let narrow = value as f32;
    if value <= EVENT_VALUE_MAX && narrow > 0.0 {
        return Ok(narrow);
    }
    Err(format!(
        "the event's value is {value:e}, where above 0 and at most {EVENT_VALUE_MAX:e} is needed"
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
