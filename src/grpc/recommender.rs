//! The way of a data-plane call from its message to the bytes of its answer:
//!
//! ```text
//! message ─▶ checked ─▶ one snapshot ─▶ arm ─▶ cache ──hit──▶ counted ─▶ bytes
//!                                               └─miss─▶ model ─▶ encoded once ─▶ counted, kept ─▶ bytes
//! ```
//!
//! The handler computes without waiting for anything, on the thread of the connection; working memory
//! belongs to the thread and is reused by every request on it.

use super::calls::Address;
use crate::error::{CallError, code_name};
use crate::guardrails::{Answered, Pending, Tally};
use crate::lifecycle::{Live, LiveArm, LoadedVersion, Models};
use crate::metrics::{CallKind, Seen};
use crate::serving::cache::{AnswerCache, Encoded};
use bytes::Bytes;
use hotshelf_model::{Model, QueryError, Scratch};
use prost::Message;
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tonic::metadata::AsciiMetadataValue;

thread_local! {
    static DESK: RefCell<Desk> = RefCell::new(Desk::default());
}

/// A thread's working memory.
#[derive(Default)]
struct Desk {
    scratch: Scratch,
    key: Vec<u8>,
}

/// What an answer's metadata says of where it comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Origin {
    pub(super) version: u64,
    pub(super) rollout: u64,
    pub(super) arm: AsciiMetadataValue,
}

/// Where an answer comes from.
pub(super) struct Place<'a> {
    /// The model's name, never empty.
    pub(super) model: &'a str,
    /// The one snapshot of this request.
    pub(super) live: &'a Live,
    /// Who answers.
    pub(super) arm: &'a LiveArm,
    /// Where this call counts for the guardrails: nowhere where its caller chose who answers.
    tally: Option<&'a Tally>,
}

impl Place<'_> {
    fn origin(&self) -> Origin {
        Origin {
            version: self.arm.loaded.version.get(),
            rollout: self.live.record.number.get(),
            arm: (self.arm.name.parse()).expect("names of arms are a-z, 0-9, '-' and '_'"),
        }
    }
}

/// A checked, canonical call of the data plane.
pub(super) trait Call: Sized {
    /// Its message.
    type Request: Message + Default + Send + 'static;
    /// Whose series and cache entries are its own.
    const KIND: CallKind;

    /// Checks every field.
    ///
    /// # Errors
    /// `BadFields` with all bad ones.
    fn checked(request: Self::Request) -> Result<Self, CallError>;

    /// Who is asked.
    fn address(&self) -> &Address;

    /// What splits the traffic.
    fn sticky_key(&self) -> &str;

    /// Fills in what the version that answers decides, and returns the whole canonical request:
    /// calls with equal ones get equal answers from the same arm.
    fn completed(&mut self, model: &Model) -> &Self::Request;

    /// Computes the answer.
    ///
    /// # Errors
    /// What the model refuses.
    fn answer(self, place: &Place<'_>, scratch: &mut Scratch) -> Result<Encoded, CallError>;
}

/// Answers from whatever is live.
pub(super) struct Recommender {
    models: Arc<Models>,
    cache: Option<Arc<AnswerCache>>,
    may_pin: bool,
}

impl Recommender {
    /// `cache` is `None`: every answer is computed. `may_pin`: callers may name the version.
    pub(super) fn new(models: Arc<Models>, cache: Option<Arc<AnswerCache>>, may_pin: bool) -> Self {
        Self {
            models,
            cache,
            may_pin,
        }
    }

    /// The answer's message, and where it comes from. `pinned` is the version that the caller named
    /// past the split.
    pub(super) fn answer<C: Call>(
        &self,
        request: C::Request,
        pinned: Option<u64>,
    ) -> Result<(Bytes, Origin), CallError> {
        let began = Instant::now();
        let call = C::checked(request)?;
        let model = &call.address().model;
        let slot = self.models.slot(model);
        let slot = slot.ok_or_else(|| CallError::UnknownModel(model.clone()))?;
        let snapshot = slot.live.load();
        let live = snapshot
            .as_ref()
            .ok_or_else(|| CallError::NotLive(slot.name.to_string()))?;
        let arm = match pinned {
            None => live.arm_for(call.sticky_key()),
            Some(version) => self.pinned_arm(live, version)?,
        };
        let place = Place {
            model: slot.name.as_str(),
            live,
            arm,
            tally: arm.tally.as_deref().filter(|_| pinned.is_none()),
        };
        let message = DESK.with_borrow_mut(|desk| self.answer_at(&place, call, (desk, began)))?;
        Ok((message, place.origin()))
    }

    fn pinned_arm<'a>(&self, live: &'a Live, version: u64) -> Result<&'a LiveArm, CallError> {
        if !self.may_pin {
            return Err(CallError::PinRefused);
        }
        let arms = live.arms();
        let found = arms.iter().find(|arm| arm.loaded.version.get() == version);
        found.ok_or_else(|| CallError::VersionNotLive {
            version,
            live: arms.iter().map(|arm| arm.loaded.version.get()).collect(),
        })
    }

    fn answer_at<C: Call>(
        &self,
        place: &Place<'_>,
        mut call: C,
        (desk, began): (&mut Desk, Instant),
    ) -> Result<Bytes, CallError> {
        let loaded = &place.arm.loaded;
        let counted = place.tally.map(|tally| tally.begin(call.sticky_key()));
        let cache = self.cache.as_ref().filter(|_| !call.address().is_debug);
        let request = call.completed(&loaded.model);
        if let Some(cache) = cache {
            write_key(&mut desk.key, C::KIND, place, request);
            if let Some(kept) = cache.find(C::KIND, &desk.key, began) {
                observe(loaded, &kept.answer.seen, began.elapsed());
                answered(counted, &kept.answer.seen, None);
                return Ok(kept.answer.cached());
            }
        }
        let answer = call.answer(place, &mut desk.scratch);
        let answer = match answer {
            Ok(answer) => answer,
            Err(refused) => {
                count_refusal(loaded, &refused);
                count_shortcoming(counted, &refused);
                return Err(refused);
            }
        };
        let took = began.elapsed();
        observe(loaded, &answer.seen, took);
        if let Some(metrics) = loaded.metrics.get() {
            metrics.computed(took);
        }
        answered(counted, &answer.seen, Some(took));
        let message = answer.fresh();
        if let Some(cache) = cache {
            cache.keep(&desk.key, answer, began);
        }
        Ok(message)
    }
}

/// Everything that decides an answer, each piece of variable length behind its length.
fn write_key(key: &mut Vec<u8>, call: CallKind, place: &Place<'_>, request: &impl Message) {
    key.clear();
    key.push(call as u8);
    key.extend(place.live.record.number.get().to_le_bytes());
    key.extend(place.arm.loaded.version.get().to_le_bytes());
    for name in [place.model, &place.arm.name] {
        key.extend((name.len() as u64).to_le_bytes());
        key.extend(name.as_bytes());
    }
    // Fields in the order of their numbers and defaults left out: one message, one encoding.
    request.encode(key).expect("a Vec has room");
}

fn observe(loaded: &LoadedVersion, seen: &Seen, took: Duration) {
    if let Some(metrics) = loaded.metrics.get() {
        metrics.answered(seen, took);
    }
}

fn count_refusal(loaded: &LoadedVersion, refused: &CallError) {
    if let Some(metrics) = loaded.metrics.get() {
        metrics.refused(code_name(refused.code() as usize));
    }
}

fn answered(counted: Option<Pending<'_>>, seen: &Seen, computed_in: Option<Duration>) {
    if let Some(counted) = counted {
        counted.answered(Answered {
            is_empty: seen.is_empty(),
            is_fallback: !seen.fallbacks().is_empty(),
            computed_in,
        });
    }
}

/// Nothing that is the caller's fault gets as far as an arm, but for ids that no version knows: those
/// count as an answer without a product, as a version may just as well have lost what others know.
/// What else a version refuses is its own shortcoming, for a caller does not know who will answer.
fn count_shortcoming(counted: Option<Pending<'_>>, refused: &CallError) {
    match (counted, refused) {
        (Some(counted), CallError::UnknownProduct { .. }) => counted.answered(Answered {
            is_empty: true,
            is_fallback: false,
            computed_in: None,
        }),
        // Dropped, which counts as an error.
        (counted, _) => drop(counted),
    }
}

/// What a caller is told of a query that the model refuses; `product_id` is the one asked about.
pub(super) fn refusal(error: QueryError, loaded: &LoadedVersion, product_id: &str) -> CallError {
    let version = loaded.version.get();
    match error {
        QueryError::NeedsContent => CallError::NeedsContent(version),
        QueryError::UnknownProduct => CallError::UnknownProduct {
            product_id: product_id.to_owned(),
            version,
        },
        _ => CallError::Internal("the model refused the query"),
    }
}

#[cfg(test)]
mod tests;
