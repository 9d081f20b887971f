//! Recommend, phase by phase.

mod call;

pub use call::{RecentSources, RecommendCall, RecommendFields};

use super::arm::ServingArm;
use super::encoding::{Encoding, Recommendation};
use super::evidence::Judged;
use super::record::{Answer, Computed};
use super::resolve::Resolved;
use super::{DataPath, Response, SCRATCH};
use crate::error::CallError;
use crate::metrics::{AnswerSummary, ModelType};
use hotshelf_model::{Answer as Ranked, Fallback, Item, Query, Reason, Strategy};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

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
        let recorder = self.recorder(&resolved);
        let answer = compute::<E>(&resolved);
        let message = recorder.record(&resolved, answer)?;
        Ok(Response {
            message,
            arm: resolved.arm,
        })
    }

    /// The phase that may wait; nothing in it does yet.
    async fn resolve_recommend(
        &self,
        fields: RecommendFields,
        encoding: u8,
    ) -> Result<Resolved<RecommendCall>, CallError> {
        let began = Instant::now();
        let mut call = RecommendCall::validate(fields)?;
        let arm = ServingArm::choose(&self.models, &call.target, call.split_key(), self.may_pin)?;
        call.fill_defaults(arm.model());
        self.add_recents(&mut call);
        let is_cacheable = !call.debug;
        Ok(self.look_up((call, arm), encoding, is_cacheable, began))
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
        weights: None,
        recent_product_ids: &call.recent_product_ids,
        browsed: &call.browsed,
        fill_from_history: call.fill_from_history,
        filter: call.filter.as_model(),
        exclude_product_ids: &call.filter.exclude_product_ids,
        include_seen: call.include_seen.unwrap_or_default(),
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
        Strategy::Blended => ModelType::Blended,
    };
    AnswerSummary::Recommended {
        model_type,
        segment: answer.segment.into(),
        fallbacks: answer.fallbacks,
        recents_unknown: answer.recent_unknown,
        is_empty: answer.items.is_empty(),
    }
}
