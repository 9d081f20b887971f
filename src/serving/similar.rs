//! SimilarProducts, phase by phase.

mod call;

pub use call::{SimilarCall, SimilarFields};

use super::arm::ServingArm;
use super::encoding::{Encoding, SimilarProducts};
use super::evidence::Judged;
use super::record::{Answer, Computed};
use super::resolve::Resolved;
use super::{DataPath, Response, SCRATCH};
use crate::error::CallError;
use crate::metrics::AnswerSummary;
use hotshelf_model::SimilarQuery;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

impl DataPath {
    /// Lists the products most similar to one product.
    ///
    /// # Errors
    /// `BadFields`, what [`ServingArm`] refuses, and what the version refuses.
    pub async fn similar_products<E: Encoding>(
        &self,
        fields: SimilarFields,
    ) -> Result<Response, CallError> {
        let resolved = self.resolve_similar(fields, E::ID).await?;
        let recorder = self.recorder(&resolved);
        let answer = compute::<E>(&resolved);
        let message = recorder.record(&resolved, answer)?;
        Ok(Response {
            message,
            arm: resolved.arm,
        })
    }

    /// The phase that may wait; nothing in it does yet.
    async fn resolve_similar(
        &self,
        fields: SimilarFields,
        encoding: u8,
    ) -> Result<Resolved<SimilarCall>, CallError> {
        let began = Instant::now();
        let mut call = SimilarCall::validate(fields)?;
        let arm = ServingArm::choose(&self.models, &call.target, call.split_key(), self.may_pin)?;
        call.fill_defaults(arm.model());
        let is_cacheable = !call.debug;
        Ok(self.look_up((call, arm), encoding, is_cacheable, began))
    }
}

/// The cached response, or the model's answer, encoded once.
fn compute<E: Encoding>(resolved: &Resolved<SimilarCall>) -> Result<Answer, CallError> {
    if let Some(cached) = &resolved.cached {
        return Ok(Answer::Cached(Arc::clone(cached)));
    }
    let (call, arm) = (&resolved.call, &resolved.arm);
    let query = SimilarQuery {
        product_id: &call.product_id,
        n: call.n,
        basis: call.basis,
        filter: call.filter.as_model(),
        exclude_product_ids: &call.filter.exclude_product_ids,
    };
    let answer = SCRATCH.with_borrow_mut(|scratch| arm.model().similar(&query, scratch));
    let answer = answer.map_err(|error| arm.refusal(error, &call.product_id))?;
    Ok(Answer::Computed(Computed {
        encoded: E::similar_products(&SimilarProducts {
            call,
            arm,
            answer: &answer,
            computed_at: SystemTime::now(),
        }),
        summary: AnswerSummary::Similar {
            basis: answer.basis,
            fallbacks: answer.fallbacks,
            is_empty: answer.items.is_empty(),
        },
    }))
}
