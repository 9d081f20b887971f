//! Recommend, from its fields to its response.

use super::arm::{ServingArm, Target};
use super::encoding::{Encoding, Recommendation};
use super::filter::{ProductFilter, positive_zero};
use super::key::{CanonicalCall, KeyWriter};
use super::record::{Answer, Computed};
use super::resolve::Resolved;
use super::validate::Violations;
use super::{DataPath, N_DEFAULT, Response, SCRATCH};
use crate::error::CallError;
use crate::metrics::{AnswerSummary, CallKind, ModelType};
use hotshelf_model::{Answer as Ranked, Fallback, Item, Model, Query, Reason, Strategy};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Products that a request may ask for.
const N_MAX: u32 = 100;
/// Recent products that a request may name.
const RECENTS_MAX: usize = 100;

/// A request as the caller wrote it, in whatever encoding. The proto file says what the fields mean.
#[derive(Clone, Debug)]
pub struct RecommendFields {
    /// Empty: anonymous.
    pub user_id: String,
    /// Empty: none.
    pub session_id: String,
    /// Empty: none.
    pub request_id: String,
    /// Empty: the default model.
    pub model: String,
    /// `None`: 10.
    pub n: Option<u32>,
    /// `None`: the version's default. `Err`: why the value is no strategy.
    pub strategy: Result<Option<Strategy>, String>,
    /// `None`: the version's default.
    pub alpha: Option<f64>,
    /// Newest first; empty: what the model's history knows.
    pub recent_product_ids: Vec<String>,
    /// Which products may be returned.
    pub filter: ProductFilter,
    /// Whether seen products may be returned.
    pub include_seen: bool,
    /// Whether items carry the names of their products.
    pub include_names: bool,
    /// Whether the answer says how it was computed.
    pub debug: bool,
    /// The version to be answered by, past the traffic split.
    pub pinned_version: Option<u64>,
}

/// A valid request in canonical form: requests that mean the same are equal.
#[derive(Clone, Debug)]
pub struct RecommendCall {
    pub(super) target: Target,
    /// Empty: anonymous.
    pub user_id: String,
    /// How many products.
    pub n: usize,
    /// `None` until the version's default is filled in.
    pub strategy: Option<Strategy>,
    /// Weight of the collaborative score; `None` where the strategy does not blend.
    pub alpha: Option<f64>,
    /// Newest first.
    pub recent_product_ids: Vec<String>,
    /// Sorted, without duplicates.
    pub filter: ProductFilter,
    /// Whether seen products may be returned.
    pub include_seen: bool,
    /// Whether items carry the names of their products.
    pub include_names: bool,
    /// Whether the answer says how it was computed.
    pub debug: bool,
}

impl DataPath {
    /// Ranks products for a person.
    ///
    /// # Errors
    /// `BadFields`, what [`ServingArm`] refuses, and what the version refuses.
    pub async fn recommend<E: Encoding>(
        &self,
        fields: RecommendFields,
    ) -> Result<Response, CallError> {
        let resolved = self.resolve_recommend(fields, E::ID).await?;
        let recorder = self.recorder(&resolved, resolved.call.split_key());
        let answer = compute::<E>(&resolved);
        let message = recorder.record(&resolved, answer)?;
        Ok(Response {
            message,
            arm: resolved.arm,
        })
    }

    #[expect(
        clippy::unused_async,
        reason = "the phase that may wait; nothing does yet"
    )]
    async fn resolve_recommend(
        &self,
        fields: RecommendFields,
        encoding: u8,
    ) -> Result<Resolved<RecommendCall>, CallError> {
        let began = Instant::now();
        let mut call = RecommendCall::validate(fields)?;
        let arm = ServingArm::choose(&self.models, &call.target, call.split_key(), self.may_pin)?;
        call.fill_defaults(arm.model());
        let is_cacheable = !call.debug;
        Ok(self.look_up((call, arm), encoding, is_cacheable, began))
    }
}

impl RecommendCall {
    /// Checks every field.
    ///
    /// # Errors
    /// `BadFields` with all bad ones.
    pub(super) fn validate(fields: RecommendFields) -> Result<Self, CallError> {
        let mut bad = Violations::default();
        bad.optional_id("user_id", &fields.user_id);
        bad.optional_id("session_id", &fields.session_id);
        bad.optional_id("request_id", &fields.request_id);
        bad.model(&fields.model);
        let n = bad.count("n", fields.n, N_DEFAULT, N_MAX);
        let strategy = bad.choice("strategy", fields.strategy);
        if let Some(alpha) = fields.alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
            bad.add("alpha", format!("{alpha} is not within 0 to 1"));
        }
        let recents = &fields.recent_product_ids;
        bad.ids("recent_product_ids", recents, RECENTS_MAX);
        fields.filter.check(&mut bad);
        bad.finish()?;
        Ok(Self {
            target: Target::new(
                fields.model,
                [fields.session_id, fields.request_id],
                fields.pinned_version,
            ),
            user_id: fields.user_id,
            n: n as usize,
            strategy,
            alpha: fields.alpha,
            recent_product_ids: fields.recent_product_ids,
            filter: fields.filter.canonical(),
            include_seen: fields.include_seen,
            include_names: fields.include_names,
            debug: fields.debug,
        })
    }

    /// What chooses the arm.
    fn split_key(&self) -> &str {
        self.target.split_key(&self.user_id)
    }

    /// Fills in what the version decides. Alpha means something in a blend alone.
    fn fill_defaults(&mut self, model: &Model) {
        let strategy = self.strategy.unwrap_or_default();
        let alpha = self.alpha.unwrap_or(model.parameters().scoring.alpha);
        self.strategy = Some(strategy);
        self.alpha = (strategy == Strategy::Hybrid).then_some(positive_zero(alpha));
    }
}

impl CanonicalCall for RecommendCall {
    const KIND: CallKind = CallKind::Recommend;

    fn write_key(&self, key: &mut KeyWriter) {
        let Self {
            // Chooses the arm, whose names are in the key.
            target: _,
            user_id,
            n,
            strategy,
            alpha,
            recent_product_ids,
            filter,
            include_seen,
            include_names,
            // An answer that explains itself is not cached.
            debug: _,
        } = self;
        key.text(user_id);
        key.number(*n as u64);
        key.text(strategy.map_or("", Strategy::as_str));
        key.optional_f64(*alpha);
        key.texts(recent_product_ids);
        filter.write_key(key);
        key.flag(*include_seen);
        key.flag(*include_names);
    }
}

/// The cached response, or the model's answer, encoded once.
fn compute<E: Encoding>(resolved: &Resolved<RecommendCall>) -> Result<Answer, CallError> {
    if let Some(cached) = &resolved.cached {
        return Ok(Answer::Cached(Arc::clone(cached)));
    }
    let (call, arm) = (&resolved.call, &resolved.arm);
    let query = Query {
        user_id: &call.user_id,
        n: call.n,
        strategy: call.strategy.unwrap_or_default(),
        alpha: call.alpha,
        recent_product_ids: &call.recent_product_ids,
        filter: call.filter.as_model(),
        exclude_product_ids: &call.filter.exclude_product_ids,
        include_seen: call.include_seen,
    };
    let answer = SCRATCH.with_borrow_mut(|scratch| arm.model().recommend(&query, scratch));
    let answer = answer.map_err(|error| arm.refusal(error, ""))?;
    Ok(Answer::Computed(Computed {
        encoded: E::recommendation(&Recommendation {
            call,
            arm,
            answer: &answer,
            computed_at: SystemTime::now(),
        }),
        summary: summarize(&answer),
    }))
}

fn summarize(answer: &Ranked<'_>) -> AnswerSummary {
    let is_popular = if answer.items.is_empty() {
        // Where a filter leaves nothing, the fallbacks say what would have answered.
        let unknown = [Fallback::UnknownUser, Fallback::NoUserFactors];
        unknown
            .into_iter()
            .any(|one| answer.fallbacks.contains(one))
    } else {
        let is_popular = |item: &Item| item.reason == Reason::Popular;
        answer.items.iter().all(is_popular)
    };
    let model_type = match answer.strategy {
        _ if is_popular => ModelType::Popular,
        Strategy::Hybrid => ModelType::Hybrid,
        Strategy::Collaborative => ModelType::Collaborative,
        Strategy::Content => ModelType::Content,
    };
    AnswerSummary::Recommended {
        model_type,
        segment: answer.segment.into(),
        fallbacks: answer.fallbacks,
        recents_unknown: answer.recent_unknown,
        is_empty: answer.items.is_empty(),
    }
}

#[cfg(test)]
mod tests;
