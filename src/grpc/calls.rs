//! Calls of the data plane, checked and canonical: what means the same is written the same, so that
//! it finds the same answer in the cache. Defaults are filled in, filter values and exclusions sorted
//! and each there once; recent products keep their order, which means something.

use super::proto::{
    ProductFilter, RecommendRequest, SimilarProductsRequest, SimilarityBasis,
    Strategy as WireStrategy,
};
use crate::error::CallError;
use crate::serving::validate::Violations;
use hotshelf_model::{Basis, Filter, Model, Strategy};

/// Products a Recommend may ask for.
const RECOMMEND_N_MAX: u32 = 100;
/// Products a SimilarProducts may ask for.
const SIMILAR_N_MAX: u32 = 50;
/// Products that a call gets unless it says otherwise.
const N_DEFAULT: u32 = 10;
/// Recent products of one request.
const RECENTS_MAX: usize = 100;

/// Who is asked, and what is left of the request once that is known.
#[derive(Debug, Default)]
pub(super) struct Address {
    /// Empty: the default model.
    pub(super) model: String,
    /// Splits traffic where there is no user id: session, or else request.
    split_by: String,
    /// Whether the caller wants to know how the answer was computed.
    pub(super) is_debug: bool,
}

impl Address {
    /// What splits the traffic.
    pub(super) fn sticky_key<'a>(&'a self, user_id: &'a str) -> &'a str {
        if user_id.is_empty() {
            &self.split_by
        } else {
            user_id
        }
    }

    fn new(model: String, session_id: String, request_id: String, is_debug: bool) -> Self {
        let split_by = if session_id.is_empty() {
            request_id
        } else {
            session_id
        };
        Self {
            model,
            split_by,
            is_debug,
        }
    }
}

/// A Recommend that passed.
#[derive(Debug)]
pub(super) struct RecommendCall {
    pub(super) address: Address,
    /// Canonical, without what stands in the address.
    pub(super) request: RecommendRequest,
    pub(super) n: usize,
    pub(super) strategy: Strategy,
}

impl RecommendCall {
    /// Checks every field.
    ///
    /// # Errors
    /// `BadFields` with all of them.
    pub(super) fn parse(mut request: RecommendRequest) -> Result<Self, CallError> {
        let mut bad = Violations::default();
        bad.optional_id("user_id", &request.user_id);
        bad.optional_id("session_id", &request.session_id);
        bad.optional_id("request_id", &request.request_id);
        bad.model(&request.model);
        let n = bad.count("n", request.n, N_DEFAULT, RECOMMEND_N_MAX);
        let strategy = bad.strategy(request.strategy);
        if let Some(alpha) = request.alpha.filter(|alpha| !(0.0..=1.0).contains(alpha)) {
            bad.add("alpha", format!("{alpha} is not within 0 to 1"));
        }
        let recents = &request.recent_product_ids;
        bad.ids("recent_product_ids", recents, RECENTS_MAX);
        if let Some(filter) = &request.filter {
            bad.filter(filter);
        }
        bad.finish()?;
        let address = Address::new(
            std::mem::take(&mut request.model),
            std::mem::take(&mut request.session_id),
            std::mem::take(&mut request.request_id),
            std::mem::take(&mut request.debug),
        );
        request.n = Some(n);
        request.strategy = wire_strategy(strategy).into();
        request.filter = request.filter.and_then(canonical);
        Ok(Self {
            address,
            request,
            n: n as usize,
            strategy,
        })
    }

    /// Fills in what the version that answers decides. Alpha means something in a blend alone.
    pub(super) fn complete(&mut self, model: &Model) {
        let alpha = self
            .request
            .alpha
            .unwrap_or(model.parameters().scoring.alpha);
        let is_blend = self.strategy == Strategy::Hybrid;
        self.request.alpha = is_blend.then_some(positive_zero(alpha));
    }
}

/// A SimilarProducts that passed.
#[derive(Debug)]
pub(super) struct SimilarCall {
    pub(super) address: Address,
    /// Whose page it is; splits traffic and decides nothing else.
    pub(super) user_id: String,
    /// Canonical, without what stands in the address.
    pub(super) request: SimilarProductsRequest,
    pub(super) n: usize,
    pub(super) basis: Option<Basis>,
}

impl SimilarCall {
    /// Checks every field.
    ///
    /// # Errors
    /// `BadFields` with all of them.
    pub(super) fn parse(mut request: SimilarProductsRequest) -> Result<Self, CallError> {
        let mut bad = Violations::default();
        bad.id("product_id", &request.product_id);
        bad.model(&request.model);
        let n = bad.count("n", request.n, N_DEFAULT, SIMILAR_N_MAX);
        let basis = bad.basis(request.basis);
        if let Some(filter) = &request.filter {
            bad.filter(filter);
        }
        bad.optional_id("user_id", &request.user_id);
        bad.optional_id("session_id", &request.session_id);
        bad.optional_id("request_id", &request.request_id);
        bad.finish()?;
        let address = Address::new(
            std::mem::take(&mut request.model),
            std::mem::take(&mut request.session_id),
            std::mem::take(&mut request.request_id),
            std::mem::take(&mut request.debug),
        );
        request.n = Some(n);
        request.filter = request.filter.and_then(canonical);
        Ok(Self {
            address,
            user_id: std::mem::take(&mut request.user_id),
            request,
            n: n as usize,
            basis,
        })
    }

    /// Fills in what the version that answers decides: the default basis, where it has that one.
    pub(super) fn complete(&mut self, model: &Model) {
        if self.basis.is_none() && model.content().is_some() {
            self.basis = Some(Basis::Content);
        }
        self.request.basis = self
            .basis
            .map_or(SimilarityBasis::Unspecified, wire_basis)
            .into();
    }
}

/// The filter with its values in order and each there once; `None` where it lets everything through.
fn canonical(mut filter: ProductFilter) -> Option<ProductFilter> {
    for values in [
        &mut filter.categories,
        &mut filter.brands,
        &mut filter.exclude_product_ids,
    ] {
        values.sort_unstable();
        values.dedup();
    }
    filter.price = filter
        .price
        .filter(|price| price.min.or(price.max).is_some());
    if let Some(price) = &mut filter.price {
        price.min = price.min.map(positive_zero);
        price.max = price.max.map(positive_zero);
    }
    (filter != ProductFilter::default()).then_some(filter)
}

/// -0 means what 0 does, and is written otherwise.
fn positive_zero(number: f64) -> f64 {
    number + 0.0
}

/// A wire filter in the model's words, and what it excludes.
pub(super) fn filter_of(filter: Option<&ProductFilter>) -> (Filter<'_>, &[String]) {
    let Some(filter) = filter else {
        return (Filter::default(), &[]);
    };
    let in_words = Filter {
        categories: &filter.categories,
        brands: &filter.brands,
        price_min: filter.price.and_then(|price| price.min),
        price_max: filter.price.and_then(|price| price.max),
    };
    (in_words, &filter.exclude_product_ids)
}

pub(super) fn wire_strategy(strategy: Strategy) -> WireStrategy {
    match strategy {
        Strategy::Hybrid => WireStrategy::Hybrid,
        Strategy::Collaborative => WireStrategy::Collaborative,
        Strategy::Content => WireStrategy::Content,
    }
}

pub(super) fn wire_basis(basis: Basis) -> SimilarityBasis {
    match basis {
        Basis::Content => SimilarityBasis::Content,
        Basis::Collaborative => SimilarityBasis::Collaborative,
    }
}

#[cfg(test)]
mod tests;
