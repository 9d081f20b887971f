//! Records a batch: validate, make durable, count.

use super::status::{EventsStatus, UploadState};
use super::types::{EventTypes, PURCHASE};
use super::validate::{EventFields, Rejection};
use crate::clock::micros;
use crate::error::{BadField, CallError, with_causes};
use crate::lifecycle::{Live, Models};
use crate::metrics::EventMetrics;
use crate::recents::{RecentEvent, Recents};
use hotshelf_event_log::{Error, Event, EventLog};
use prometheus::IntCounter;
use std::sync::Arc;
use std::time::SystemTime;

/// Events of one batch.
const BATCH_MAX: usize = 1_000;

/// Takes events from callers. Shared by all serving threads.
pub struct Events {
    pub(super) log: EventLog,
    pub(super) types: EventTypes,
    pub(super) models: Arc<Models>,
    pub(super) metrics: Arc<EventMetrics>,
    /// Of each type, in the order of `types`.
    pub(super) accepted: Vec<IntCounter>,
    pub(super) uploads: Arc<UploadState>,
    pub(super) recents: Option<Arc<Recents>>,
}

/// What became of a batch.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Recorded {
    /// Recorded now.
    pub accepted: usize,
    /// Recorded before.
    pub duplicates: usize,
    /// Events that were rejected.
    pub rejected: usize,
    /// Why, field by field.
    pub rejections: Vec<Rejection>,
    /// Accepted with a product that no live version knows.
    pub unknown_products: usize,
}

impl Events {
    /// Records a batch; returns once every event that is not rejected is durable.
    ///
    /// # Errors
    /// `BadFields` for more than 1,000 events; `EventsRefused` and `EventLogClosed`: nothing of the batch
    /// was recorded.
    pub async fn record(&self, batch: Vec<EventFields>) -> Result<Recorded, CallError> {
        check_size(batch.len())?;
        let (events, mut recorded) = self.validate(batch);
        let kinds: Vec<Accepted> = events.iter().map(|event| self.accepted(event)).collect();
        let seen = self.seen(&events);
        let durable = self.log.append(events).await;
        let acknowledged = durable.map_err(|error| self.refused(&error))?;
        self.metrics.held_bytes.set(self.held_bytes());
        self.update_recents(&seen);
        let mut duplicates = acknowledged.duplicates.into_iter().peekable();
        for (position, kind) in kinds.iter().enumerate() {
            if duplicates.next_if_eq(&position).is_some() {
                recorded.duplicates += 1;
                continue;
            }
            recorded.accepted += 1;
            self.accepted[kind.of_type].inc();
            recorded.unknown_products += usize::from(kind.is_unknown);
        }
        self.metrics.duplicates.inc_by(recorded.duplicates as u64);
        let unknown = recorded.unknown_products as u64;
        self.metrics.unknown_products.inc_by(unknown);
        Ok(recorded)
    }

    /// How it stands, for people.
    pub fn status(&self) -> EventsStatus {
        let recents = self.recents.as_ref().map(|recents| recents.len() as u64);
        self.uploads.status(self.log.held_bytes(), recents)
    }

    fn validate(&self, batch: Vec<EventFields>) -> (Vec<Event>, Recorded) {
        let now = micros(SystemTime::now());
        let mut events = Vec::with_capacity(batch.len());
        let mut recorded = Recorded::default();
        for (index, fields) in batch.into_iter().enumerate() {
            match fields.validate(&self.types, now) {
                Ok(event) => events.push(event),
                Err(bad) => {
                    recorded.rejected += 1;
                    bad.iter().for_each(|bad| self.metrics.rejected(&bad.field));
                    let bad = bad.into_iter().map(|bad| Rejection { index, bad });
                    recorded.rejections.extend(bad);
                }
            }
        }
        (events, recorded)
    }

    /// What the recents take of a batch; nothing where there are none.
    fn seen(&self, events: &[Event]) -> Vec<Seen> {
        if self.recents.is_none() {
            return Vec::new();
        }
        let with_product = events.iter().filter(|event| !event.product_id.is_empty());
        with_product.map(Seen::of).collect()
    }

    /// Duplicates too: the caller may repeat a batch whose first answer it did not wait for.
    fn update_recents(&self, seen: &[Seen]) {
        let Some(recents) = &self.recents else {
            return;
        };
        let now = micros(SystemTime::now());
        for seen in seen {
            recents.record(&seen.event(), now);
        }
    }

    fn accepted(&self, event: &Event) -> Accepted {
        let of_type = self.types.position(&event.event_type);
        Accepted {
            of_type: of_type.expect("validate() accepts known types alone"),
            is_unknown: !event.product_id.is_empty() && self.is_unknown(&event.product_id),
        }
    }

    /// Whether versions are live, and none of them knows the product.
    fn is_unknown(&self, product_id: &str) -> bool {
        let knows = |live: &Live| {
            let mut arms = live.arms().iter();
            arms.any(|arm| arm.loaded.model.products().find(product_id).is_some())
        };
        let mut is_any_live = false;
        let is_known = self.models.iter().any(|slot| {
            let live = slot.live.load();
            is_any_live |= live.is_some();
            live.as_deref().is_some_and(knows)
        });
        is_any_live && !is_known
    }

    fn refused(&self, error: &Error) -> CallError {
        let (reason, is_closed) = match error {
            Error::Full { .. } => ("full", false),
            Error::Busy(_) => ("busy", false),
            Error::Closed => ("closed", true),
            Error::TooLarge { .. } => ("too_large", false),
            _ => ("disk", false),
        };
        self.metrics.refused(reason);
        if is_closed {
            return CallError::EventLogClosed;
        }
        let why = with_causes(error);
        CallError::EventsRefused(format!(
            "no event of the batch was recorded: {why}; send it again later"
        ))
    }

    pub(super) fn held_bytes(&self) -> i64 {
        i64::try_from(self.log.held_bytes()).unwrap_or(i64::MAX)
    }
}

/// What is counted of an accepted event.
struct Accepted {
    of_type: usize,
    is_unknown: bool,
}

/// What recents take of an event.
struct Seen {
    user_id: String,
    session_id: String,
    product_id: String,
    occurred_at: i64,
    is_bought: bool,
}

impl Seen {
    fn of(event: &Event) -> Self {
        Self {
            user_id: event.user_id.clone().unwrap_or_default(),
            session_id: event.session_id.clone().unwrap_or_default(),
            product_id: event.product_id.clone(),
            occurred_at: event.occurred_at,
            is_bought: event.event_type == PURCHASE,
        }
    }

    fn event(&self) -> RecentEvent<'_> {
        RecentEvent {
            user_id: &self.user_id,
            session_id: &self.session_id,
            product_id: &self.product_id,
            occurred_at: self.occurred_at,
            is_bought: self.is_bought,
        }
    }
}

fn check_size(events: usize) -> Result<(), CallError> {
    if events <= BATCH_MAX {
        return Ok(());
    }
    Err(CallError::BadFields(vec![BadField {
        field: "events".to_owned(),
        why: format!("{events} events exceed the limit of {BATCH_MAX}; send several batches"),
    }]))
}
