//! Every field of Recommend, against what the version's model answers by itself.

use hotshelf::grpc::proto::{
    PriceRange, ProductFilter, Reason as WireReason, RecommendRequest, RecommendResponse,
    Strategy as WireStrategy,
};
use hotshelf_model::{Answer, Filter, Model, Query, Reason, Retrieval, Scratch, Strategy};

use crate::harness::{BRANDS, CATEGORIES, Season, Server, Shop};

/// One request, for the server and for the model.
#[derive(Clone, Default)]
struct Question {
    user_id: &'static str,
    strategy: Strategy,
    n: u32,
    alpha: Option<f64>,
    recents: Vec<String>,
    categories: Vec<String>,
    brands: Vec<String>,
    price: (Option<f64>, Option<f64>),
    excluded: Vec<String>,
    include_seen: bool,
}

impl Question {
    fn as_message(&self) -> RecommendRequest {
        let strategy = match self.strategy {
            Strategy::Hybrid => WireStrategy::Hybrid,
            Strategy::Collaborative => WireStrategy::Collaborative,
            Strategy::Content => WireStrategy::Content,
            Strategy::Blended => WireStrategy::Blended,
        };
        let (min, max) = self.price;
        RecommendRequest {
            user_id: self.user_id.to_owned(),
            n: Some(self.n),
            strategy: strategy.into(),
            alpha: self.alpha,
            recent_product_ids: self.recents.clone(),
            filter: Some(ProductFilter {
                categories: self.categories.clone(),
                brands: self.brands.clone(),
                price: Some(PriceRange { min, max }),
                exclude_product_ids: self.excluded.clone(),
            }),
            include_seen: Some(self.include_seen),
            debug: true,
            ..RecommendRequest::default()
        }
    }

    fn answered_by<'m>(&self, model: &'m Model) -> Answer<'m> {
        let query = Query {
            user_id: self.user_id,
            n: self.n as usize,
            strategy: self.strategy,
            alpha: self.alpha,
            weights: None,
            recent_product_ids: &self.recents,
            filter: Filter {
                categories: &self.categories,
                brands: &self.brands,
                price_min: self.price.0,
                price_max: self.price.1,
            },
            exclude_product_ids: &self.excluded,
            include_seen: self.include_seen,
            ..Query::default()
        };
        model.recommend(&query, &mut Scratch::default()).unwrap()
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().copied().map(String::from).collect()
}

fn questions() -> Vec<Question> {
    let plain = Question {
        user_id: "u0042",
        n: 12,
        ..Question::default()
    };
    let of = |change: fn(&mut Question)| {
        let mut question = plain.clone();
        change(&mut question);
        question
    };
    vec![
        plain.clone(),
        of(|q| q.strategy = Strategy::Collaborative),
        of(|q| q.strategy = Strategy::Content),
        of(|q| q.alpha = Some(0.0)),
        of(|q| q.alpha = Some(1.0)),
        of(|q| q.recents = texts(&["p0010", "unknown", "p0020", "unknown"])),
        of(|q| {
            q.user_id = "";
            q.recents = texts(&["p0011", "p0015"]);
        }),
        of(|q| {
            q.user_id = "nobody";
            q.categories = texts(&[CATEGORIES[1]]);
        }),
        of(|q| {
            q.categories = texts(&[CATEGORIES[0], CATEGORIES[3]]);
            q.brands = texts(&[BRANDS[2]]);
            q.excluded = texts(&["p0000", "p0012"]);
        }),
        of(|q| q.price = (Some(10.0), Some(12.5))),
        of(|q| q.price = (None, Some(3.0))),
        of(|q| q.include_seen = true),
        of(|q| q.n = 100),
    ]
}

fn assert_is(answer: &RecommendResponse, expected: &Answer<'_>, model: &Model) {
    let wire = |reason| match reason {
        Reason::Collaborative => WireReason::Collaborative,
        Reason::Content => WireReason::Content,
        Reason::Hybrid => WireReason::Hybrid,
        Reason::FoldIn => WireReason::FoldIn,
        Reason::Popular => WireReason::Popular,
        Reason::Sequence => WireReason::Sequence,
        Reason::Repeat => WireReason::Repeat,
        Reason::Trend => WireReason::Trend,
    };
    assert_eq!(answer.items.len(), expected.items.len());
    for (given, item) in answer.items.iter().zip(&expected.items) {
        assert_eq!(given.product_id, model.products().id(item.product));
        assert_eq!(given.score as f32, item.score);
        assert_eq!(given.reason(), wire(item.reason));
        let raw = |score: Option<f32>| score.map(f64::from);
        assert_eq!(given.collaborative_score, raw(item.scores.collaborative));
        assert_eq!(given.content_score, raw(item.scores.content));
    }
    let fallbacks = expected.fallbacks.iter().map(|one| one.as_str());
    assert!(fallbacks.eq(answer.fallbacks.iter().map(String::as_str)));
    assert_eq!(answer.user_segment, expected.segment);
    assert_eq!(
        answer.recent_product_ids_unknown as usize,
        expected.recent_unknown
    );
    let debug = answer.debug.as_ref().unwrap();
    let plan = |side: Option<Retrieval>| side.map(|side| (side.plan.as_str(), side.scored as u64));
    let sides = [&debug.collaborative, &debug.content].map(|side| {
        let side = side.as_ref()?;
        Some((side.plan.as_str(), side.rows_scored))
    });
    let trace = expected.trace;
    assert_eq!(sides, [plan(trace.collaborative), plan(trace.content)]);
}

#[tokio::test]
async fn every_field_reaches_the_model_and_the_whole_answer_is_returned() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    for question in questions() {
        let expected = question.answered_by(&spring.model);
        let answer = server.ask(question.as_message()).await.unwrap();
        assert_is(&answer, &expected, &spring.model);
        let alpha = answer.debug.unwrap().alpha;
        let used = question.alpha.unwrap_or(0.7);
        let is_blend = expected.strategy == Strategy::Hybrid;
        assert_eq!(alpha, is_blend.then_some(used));
    }
    server.stop().await;
}

#[tokio::test]
async fn raw_scores_and_plans_are_returned_only_for_debug() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let answer = server.recommend("u0042").await.unwrap();
    assert_eq!(answer.debug, None);
    let is_bare = |item: &hotshelf::grpc::proto::RecommendedItem| {
        item.collaborative_score.is_none() && item.content_score.is_none()
    };
    assert!(answer.items.iter().all(is_bare), "{answer:?}");
    let asked = RecommendRequest {
        user_id: "u0042".to_owned(),
        strategy: WireStrategy::Collaborative.into(),
        debug: true,
        ..RecommendRequest::default()
    };
    let answer = server.ask(asked).await.unwrap();
    for item in &answer.items {
        assert_eq!(item.collaborative_score, Some(item.score));
    }
    server.stop().await;
}

#[tokio::test]
async fn items_carry_product_names_only_if_the_request_asks() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    let named = RecommendRequest {
        user_id: "u0042".to_owned(),
        include_names: true,
        ..RecommendRequest::default()
    };
    // Twice: what the response cache returns is named as well.
    for _ in 0..2 {
        let answer = server.ask(named.clone()).await.unwrap();
        assert_eq!(answer.items.len(), 10);
        let products = spring.model.products();
        for item in &answer.items {
            let product = products.find(&item.product_id).unwrap();
            assert_eq!(Some(item.product_name.as_str()), products.name(product));
        }
    }
    let plain = server.recommend("u0042").await.unwrap();
    assert!(!plain.cache_hit);
    assert!(plain.items.iter().all(|item| item.product_name.is_empty()));
    server.stop().await;
}
