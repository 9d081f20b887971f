//! `SimilarProducts`.

use super::recommend::{Explanation, FilterAsk};
use super::{Client, ClientError, instant, pinned, word};
use crate::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use crate::grpc::proto::{
    SimilarProduct, SimilarProductsRequest, SimilarProductsResponse, SimilarityBasis,
};
use crate::grpc::recommendation_service::wire_basis;
use hotshelf_model::Basis;
use serde::Serialize;

/// A request for similar products.
#[derive(Clone, Debug, Default)]
pub struct SimilarAsk {
    /// The product.
    pub product_id: String,
    /// Empty = the server's default.
    pub model: String,
    /// `None` = the server's default.
    pub n: Option<u32>,
    /// `None` = the server's default.
    pub basis: Option<Basis>,
    /// Which products are eligible.
    pub filter: FilterAsk,
    /// Return how the response was computed.
    pub debug: bool,
    /// The live version to pin; `None` = by the traffic split.
    pub pin: Option<u64>,
}

/// One similar product.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimilarInfo {
    /// Position, from 1.
    pub rank: u32,
    /// The product.
    pub product_id: String,
    /// Empty if the catalogue has none.
    pub product_name: String,
    /// Empty if the catalogue has none.
    pub category: String,
    /// `None` if the catalogue has none.
    pub price: Option<f32>,
    /// Cosine.
    pub similarity_score: f64,
}

/// Similar products and what computed them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct SimilarList {
    /// As requested.
    pub product_id: String,
    /// The basis of similarity that was used.
    pub basis: String,
    /// Fallbacks that the server took.
    pub fallbacks: Vec<String>,
    /// The model.
    pub model: String,
    /// The version that answered.
    pub version: u64,
    /// The rollout that made it live.
    pub rollout: u64,
    /// The rollout's arm.
    pub arm: String,
    /// RFC 3339.
    pub generated_at: String,
    /// Whether it came from the response cache.
    pub cache_hit: bool,
    /// `Some` if debug was requested.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub debug: Option<Explanation>,
    /// Most similar first.
    pub items: Vec<SimilarInfo>,
}

impl Client {
    /// Calls SimilarProducts.
    ///
    /// # Errors
    /// `Refused` by the server or the transport.
    pub async fn similar(&self, ask: SimilarAsk) -> Result<SimilarList, ClientError> {
        let basis = ask.basis.map_or(SimilarityBasis::Unspecified, wire_basis);
        let request = SimilarProductsRequest {
            product_id: ask.product_id,
            model: ask.model,
            n: ask.n,
            basis: basis.into(),
            filter: ask.filter.into_wire(),
            debug: ask.debug,
            ..SimilarProductsRequest::default()
        };
        let mut service = RecommendationServiceClient::new(self.channel.clone());
        Ok(service
            .similar_products(pinned(request, ask.pin))
            .await?
            .into_inner()
            .into())
    }
}

impl From<SimilarProduct> for SimilarInfo {
    fn from(item: SimilarProduct) -> Self {
        Self {
            rank: item.rank,
            product_id: item.product_id,
            product_name: item.product_name,
            category: item.category,
            price: item.price,
            similarity_score: item.similarity_score,
        }
    }
}

impl From<SimilarProductsResponse> for SimilarList {
    fn from(answer: SimilarProductsResponse) -> Self {
        Self {
            basis: word(answer.basis().as_str_name(), "SIMILARITY_BASIS_"),
            product_id: answer.product_id,
            fallbacks: answer.fallbacks,
            model: answer.model,
            version: answer.version,
            rollout: answer.rollout,
            arm: answer.arm,
            generated_at: instant(answer.generated_at),
            cache_hit: answer.cache_hit,
            debug: answer.debug.map(Into::into),
            items: answer.items.into_iter().map(Into::into).collect(),
        }
    }
}
