//! `Recommend`, and what it shares with `SimilarProducts`.

use super::{Client, ClientError, instant, pinned, word};
use crate::grpc::proto::recommendation_service_client::RecommendationServiceClient;
use crate::grpc::proto::{
    DebugInfo, PriceRange, ProductFilter, RecommendRequest, RecommendResponse, RecommendedItem,
    Retrieval, SideValues, Strategy as WireStrategy,
};
use crate::grpc::recommendation_service::wire_strategy;
use hotshelf_model::{PerSide, Strategy};
use serde::Serialize;

/// Which products are eligible; by default all.
#[derive(Clone, Debug, Default)]
pub struct FilterAsk {
    /// Any of these; empty = any.
    pub categories: Vec<String>,
    /// Any of these; empty = any.
    pub brands: Vec<String>,
    /// Lowest price, inclusive.
    pub price_min: Option<f64>,
    /// Highest price, inclusive.
    pub price_max: Option<f64>,
    /// Products to leave out.
    pub exclude_product_ids: Vec<String>,
}

/// A request for recommendations.
#[derive(Clone, Debug, Default)]
pub struct RecommendAsk {
    /// The person's id; empty = anonymous.
    pub user_id: String,
    /// Empty = the server's default.
    pub model: String,
    /// `None` = the server's default.
    pub n: Option<u32>,
    /// `None` = the server's default.
    pub strategy: Option<Strategy>,
    /// `None` = the version's default.
    pub alpha: Option<f64>,
    /// Newest first; empty = the model's history.
    pub recent_product_ids: Vec<String>,
    /// Which products are eligible.
    pub filter: FilterAsk,
    /// Include products that the person already has; `None` = the version's default.
    pub include_seen: Option<bool>,
    /// Return the names of products.
    pub include_names: bool,
    /// Return how the answer was computed.
    pub debug: bool,
    /// The live version to pin; `None` = by the traffic split.
    pub pin: Option<u64>,
}

/// One product of a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Recommendation {
    /// Position, from 1.
    pub rank: u32,
    /// The product.
    pub product_id: String,
    /// Its name; empty where it was not requested or the catalogue has none.
    pub product_name: String,
    /// The score that ranked it.
    pub score: f64,
    /// Why it was recommended.
    pub reason: String,
    /// Raw; `Some` if debug was requested and the score computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub collaborative_score: Option<f64>,
    /// Raw; `Some` if debug was requested and the score computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_score: Option<f64>,
    /// Raw; `Some` if debug was requested and the score computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence_score: Option<f64>,
    /// Raw; `Some` if debug was requested and the score computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat_score: Option<f64>,
    /// Raw; `Some` if debug was requested and the score computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trend_score: Option<f64>,
    /// What each side adds to the score; `Some` if debug was requested and some side scored it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub shares: Option<PerSide<f64>>,
}

/// How candidates were retrieved on one side.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RetrievalInfo {
    /// The plan.
    pub plan: String,
    /// Rows that were scored.
    pub rows_scored: u64,
}

/// How a response was computed.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Explanation {
    /// By ALS factors.
    pub collaborative: Option<RetrievalInfo>,
    /// By content embeddings.
    pub content: Option<RetrievalInfo>,
    /// By what people took next.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sequence: Option<RetrievalInfo>,
    /// By what the person had before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub repeat: Option<RetrievalInfo>,
    /// By what is popular recently.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trend: Option<RetrievalInfo>,
    /// Weight of the collaborative score; `None` if the strategy was not the hybrid.
    pub alpha: Option<f64>,
    /// Weights of the sides; `None` if the strategy was not blended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub weights: Option<PerSide<f64>>,
    /// Where recent products came from.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub recent_sources: Vec<String>,
}

/// A ranked list, and what computed it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct RecommendationList {
    /// As requested.
    pub user_id: String,
    /// The person's segment.
    pub user_segment: String,
    /// The strategy that was used.
    pub strategy: String,
    /// Fallbacks that the server took.
    pub fallbacks: Vec<String>,
    /// Number of recent products that the model does not know.
    pub recent_product_ids_unknown: u32,
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
    /// Best first.
    pub items: Vec<Recommendation>,
}

impl Client {
    /// Calls Recommend.
    ///
    /// # Errors
    /// `Refused` by the server or the transport.
    pub async fn recommend(&self, ask: RecommendAsk) -> Result<RecommendationList, ClientError> {
        let mut service = RecommendationServiceClient::new(self.channel.clone());
        let pin = ask.pin;
        Ok(service
            .recommend(pinned(ask.into_wire(), pin))
            .await?
            .into_inner()
            .into())
    }
}

impl FilterAsk {
    /// `None` if every product is eligible.
    pub(super) fn into_wire(self) -> Option<ProductFilter> {
        let price = PriceRange {
            min: self.price_min,
            max: self.price_max,
        };
        let filter = ProductFilter {
            categories: self.categories,
            brands: self.brands,
            price: (price != PriceRange::default()).then_some(price),
            exclude_product_ids: self.exclude_product_ids,
        };
        (filter != ProductFilter::default()).then_some(filter)
    }
}

impl RecommendAsk {
    fn into_wire(self) -> RecommendRequest {
        let strategy = self
            .strategy
            .map_or(WireStrategy::Unspecified, wire_strategy);
        RecommendRequest {
            user_id: self.user_id,
            model: self.model,
            n: self.n,
            strategy: strategy.into(),
            alpha: self.alpha,
            recent_product_ids: self.recent_product_ids,
            filter: self.filter.into_wire(),
            include_seen: self.include_seen,
            include_names: self.include_names,
            debug: self.debug,
            ..RecommendRequest::default()
        }
    }
}

impl From<RecommendedItem> for Recommendation {
    fn from(item: RecommendedItem) -> Self {
        Self {
            reason: word(item.reason().as_str_name(), "REASON_"),
            rank: item.rank,
            product_id: item.product_id,
            product_name: item.product_name,
            score: item.score,
            collaborative_score: item.collaborative_score,
            content_score: item.content_score,
            sequence_score: item.sequence_score,
            repeat_score: item.repeat_score,
            trend_score: item.trend_score,
            shares: item.shares.map(per_side),
        }
    }
}

fn per_side(values: SideValues) -> PerSide<f64> {
    PerSide {
        collaborative: values.collaborative,
        content: values.content,
        sequence: values.sequence,
        repeat: values.repeat,
        trend: values.trend,
    }
}

impl From<DebugInfo> for Explanation {
    fn from(debug: DebugInfo) -> Self {
        let retrieval = |side: Retrieval| RetrievalInfo {
            plan: side.plan,
            rows_scored: side.rows_scored,
        };
        Self {
            collaborative: debug.collaborative.map(retrieval),
            content: debug.content.map(retrieval),
            sequence: debug.sequence.map(retrieval),
            repeat: debug.repeat.map(retrieval),
            trend: debug.trend.map(retrieval),
            alpha: debug.alpha,
            weights: debug.weights.map(per_side),
            recent_sources: debug.recent_sources,
        }
    }
}

impl From<RecommendResponse> for RecommendationList {
    fn from(answer: RecommendResponse) -> Self {
        Self {
            strategy: word(answer.strategy().as_str_name(), "STRATEGY_"),
            user_id: answer.user_id,
            user_segment: answer.user_segment,
            fallbacks: answer.fallbacks,
            recent_product_ids_unknown: answer.recent_product_ids_unknown,
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
