//! Calls of the data listener.

use super::{Client, ClientError, word};
use crate::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use crate::grpc::proto::{
    ProductFilter, RecommendRequest, RecommendResponse, Strategy as WireStrategy,
};
use hotshelf_model::Strategy;
use serde::Serialize;

/// What to ask for.
#[derive(Clone, Debug, Default)]
pub struct RecommendAsk {
    /// The person; empty = anonymous.
    pub user_id: String,
    /// Empty = the server's default.
    pub model: String,
    /// `None` = the server's default.
    pub n: Option<u32>,
    /// `None` = the server's default.
    pub strategy: Option<Strategy>,
    /// Products to leave out.
    pub exclude_product_ids: Vec<String>,
    /// Return what the person already has, too.
    pub include_seen: bool,
}

/// One product of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// Place, from 1.
    pub rank: u32,
    /// The product.
    pub product_id: String,
    /// What ranked it.
    pub score: f64,
    /// Where it came from.
    pub reason: String,
}

/// A list and what computed it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecommendationList {
    /// As asked.
    pub user_id: String,
    /// The person's segment.
    pub user_segment: String,
    /// The strategy really used.
    pub strategy: String,
    /// What the server did without.
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
    /// From the response cache?
    pub cache_hit: bool,
    /// Best first.
    pub items: Vec<Recommendation>,
}

impl Client {
    /// Asks for recommendations.
    ///
    /// # Errors
    /// `Refused` by the server or the transport.
    pub async fn recommend(&self, ask: RecommendAsk) -> Result<RecommendationList, ClientError> {
        let mut service = RecommendationServiceClient::new(self.channel.clone());
        Ok(service
            .recommend(ask.into_wire())
            .await?
            .into_inner()
            .into())
    }
}

impl RecommendAsk {
    fn into_wire(self) -> RecommendRequest {
        let strategy = match self.strategy {
            None => WireStrategy::Unspecified,
            Some(Strategy::Hybrid) => WireStrategy::Hybrid,
            Some(Strategy::Collaborative) => WireStrategy::Collaborative,
            Some(Strategy::Content) => WireStrategy::Content,
        };
        let exclude_product_ids = self.exclude_product_ids;
        let filter = (!exclude_product_ids.is_empty()).then(|| ProductFilter {
            exclude_product_ids,
            ..ProductFilter::default()
        });
        RecommendRequest {
            user_id: self.user_id,
            model: self.model,
            n: self.n,
            strategy: strategy.into(),
            filter,
            include_seen: self.include_seen,
            ..RecommendRequest::default()
        }
    }
}

impl From<RecommendResponse> for RecommendationList {
    fn from(answer: RecommendResponse) -> Self {
        let strategy = word(answer.strategy().as_str_name(), "STRATEGY_");
        let item = |item: crate::grpc::proto::RecommendedItem| Recommendation {
            reason: word(item.reason().as_str_name(), "REASON_"),
            rank: item.rank,
            product_id: item.product_id,
            score: item.score,
        };
        Self {
            strategy,
            user_id: answer.user_id,
            user_segment: answer.user_segment,
            fallbacks: answer.fallbacks,
            model: answer.model,
            version: answer.version,
            rollout: answer.rollout,
            arm: answer.arm,
            generated_at: answer
                .generated_at
                .map(|at| at.to_string())
                .unwrap_or_default(),
            cache_hit: answer.cache_hit,
            items: answer.items.into_iter().map(item).collect(),
        }
    }
}
