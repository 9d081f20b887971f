//! `RecommendationService`: one snapshot, one arm, one answer.
//!
//! The handler computes without waiting for anything, on the thread of the connection; scratch memory
//! belongs to the thread and is reused by every request on it.

use super::proto::recommendation_service_server::RecommendationService;
use super::proto::{
    Reason as WireReason, RecommendRequest, RecommendResponse, RecommendedItem,
    SimilarProductsRequest, SimilarProductsResponse, Strategy as WireStrategy,
};
use super::validate::RecommendCall;
use crate::error::{CallError, code_name};
use crate::lifecycle::{Live, LiveArm, LoadedVersion, Models};
use crate::metrics::{ModelType, Observation};
use hotshelf_model::{Answer, Fallback, Query, QueryError, Reason, Scratch, Strategy};
use std::cell::RefCell;
use std::sync::Arc;
use std::time::{Instant, SystemTime};
use tonic::{Request, Response, Status};

thread_local! {
    static SCRATCH: RefCell<Scratch> = RefCell::new(Scratch::default());
}

/// Answers from whatever is live.
pub(super) struct Recommender {
    models: Arc<Models>,
}

impl Recommender {
    pub(super) fn new(models: Arc<Models>) -> Self {
        Self { models }
    }

    fn recommend(&self, request: RecommendRequest) -> Result<RecommendResponse, CallError> {
        let began = Instant::now();
        let call = RecommendCall::parse(request)?;
        let slot = self.models.slot(&call.request.model);
        let slot = slot.ok_or_else(|| CallError::UnknownModel(call.request.model.clone()))?;
        let snapshot = slot.live.load();
        let live = snapshot
            .as_ref()
            .ok_or_else(|| CallError::NotLive(slot.name.to_string()))?;
        let arm = live.arm_for(call.sticky_key());
        let query = Query {
            user_id: &call.request.user_id,
            n: call.n,
            strategy: call.strategy,
            exclude_product_ids: call.exclusions(),
            include_seen: call.request.include_seen,
            ..Query::default()
        };
        let answer = SCRATCH.with_borrow_mut(|scratch| arm.loaded.model.recommend(&query, scratch));
        let answer = answer.map_err(|error| refuse(error, &arm.loaded))?;
        observe(&arm.loaded, &answer, began);
        let place = Place {
            model: slot.name.as_str(),
            live,
            arm,
        };
        Ok(respond(call.request.user_id, &answer, &place))
    }
}

#[tonic::async_trait]
impl RecommendationService for Recommender {
    async fn recommend(
        &self,
        request: Request<RecommendRequest>,
    ) -> Result<Response<RecommendResponse>, Status> {
        Ok(Response::new(self.recommend(request.into_inner())?))
    }

    async fn similar_products(
        &self,
        _request: Request<SimilarProductsRequest>,
    ) -> Result<Response<SimilarProductsResponse>, Status> {
        Err(CallError::NotServed("SimilarProducts").into())
    }
}

/// Where an answer comes from.
struct Place<'a> {
    model: &'a str,
    live: &'a Live,
    arm: &'a LiveArm,
}

fn refuse(error: QueryError, loaded: &LoadedVersion) -> CallError {
    let refused = match error {
        QueryError::NeedsContent => CallError::NeedsContent(loaded.version.get()),
        _ => CallError::Internal("the model refused the query"),
    };
    if let Some(metrics) = loaded.metrics.get() {
        metrics.refused(code_name(refused.code() as usize));
    }
    refused
}

fn observe(loaded: &LoadedVersion, answer: &Answer<'_>, began: Instant) {
    let is_popular = answer.fallbacks.contains(Fallback::UnknownUser)
        || answer.fallbacks.contains(Fallback::NoUserFactors);
    let model_type = match answer.strategy {
        _ if is_popular => ModelType::Popular,
        Strategy::Hybrid => ModelType::Hybrid,
        Strategy::Collaborative => ModelType::Collaborative,
        Strategy::Content => ModelType::Content,
    };
    let seen = Observation {
        model_type,
        segment: answer.segment,
        fallbacks: answer.fallbacks,
        took: began.elapsed(),
    };
    if let Some(metrics) = loaded.metrics.get() {
        metrics.answered(&seen);
    }
}

fn respond(user_id: String, answer: &Answer<'_>, place: &Place<'_>) -> RecommendResponse {
    let products = place.arm.loaded.model.products();
    let items = answer
        .items
        .iter()
        .zip(1..)
        .map(|(item, rank)| RecommendedItem {
            product_id: products.id(item.product).to_owned(),
            score: f64::from(item.score),
            rank,
            reason: wire_reason(item.reason).into(),
        });
    RecommendResponse {
        user_id,
        items: items.collect(),
        strategy: wire_strategy(answer.strategy).into(),
        model: place.model.to_owned(),
        version: place.arm.loaded.version.get(),
        rollout: place.live.record.number.get(),
        arm: place.arm.name.clone(),
        user_segment: answer.segment.to_owned(),
        generated_at: Some(SystemTime::now().into()),
        cache_hit: false,
        fallbacks: answer
            .fallbacks
            .iter()
            .map(|fallback| fallback.as_str().to_owned())
            .collect(),
        recent_product_ids_unknown: 0,
    }
}

fn wire_strategy(strategy: Strategy) -> WireStrategy {
    match strategy {
        Strategy::Hybrid => WireStrategy::Hybrid,
        Strategy::Collaborative => WireStrategy::Collaborative,
        Strategy::Content => WireStrategy::Content,
    }
}

fn wire_reason(reason: Reason) -> WireReason {
    match reason {
        Reason::Collaborative => WireReason::Collaborative,
        Reason::Content => WireReason::Content,
        Reason::Hybrid => WireReason::Hybrid,
        Reason::FoldIn => WireReason::FoldIn,
        Reason::Popular => WireReason::Popular,
    }
}
