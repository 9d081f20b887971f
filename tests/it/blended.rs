//! The strategy blended, defaults of a version's card, and parts that a version does not require.

use hotshelf::grpc::proto::{
    Reason, RecommendRequest, RecommendResponse, SimilarProductsRequest, SimilarityBasis,
    Strategy as WireStrategy,
};
use hotshelf_model::{
    Basis, Defaults, Filter, IndexChoice, Query, Scratch, Side, SimilarQuery, Strategy,
};
use tonic::Code;

use crate::harness::{
    MODEL, Season, Server, Shop, WEIGHTS, error_kind, error_reason, hotshelf, ranked,
};

const GROCER: Defaults = Defaults {
    strategy: Strategy::Blended,
    include_seen: true,
};

fn of(user_id: &str) -> RecommendRequest {
    RecommendRequest {
        user_id: user_id.to_owned(),
        ..RecommendRequest::default()
    }
}

fn given(answer: &RecommendResponse) -> Vec<(String, f32)> {
    let items = answer.items.iter();
    items
        .map(|item| (item.product_id.clone(), item.score as f32))
        .collect()
}

#[tokio::test]
async fn request_that_leaves_strategy_and_seen_open_gets_the_defaults_of_the_card() {
    let shop = Shop::new();
    let grocer = shop
        .publish_blended(Season::Spring, IndexChoice::Auto, Some(GROCER))
        .await;
    let server = Server::serving(&shop, grocer.version, &[]).await;
    let query = |strategy, include_seen, alpha| Query {
        user_id: "u0042",
        strategy,
        include_seen,
        alpha,
        ..Query::default()
    };
    let named = |strategy: WireStrategy, include_seen, alpha| RecommendRequest {
        strategy: strategy.into(),
        include_seen,
        alpha,
        ..of("u0042")
    };
    use WireStrategy::{Blended, Content, Hybrid, Unspecified};
    let cases = [
        (
            named(Unspecified, None, None),
            query(Strategy::Blended, true, None),
        ),
        (
            named(Unspecified, Some(false), None),
            query(Strategy::Blended, false, None),
        ),
        (
            named(Hybrid, None, None),
            query(Strategy::Hybrid, true, None),
        ),
        (
            named(Content, Some(false), None),
            query(Strategy::Content, false, None),
        ),
        (
            named(Blended, Some(false), None),
            query(Strategy::Blended, false, None),
        ),
        // Alpha has a meaning in the hybrid alone, so it names it.
        (
            named(Unspecified, None, Some(0.4)),
            query(Strategy::Hybrid, true, Some(0.4)),
        ),
    ];
    for (request, query) in cases {
        let answer = server.ask(request).await.unwrap();
        let expected = ranked(&grocer.model, &query);
        assert_eq!(given(&answer), expected, "{query:?}");
    }
    // What the defaults say and what a request says is one answer in the response cache.
    let answer = server.ask(named(Blended, Some(true), None)).await.unwrap();
    assert!(answer.cache_hit);
    assert_eq!(answer.strategy(), WireStrategy::Blended);
    server.stop().await;
}

#[tokio::test]
async fn version_without_defaults_means_hybrid_without_seen_products() {
    let shop = Shop::new();
    let sides = shop
        .publish_blended(Season::Spring, IndexChoice::Auto, None)
        .await;
    let plain = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, sides.version, &[]).await;
    let answer = server.ask(of("u0042")).await.unwrap();
    assert_eq!(answer.strategy(), WireStrategy::Hybrid);
    assert_eq!(
        given(&answer),
        plain.top("u0042"),
        "sides change nothing that is not asked for"
    );
    let blended = RecommendRequest {
        strategy: WireStrategy::Blended.into(),
        ..of("u0042")
    };
    let answer = server.ask(blended.clone()).await.unwrap();
    assert_eq!(answer.strategy(), WireStrategy::Blended);
    assert_ne!(given(&answer), plain.top("u0042"));
    server.reload(plain.version).await.unwrap();
    let answer = server.ask(blended).await.unwrap();
    assert_eq!(answer.strategy(), WireStrategy::Hybrid);
    assert_eq!(answer.fallbacks, ["no_blend_weights"]);
    assert_eq!(given(&answer), plain.top("u0042"));
    server.stop().await;
}

#[tokio::test]
async fn debug_answer_says_each_sides_share_plan_and_weight() {
    let shop = Shop::new();
    let grocer = shop
        .publish_blended(Season::Spring, IndexChoice::Exact, Some(GROCER))
        .await;
    let server = Server::serving(&shop, grocer.version, &[]).await;
    let asked = RecommendRequest {
        debug: true,
        n: Some(30),
        ..of("u0042")
    };
    let answer = server.ask(asked).await.unwrap();
    let debug = answer.debug.as_ref().unwrap();
    let weights = debug.weights.unwrap();
    assert_eq!(
        (weights.collaborative, weights.trend),
        (WEIGHTS.collaborative, WEIGHTS.trend)
    );
    assert_eq!(debug.alpha, None);
    let plan =
        |side: &Option<hotshelf::grpc::proto::Retrieval>| side.as_ref().unwrap().plan.clone();
    assert_eq!(plan(&debug.sequence), "transitions");
    assert_eq!(plan(&debug.repeat), "history");
    assert_eq!(plan(&debug.trend), "popularity");
    for item in &answer.items {
        let shares = item.shares.unwrap();
        let each = [
            shares.collaborative,
            shares.content,
            shares.sequence,
            shares.repeat,
            shares.trend,
        ];
        assert!(
            (each.iter().sum::<f64>() - item.score).abs() < 1e-5,
            "{item:?}"
        );
        let greatest = each.iter().copied().fold(f64::MIN, f64::max);
        let of_reason = match item.reason() {
            Reason::Collaborative | Reason::FoldIn => shares.collaborative,
            Reason::Content => shares.content,
            Reason::Sequence => shares.sequence,
            Reason::Repeat => shares.repeat,
            Reason::Trend => shares.trend,
            other => panic!("{other:?} in a blend"),
        };
        assert_eq!(of_reason, greatest, "the reason is the side that adds most");
        assert!(item.sequence_score.is_some() && item.repeat_score.is_some());
    }
    let reasons: Vec<Reason> = answer.items.iter().map(|item| item.reason()).collect();
    assert!(reasons.contains(&Reason::Repeat), "{reasons:?}");
    let address = server.data.to_string();
    let shown = hotshelf(&["recommend", "u0042", "--addr", &address, "--debug"]);
    let text = shown.text();
    for side in Side::ALL {
        assert!(text.contains(side.as_str()), "{text}");
    }
    assert!(
        text.contains("share") && text.contains("weights collaborative 1 content 0.3"),
        "{text}"
    );
    server.stop().await;
}

#[tokio::test]
async fn products_bought_together_are_returned_by_versions_with_transitions_alone() {
    let shop = Shop::new();
    let grocer = shop
        .publish_blended(Season::Spring, IndexChoice::Auto, None)
        .await;
    let plain = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, grocer.version, &[]).await;
    let asked = SimilarProductsRequest {
        product_id: "p0010".to_owned(),
        basis: SimilarityBasis::Sequence.into(),
        n: Some(7),
        ..SimilarProductsRequest::default()
    };
    let answer = server.similar(asked.clone()).await.unwrap();
    let query = SimilarQuery {
        product_id: "p0010",
        n: 7,
        basis: Some(Basis::Sequence),
        filter: Filter::default(),
        exclude_product_ids: &[],
    };
    let expected = grocer
        .model
        .similar(&query, &mut Scratch::default())
        .unwrap();
    let ids = expected
        .items
        .iter()
        .map(|item| grocer.model.products().id(item.product));
    assert!(ids.eq(answer.items.iter().map(|item| item.product_id.as_str())));
    assert!(answer.items[0].similarity_score > 0.0);
    assert_eq!(answer.basis(), SimilarityBasis::Sequence);
    server.reload(plain.version).await.unwrap();
    let refused = server.similar(asked).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(error_reason(&refused), "NO_TRANSITIONS");
    server.stop().await;
}

#[tokio::test]
async fn unknown_part_is_left_out_where_it_is_not_required_and_refused_where_it_is() {
    let shop = Shop::new();
    let plain = shop.publish(Season::Spring).await;
    let optional = shop
        .publish_with_part_of_a_later_release(Season::Autumn, false)
        .await;
    let required = shop
        .publish_with_part_of_a_later_release(Season::Autumn, true)
        .await;
    let server = Server::serving(&shop, plain.version, &[]).await;
    server.reload(optional).await.unwrap();
    assert_eq!(server.recommend("u0042").await.unwrap().version, optional);
    assert!(
        !shop
            .part_file(optional, "later.safetensors")
            .await
            .as_os_str()
            .is_empty()
    );
    let refused = server.reload(required).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);
    assert_eq!(error_kind(&refused), "unknown_part");
    assert!(refused.message().contains("later.safetensors"), "{refused}");
    assert_eq!(
        server.live_version().await,
        Some(optional),
        "the old version keeps serving"
    );
    let url = shop.url();
    for (version, is_good) in [(optional, true), (required, false)] {
        let version = version.to_string();
        let place = ["--registry", &url, "--model", MODEL];
        let verified = hotshelf(&[&["models", "verify", &version][..], &place].concat());
        assert_eq!(verified.code == 0, is_good, "{verified:?}");
    }
    server.stop().await;
}
