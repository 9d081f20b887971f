//! Answers of the data path as protobuf messages.

use crate::grpc::proto::{
    DebugInfo, Reason as WireReason, RecommendResponse, RecommendedItem,
    Retrieval as WireRetrieval, SideValues, SimilarProduct, SimilarProductsResponse,
    SimilarityBasis, Strategy as WireStrategy,
};
use crate::serving::{Encoded, Encoding, RecommendCall, Recommendation, SimilarProducts};
use bytes::Bytes;
use hotshelf_model::{Basis, Fallbacks, PerSide, Reason, Retrieval, Strategy, Trace, Weights};
use prost::Message;

/// The encoding of gRPC callers.
pub(super) struct Protobuf;

impl Encoding for Protobuf {
    const ID: u8 = 0;

    fn recommendation(answer: &Recommendation<'_>) -> Encoded {
        let cached = RecommendResponse {
            cache_hit: true,
            ..RecommendResponse::default()
        };
        encode_once(&recommend_response(answer), &cached)
    }

    fn similar_products(answer: &SimilarProducts<'_>) -> Encoded {
        let cached = SimilarProductsResponse {
            cache_hit: true,
            ..SimilarProductsResponse::default()
        };
        encode_once(&similar_response(answer), &cached)
    }
}

/// Encodes `answer`, and behind it `cached`, an otherwise empty answer whose cache_hit is true. Of a
/// field that is there twice, protobuf takes the last: the front part is the fresh answer, the whole
/// the cached one.
fn encode_once<M: Message>(answer: &M, cached: &M) -> Encoded {
    let fresh_len = answer.encoded_len();
    let mut message = Vec::with_capacity(fresh_len + cached.encoded_len());
    for part in [answer, cached] {
        part.encode(&mut message).expect("a Vec has room");
    }
    let cached = Bytes::from(message);
    Encoded {
        fresh: cached.slice(..fresh_len),
        cached,
    }
}

fn recommend_response(given: &Recommendation<'_>) -> RecommendResponse {
    let (call, arm, answer) = (given.call, given.arm, given.answer);
    let products = arm.model().products();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let debug_score = |score: Option<f32>| score.filter(|_| call.debug).map(f64::from);
    let items = answer.items.iter().zip(1..);
    let items = items.map(|(item, rank)| RecommendedItem {
        product_id: products.id(item.product).to_owned(),
        score: f64::from(item.score),
        rank,
        reason: wire_reason(item.reason).into(),
        collaborative_score: debug_score(item.scores.collaborative),
        content_score: debug_score(item.scores.content),
        product_name: text(products.name(item.product).filter(|_| call.include_names)),
        sequence_score: debug_score(item.scores.sequence),
        repeat_score: debug_score(item.scores.repeat),
        trend_score: debug_score(item.scores.trend),
        shares: (call.debug && item.reason != Reason::Popular).then(|| side_values(item.shares)),
    });
    let alpha = call.alpha.filter(|_| answer.strategy == Strategy::Hybrid);
    let weights = arm.model().parameters().scoring.weights;
    let weights = weights.filter(|_| answer.strategy == Strategy::Blended);
    RecommendResponse {
        user_id: call.user_id.clone(),
        items: items.collect(),
        strategy: wire_strategy(answer.strategy).into(),
        model: arm.model_name().to_owned(),
        version: arm.version(),
        rollout: arm.rollout(),
        arm: arm.name().to_owned(),
        user_segment: answer.segment.to_owned(),
        generated_at: Some(given.computed_at.into()),
        cache_hit: false,
        fallbacks: fallback_names(answer.fallbacks),
        // At most as many as a request may name.
        recent_product_ids_unknown: answer.recent_unknown as u32,
        debug: call
            .debug
            .then(|| explained(call, debug_info(answer.trace, (alpha, weights)))),
        manifest_sha256: arm.manifest_sha256().to_owned(),
    }
}

fn similar_response(given: &SimilarProducts<'_>) -> SimilarProductsResponse {
    let (call, arm, answer) = (given.call, given.arm, given.answer);
    let products = arm.model().products();
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    let items = answer.items.iter().zip(1..);
    let items = items.map(|(item, rank)| SimilarProduct {
        product_id: products.id(item.product).to_owned(),
        product_name: text(products.name(item.product)),
        similarity_score: f64::from(item.similarity),
        rank,
        category: text(products.category(item.product)),
        price: products.price(item.product),
    });
    let trace = match answer.basis {
        Basis::Content => Trace {
            content: answer.retrieval,
            ..Trace::default()
        },
        Basis::Collaborative => Trace {
            collaborative: answer.retrieval,
            ..Trace::default()
        },
        Basis::Sequence => Trace {
            sequence: answer.retrieval,
            ..Trace::default()
        },
    };
    SimilarProductsResponse {
        product_id: call.product_id.clone(),
        items: items.collect(),
        model: arm.model_name().to_owned(),
        version: arm.version(),
        generated_at: Some(given.computed_at.into()),
        basis: wire_basis(answer.basis).into(),
        rollout: arm.rollout(),
        arm: arm.name().to_owned(),
        cache_hit: false,
        fallbacks: fallback_names(answer.fallbacks),
        debug: call.debug.then(|| debug_info(trace, (None, None))),
        manifest_sha256: arm.manifest_sha256().to_owned(),
    }
}

fn fallback_names(fallbacks: Fallbacks) -> Vec<String> {
    let names = fallbacks.iter().map(|fallback| fallback.as_str());
    names.map(str::to_owned).collect()
}

/// With where the recent products came from.
fn explained(call: &RecommendCall, debug: DebugInfo) -> DebugInfo {
    let sources = call.recent_sources.names();
    DebugInfo {
        recent_sources: sources.map(str::to_owned).collect(),
        ..debug
    }
}

/// How the candidates were found, and what blended their scores.
fn debug_info(trace: Trace, (alpha, weights): (Option<f64>, Option<Weights>)) -> DebugInfo {
    let retrieval = |side: Retrieval| WireRetrieval {
        plan: side.plan.as_str().to_owned(),
        rows_scored: side.scored as u64,
    };
    DebugInfo {
        collaborative: trace.collaborative.map(retrieval),
        content: trace.content.map(retrieval),
        sequence: trace.sequence.map(retrieval),
        repeat: trace.repeat.map(retrieval),
        trend: trace.trend.map(retrieval),
        alpha,
        weights: weights.map(side_values),
        recent_sources: Vec::new(),
    }
}

fn side_values<T: Into<f64>>(values: PerSide<T>) -> SideValues {
    SideValues {
        collaborative: values.collaborative.into(),
        content: values.content.into(),
        sequence: values.sequence.into(),
        repeat: values.repeat.into(),
        trend: values.trend.into(),
    }
}

fn wire_reason(reason: Reason) -> WireReason {
    match reason {
        Reason::Collaborative => WireReason::Collaborative,
        Reason::Content => WireReason::Content,
        Reason::Hybrid => WireReason::Hybrid,
        Reason::FoldIn => WireReason::FoldIn,
        Reason::Popular => WireReason::Popular,
        Reason::Sequence => WireReason::Sequence,
        Reason::Repeat => WireReason::Repeat,
        Reason::Trend => WireReason::Trend,
    }
}

pub(in crate::grpc) fn wire_strategy(strategy: Strategy) -> WireStrategy {
    match strategy {
        Strategy::Hybrid => WireStrategy::Hybrid,
        Strategy::Collaborative => WireStrategy::Collaborative,
        Strategy::Content => WireStrategy::Content,
        Strategy::Blended => WireStrategy::Blended,
    }
}

pub(in crate::grpc) fn wire_basis(basis: Basis) -> SimilarityBasis {
    match basis {
        Basis::Content => SimilarityBasis::Content,
        Basis::Collaborative => SimilarityBasis::Collaborative,
        Basis::Sequence => SimilarityBasis::Sequence,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_encoding_is_the_fresh_response_and_the_cached_one() {
        let answer = RecommendResponse {
            user_id: "ann".to_owned(),
            version: 3,
            ..RecommendResponse::default()
        };
        let cached = RecommendResponse {
            cache_hit: true,
            ..RecommendResponse::default()
        };
        let encoded = encode_once(&answer, &cached);
        assert_eq!(encoded.fresh.as_ptr(), encoded.cached.as_ptr());
        let fresh = RecommendResponse::decode(encoded.fresh).unwrap();
        let cached = RecommendResponse::decode(encoded.cached).unwrap();
        assert_eq!(fresh, answer);
        assert!(cached.cache_hit);
        let unmarked = RecommendResponse {
            cache_hit: false,
            ..cached
        };
        assert_eq!(unmarked, answer);
    }
}
