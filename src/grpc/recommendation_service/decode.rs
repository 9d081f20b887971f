//! Request messages, as the fields that the data path takes. Judges nothing but what only the wire
//! knows: the numbers of enums.

use crate::grpc::proto::{
    ProductFilter as WireFilter, RecommendRequest, SimilarProductsRequest, SimilarityBasis,
    Strategy as WireStrategy,
};
use crate::serving::{ProductFilter, RecommendFields, SimilarFields};
use hotshelf_model::{Basis, Strategy};

impl From<RecommendRequest> for RecommendFields {
    fn from(request: RecommendRequest) -> Self {
        Self {
            user_id: request.user_id,
            session_id: request.session_id,
            request_id: request.request_id,
            model: request.model,
            n: request.n,
            strategy: strategy(request.strategy),
            alpha: request.alpha,
            recent_product_ids: request.recent_product_ids,
            filter: request.filter.map_or_else(Default::default, Into::into),
            include_seen: request.include_seen,
            include_names: request.include_names,
            debug: request.debug,
            pinned_version: None,
        }
    }
}

impl From<SimilarProductsRequest> for SimilarFields {
    fn from(request: SimilarProductsRequest) -> Self {
        Self {
            product_id: request.product_id,
            model: request.model,
            n: request.n,
            basis: basis(request.basis),
            filter: request.filter.map_or_else(Default::default, Into::into),
            user_id: request.user_id,
            session_id: request.session_id,
            request_id: request.request_id,
            debug: request.debug,
            pinned_version: None,
        }
    }
}

impl From<WireFilter> for ProductFilter {
    fn from(filter: WireFilter) -> Self {
        Self {
            categories: filter.categories,
            brands: filter.brands,
            price_min: filter.price.and_then(|price| price.min),
            price_max: filter.price.and_then(|price| price.max),
            exclude_product_ids: filter.exclude_product_ids,
        }
    }
}

fn strategy(wire: i32) -> Result<Option<Strategy>, String> {
    match WireStrategy::try_from(wire) {
        Ok(WireStrategy::Unspecified) => Ok(None),
        Ok(WireStrategy::Hybrid) => Ok(Some(Strategy::Hybrid)),
        Ok(WireStrategy::Collaborative) => Ok(Some(Strategy::Collaborative)),
        Ok(WireStrategy::Content) => Ok(Some(Strategy::Content)),
        Ok(WireStrategy::Blended) => Ok(Some(Strategy::Blended)),
        Err(_) => Err(format!("{wire} is not one of the strategies 0 to 4")),
    }
}

fn basis(wire: i32) -> Result<Option<Basis>, String> {
    match SimilarityBasis::try_from(wire) {
        Ok(SimilarityBasis::Unspecified) => Ok(None),
        Ok(SimilarityBasis::Content) => Ok(Some(Basis::Content)),
        Ok(SimilarityBasis::Collaborative) => Ok(Some(Basis::Collaborative)),
        Ok(SimilarityBasis::Sequence) => Ok(Some(Basis::Sequence)),
        Err(_) => Err(format!("{wire} is not one of the bases 0 to 3")),
    }
}
