//! A SimilarProducts request: its fields as asked, and the valid, canonical call.

use crate::error::CallError;
use crate::guardrails::Scope;
use crate::metrics::CallKind;
use crate::serving::N_DEFAULT;
use crate::serving::arm::Target;
use crate::serving::evidence::{Arms, Judged, is_filtered};
use crate::serving::filter::ProductFilter;
use crate::serving::key::{CanonicalCall, KeyWriter};
use crate::serving::validate::Violations;
use hotshelf_model::{Basis, Model};

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
    pub(in crate::serving) target: Target,
    /// Chooses the arm and decides nothing else.
    user_id: String,
    /// The product.
    pub product_id: String,
    /// How many products.
    pub n: usize,
    /// `None` where the default asks for content and the version has none.
    pub basis: Option<Basis>,
    /// The basis that the request named: versions without its parts refuse it.
    named_basis: Option<Basis>,
    /// Sorted, without duplicates.
    pub filter: ProductFilter,
    /// Whether the answer says how it was computed.
    pub debug: bool,
}

impl SimilarCall {
    /// Checks every field.
    ///
    /// # Errors
    /// `BadFields` with all bad ones.
    pub(in crate::serving) fn validate(fields: SimilarFields) -> Result<Self, CallError> {
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
            named_basis: basis,
            filter: fields.filter.canonical(),
            debug: fields.debug,
        })
    }

    /// Fills in what the version decides: content is the default basis of versions that have it.
    pub(in crate::serving) fn fill_defaults(&mut self, model: &Model) {
        if self.basis.is_none() && model.content().is_some() {
            self.basis = Some(Basis::Content);
        }
    }
}

impl Judged for SimilarCall {
    fn split_key(&self) -> &str {
        self.target.split_key(&self.user_id)
    }

    fn scope(&self, arms: Arms<'_>) -> Scope {
        let can_all_answer = arms.know_product(&self.product_id)
            && match self.named_basis {
                Some(Basis::Content) => arms.have_content(),
                Some(Basis::Sequence) => arms.have_transitions(),
                Some(Basis::Collaborative) | None => true,
            };
        if !can_all_answer || !arms.count_person(&self.user_id) {
            return Scope::Nothing;
        }
        if is_filtered(&self.filter) {
            Scope::ErrorsAndTime
        } else {
            Scope::Everything
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
            // Decides a refusal, which is not cached, and no answer.
            named_basis: _,
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
            Some(Basis::Sequence) => 3,
        });
        filter.write_key(key);
    }
}

#[cfg(test)]
mod tests;
