//! `Recommend`: a query in the model's words, and its answer in the wire's.

use super::calls::{Address, RecommendCall, filter_of, wire_strategy};
use super::explain;
use super::proto::{Reason as WireReason, RecommendRequest, RecommendResponse, RecommendedItem};
use super::recommender::{Call, Place, refusal};
use crate::error::CallError;
use crate::metrics::{CallKind, ModelType, Seen};
use crate::serving::cache::Encoded;
use hotshelf_model::{Answer, Fallback, Item, Model, Query, Reason, Scratch, Strategy};
use std::time::SystemTime;

impl Call for RecommendCall {
    type Request = RecommendRequest;
    const KIND: CallKind = CallKind::Recommend;

    fn checked(request: RecommendRequest) -> Result<Self, CallError> {
        Self::parse(request)
    }

    fn address(&self) -> &Address {
        &self.address
    }

    fn sticky_key(&self) -> &str {
        self.address.sticky_key(&self.request.user_id)
    }

    fn completed(&mut self, model: &Model) -> &RecommendRequest {
        self.complete(model);
        &self.request
    }

    fn answer(self, place: &Place<'_>, scratch: &mut Scratch) -> Result<Encoded, CallError> {
        let request = &self.request;
        let (filter, exclude_product_ids) = filter_of(request.filter.as_ref());
        let query = Query {
            user_id: &request.user_id,
            n: self.n,
            strategy: self.strategy,
            alpha: request.alpha,
            recent_product_ids: &request.recent_product_ids,
            filter,
            exclude_product_ids,
            include_seen: request.include_seen,
        };
        let loaded = &place.arm.loaded;
        let answer = loaded.model.recommend(&query, scratch);
        let answer = answer.map_err(|error| refusal(error, loaded, ""))?;
        let seen = seen(&answer);
        let cached = RecommendResponse {
            cache_hit: true,
            ..RecommendResponse::default()
        };
        Ok(Encoded::new(&respond(self, &answer, place), &cached, seen))
    }
}

fn seen(answer: &Answer<'_>) -> Seen {
    let is_popular = if answer.items.is_empty() {
        // Where a filter leaves nothing, the fallbacks tell what would have answered.
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
    };
    Seen::Recommended {
        model_type,
        segment: answer.segment.into(),
        fallbacks: answer.fallbacks,
        recents_unknown: answer.recent_unknown,
        is_empty: answer.items.is_empty(),
    }
}

fn respond(call: RecommendCall, answer: &Answer<'_>, place: &Place<'_>) -> RecommendResponse {
    let is_debug = call.address.is_debug;
    let products = place.arm.loaded.model.products();
    let raw = |score: Option<f32>| score.filter(|_| is_debug).map(f64::from);
    let items = answer.items.iter().zip(1..);
    let items = items.map(|(item, rank)| RecommendedItem {
        product_id: products.id(item.product).to_owned(),
        score: f64::from(item.score),
        rank,
        reason: wire_reason(item.reason).into(),
        collaborative_score: raw(item.collaborative),
        content_score: raw(item.content),
    });
    let is_blend = answer.strategy == Strategy::Hybrid;
    let alpha = call.request.alpha.filter(|_| is_blend);
    RecommendResponse {
        user_id: call.request.user_id,
        items: items.collect(),
        strategy: wire_strategy(answer.strategy).into(),
        model: place.model.to_owned(),
        version: place.arm.loaded.version.get(),
        rollout: place.live.record.number.get(),
        arm: place.arm.name.clone(),
        user_segment: answer.segment.to_owned(),
        generated_at: Some(SystemTime::now().into()),
        cache_hit: false,
        fallbacks: explain::fallbacks(answer.fallbacks),
        // At most as many as a request may name.
        recent_product_ids_unknown: answer.recent_unknown as u32,
        debug: is_debug.then(|| explain::debug_info(answer.trace, alpha)),
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
