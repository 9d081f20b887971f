//! SimilarProducts, from its fields to its response.

use super::arm::{ServingArm, Target};
use super::encoding::{Encoding, SimilarProducts};
use super::filter::ProductFilter;
use super::key::{CanonicalCall, KeyWriter};
use super::record::{Answer, Computed};
use super::resolve::Resolved;
use super::validate::Violations;
use super::{DataPath, N_DEFAULT, Response, SCRATCH};
use crate::error::CallError;
use crate::metrics::{AnswerSummary, CallKind};
use hotshelf_model::{Basis, Model, SimilarQuery};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

/// Products that a request may ask for.
const N_MAX: u32 = 50;

/// A request as the caller wrote it, in whatever encoding. The proto file says what the fields mean.
#[derive(Clone, Debug)]
pub struct SimilarFields {
    /// The product.
    pub product_id: String,
    /// Empty: the default model.
    pub model: String,
    /// `None`: 10.
    pub n: Option<u32>,
    /// `None`: the version's default. `Err`: why the value is no basis.
    pub basis: Result<Option<Basis>, String>,
    /// Which products may be returned.
    pub filter: ProductFilter,
    /// Empty: none.
    pub user_id: String,
    /// Empty: none.
    pub session_id: String,
    /// Empty: none.
    pub request_id: String,
    /// Whether the answer says how it was computed.
    pub debug: bool,
    /// The version to be answered by, past the traffic split.
    pub pinned_version: Option<u64>,
}

/// A valid request in canonical form: requests that mean the same are equal.
#[derive(Clone, Debug)]
pub struct SimilarCall {
    pub(super) target: Target,
    /// Chooses the arm and decides nothing else.
    user_id: String,
    /// The product.
    pub product_id: String,
    /// How many products.
    pub n: usize,
    /// `None` where the default asks for content and the version has none.
    pub basis: Option<Basis>,
    /// Sorted, without duplicates.
    pub filter: ProductFilter,
    /// Whether the answer says how it was computed.
    pub debug: bool,
}

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

impl SimilarCall {
    /// Checks every field.
    ///
    /// # Errors
    /// `BadFields` with all bad ones.
    pub(super) fn validate(fields: SimilarFields) -> Result<Self, CallError> {
        let mut bad = Violations::default();
        bad.id("product_id", &fields.product_id);
        bad.model(&fields.model);
        let n = bad.count("n", fields.n, N_DEFAULT, N_MAX);
        let basis = bad.choice("basis", fields.basis);
        fields.filter.check(&mut bad);
        bad.optional_id("user_id", &fields.user_id);
        bad.optional_id("session_id", &fields.session_id);
        bad.optional_id("request_id", &fields.request_id);
        bad.finish()?;
        Ok(Self {
            target: Target::new(
                fields.model,
                [fields.session_id, fields.request_id],
                fields.pinned_version,
            ),
            user_id: fields.user_id,
            product_id: fields.product_id,
            n: n as usize,
            basis,
            filter: fields.filter.canonical(),
            debug: fields.debug,
        })
    }

    /// What chooses the arm.
    fn split_key(&self) -> &str {
        self.target.split_key(&self.user_id)
    }

    /// Fills in what the version decides: content is the default basis of versions that have it.
    fn fill_defaults(&mut self, model: &Model) {
        if self.basis.is_none() && model.content().is_some() {
            self.basis = Some(Basis::Content);
        }
    }
}

impl CanonicalCall for SimilarCall {
    const KIND: CallKind = CallKind::Similar;

    fn write_key(&self, key: &mut KeyWriter) {
        let Self {
            // Both choose the arm, whose names are in the key.
            target: _,
            user_id: _,
            product_id,
            n,
            basis,
            filter,
            // An answer that explains itself is not cached.
            debug: _,
        } = self;
        key.text(product_id);
        key.number(*n as u64);
        key.byte(match basis {
            None => 0,
            Some(Basis::Content) => 1,
            Some(Basis::Collaborative) => 2,
        });
        filter.write_key(key);
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

#[cfg(test)]
mod tests;
