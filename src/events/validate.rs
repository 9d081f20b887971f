//! One event as the caller wrote it, and what may be wrong with it.

use super::types::EventTypes;
use crate::error::{BadField, CallError};
use crate::serving::validate::Violations;
use hotshelf_event_log::Event;
use std::time::Duration;

/// How far the caller's clock may be ahead.
const AHEAD_MAX: Duration = Duration::from_secs(5 * 60);
/// Oldest event.
const AGE_MAX: Duration = Duration::from_secs(90 * 86_400);
/// How much of an unknown type the rejection quotes (chosen: longer than any type may be).
const TYPE_QUOTED_CHARS: usize = 64;

/// An event as the caller wrote it. The proto file says what the fields mean.
#[derive(Clone, Debug, Default)]
pub struct EventFields {
    /// The caller's id.
    pub event_id: String,
    /// Empty: anonymous.
    pub user_id: String,
    /// Empty: none.
    pub session_id: String,
    /// Empty: none.
    pub product_id: String,
    /// A name of [`EventTypes`].
    pub event_type: String,
    /// Seconds and nanoseconds since 1970, UTC; `None`: now.
    pub occurred_at: Option<(i64, i32)>,
    /// Units.
    pub quantity: Option<f64>,
    /// In the shop's currency.
    pub order_value: Option<f64>,
    /// Empty: none.
    pub answer_id: String,
}

/// A bad field of one event of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// Position in the batch.
    pub index: usize,
    /// The field, and what is wrong.
    pub bad: BadField,
}

impl EventFields {
    /// The event, accepted at `now`, in microseconds since 1970.
    ///
    /// # Errors
    /// Every bad field.
    pub(super) fn validate(self, types: &EventTypes, now: i64) -> Result<Event, Vec<BadField>> {
        let mut bad = Violations::default();
        bad.id("event_id", &self.event_id);
        bad.optional_id("user_id", &self.user_id);
        bad.optional_id("session_id", &self.session_id);
        if self.user_id.is_empty() && self.session_id.is_empty() {
            let why = "user_id and session_id are both empty; one of them is required";
            bad.add("user_id", why.to_owned());
        }
        self.check_product(types, &mut bad);
        let occurred_at = occurred_at(self.occurred_at, now);
        let occurred_at = bad.choice("occurred_at", occurred_at.map(Some));
        if let Some(quantity) = self.quantity.filter(|n| !(n.is_finite() && *n >= 0.0)) {
            bad.add(
                "quantity",
                format!("{quantity} is not a finite number of 0 or more"),
            );
        }
        if let Some(value) = self.order_value.filter(|value| !value.is_finite()) {
            bad.add("order_value", format!("{value} is not a finite number"));
        }
        bad.optional_id("answer_id", &self.answer_id);
        if let Err(CallError::BadFields(fields)) = bad.finish() {
            return Err(fields);
        }
        Ok(Event {
            event_id: self.event_id,
            user_id: some(self.user_id),
            session_id: some(self.session_id),
            product_id: self.product_id,
            event_type: self.event_type,
            occurred_at: occurred_at.unwrap_or(now),
            accepted_at: now,
            quantity: self.quantity,
            order_value: self.order_value,
            answer_id: some(self.answer_id),
        })
    }

    fn check_product(&self, types: &EventTypes, bad: &mut Violations) {
        if types.position(&self.event_type).is_none() {
            let quoted: String = self.event_type.chars().take(TYPE_QUOTED_CHARS).collect();
            let known = types.names().join(", ");
            bad.add(
                "type",
                format!(
                    "{quoted:?} is not one of {known}; the setting event_types adds a shop's own"
                ),
            );
        }
        if EventTypes::needs_product(&self.event_type) {
            bad.id("product_id", &self.product_id);
        } else {
            bad.optional_id("product_id", &self.product_id);
        }
    }
}

/// Microseconds since 1970.
fn occurred_at(given: Option<(i64, i32)>, now: i64) -> Result<i64, String> {
    let Some((seconds, nanos)) = given else {
        return Ok(now);
    };
    let is_time = (0..1_000_000_000).contains(&nanos);
    let micros = seconds.checked_mul(1_000_000).filter(|_| is_time);
    let Some(micros) = micros.and_then(|micros| micros.checked_add(i64::from(nanos) / 1_000))
    else {
        return Err(format!("{seconds} s and {nanos} ns are not a timestamp"));
    };
    let (ahead, age) = (AHEAD_MAX.as_micros() as i64, AGE_MAX.as_micros() as i64);
    let off = |micros: i64| (micros.unsigned_abs() / 1_000_000).to_string();
    match micros.saturating_sub(now) {
        later if later > ahead => Err(format!(
            "{} s ahead of this server's clock exceed the limit of {} s; check the caller's clock",
            off(later),
            AHEAD_MAX.as_secs()
        )),
        later if later < -age => Err(format!(
            "{} s ago exceed the limit of 90 days; load older events into the lake",
            off(later)
        )),
        _ => Ok(micros),
    }
}

fn some(text: String) -> Option<String> {
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests;
