//! The blend of all sides, against the plainest way and in its special cases.

mod plain;

use std::{num::NonZeroUsize, sync::OnceLock};

use proptest::prelude::*;

use super::{naive, *};
use crate::{
    Basis, Defaults, Filter, IndexChoice, RepeatParams, ScoringParams, SidesParams, SimilarQuery,
    Strategy, TrendParams, decay, sample,
};

const PRODUCTS: u32 = 300;
const WEIGHTS: Weights = Weights {
    collaborative: 1.0,
    content: 0.3,
    sequence: 0.6,
    repeat: 1.5,
    trend: 0.2,
};

/// The events of the sample shops span some five hours.
fn sides() -> SidesParams {
    SidesParams {
        repeat: Some(RepeatParams {
            half_life_days: Some(0.05),
        }),
        trend: Some(TrendParams {
            half_life_days: 0.02,
        }),
        ..SidesParams::all()
    }
}

fn with_sides(mut model: Model, products: u32) -> Model {
    let data = sample::shop(90, products);
    model
        .refit_sides(&data, &sides(), NonZeroUsize::MIN)
        .unwrap();
    let scoring = ScoringParams {
        weights: Some(WEIGHTS),
        ..model.parameters().scoring.clone()
    };
    model.set_scoring(scoring).unwrap();
    model
}

/// One shop by the exact scan, with all sides.
fn model() -> &'static Model {
    static MODEL: OnceLock<Model> = OnceLock::new();
    MODEL.get_or_init(|| {
        with_sides(
            sample::shop_with_content(PRODUCTS, IndexChoice::Exact),
            PRODUCTS,
        )
    })
}

fn weight() -> impl proptest::strategy::Strategy<Value = f64> {
    prop_oneof![1 => Just(0.0), 3 => 0.01..2.0]
}

prop_compose! {
    fn weights()(all in proptest::array::uniform5(weight())) -> Weights {
        let [collaborative, content, sequence, repeat, trend] = all;
        Weights { collaborative, content, sequence, repeat, trend }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn blended_answers_are_those_of_the_plainest_way(
        user in 0u32..95, n in 0usize..40, weights in weights(), include_seen: bool,
        recents in proptest::collection::vec(0..PRODUCTS + 5, 0..6),
        categories in proptest::collection::vec(0u32..8, 0..3),
    ) {
        let model = model();
        let user_id = format!("user-{user:05}");
        let recents: Vec<String> = recents.iter().map(|n| format!("item-{n:04}")).collect();
        let categories: Vec<String> = categories.iter().map(|c| format!("category {c}")).collect();
        let query = Query {
            user_id: &user_id,
            n,
            strategy: Strategy::Blended,
            weights: Some(weights),
            include_seen,
            recent_product_ids: &recents,
            filter: Filter { categories: &categories, ..Filter::default() },
            ..Query::default()
        };
        // Nobody is folded in here: the naive way knows known users alone.
        prop_assume!(user < 90 || recents.is_empty() || weights.collaborative == 0.0);
        let answer = ask(model, &query);
        let scored = answer.items.iter().filter(|item| item.reason != Reason::Popular);
        let found: Vec<(u32, f32)> = scored.map(|item| (item.product.0, item.score)).collect();
        prop_assert_eq!(&found, &plain::blended(model, &query, &weights));
        let eligible = naive::eligible(model, &query);
        prop_assert_eq!(answer.items.len(), n.min(eligible.len()));
        for item in &answer.items {
            let sum: f32 = item.shares.iter().map(|(_, share)| share).sum();
            prop_assert!(item.reason == Reason::Popular || (sum - item.score).abs() <= 1e-5);
        }

        let candidates = model.candidates(&query, &mut Scratch::default());
        let ranked = candidates.ranked_by(&weights, n);
        let ranked: Vec<(u32, f32)> = ranked.iter().map(|(row, score)| (row.0, *score)).collect();
        prop_assert_eq!(ranked, found, "a search over weights sees what is served");
    }
}

fn only(one: Side) -> Weights {
    let mut weights = Weights::default();
    *weights.get_mut(one) = 1.0;
    weights
}

#[test]
fn each_side_alone_names_itself_as_the_reason() {
    let reasons = [
        (Side::Collaborative, Reason::Collaborative),
        (Side::Content, Reason::Content),
        (Side::Sequence, Reason::Sequence),
        (Side::Repeat, Reason::Repeat),
        (Side::Trend, Reason::Trend),
    ];
    for (one, reason) in reasons {
        let query = Query {
            user_id: "user-00050",
            n: 3,
            strategy: Strategy::Blended,
            weights: Some(only(one)),
            include_seen: true,
            ..Query::default()
        };
        let answer = ask(model(), &query);
        assert_eq!(answer.strategy, Strategy::Blended);
        assert!(
            answer.items.iter().all(|item| item.reason == reason),
            "{one:?}: {answer:?}"
        );
        let best = &answer.items[0];
        assert_eq!((best.score, *best.shares.get(one)), (1.0, 1.0));
        assert!(best.scores.get(one).is_some_and(|score| score > 0.0));
        let plans = answer
            .trace
            .iter()
            .filter(|(_, retrieval)| retrieval.is_some());
        assert_eq!(
            plans.map(|(side, _)| side).collect::<Vec<_>>(),
            [one],
            "no other side was asked"
        );
    }
}

#[test]
fn what_the_person_had_comes_back_only_where_seen_products_may() {
    let model = model();
    let query = Query {
        user_id: "user-00050",
        n: 300,
        strategy: Strategy::Blended,
        ..Query::default()
    };
    let user = model.users().find(query.user_id).unwrap();
    let had = |answer: &Answer<'_>| {
        let items = answer.items.iter();
        items
            .filter(|item| model.history().has_seen(user, item.product))
            .count()
    };
    let without = ask(model, &query);
    assert_eq!(had(&without), 0);
    assert!(without.trace.repeat.is_none());
    let with = ask(
        model,
        &Query {
            include_seen: true,
            ..query
        },
    );
    assert_eq!(had(&with), model.history().seen(user).len());
    assert!(with.items.iter().any(|item| item.reason == Reason::Repeat));
}

#[test]
fn an_unknown_visitor_gets_the_trend_and_without_its_weight_what_is_popular() {
    let model = model();
    let query = Query {
        n: 5,
        strategy: Strategy::Blended,
        ..Query::default()
    };
    let answer = ask(model, &query);
    assert!(
        answer.items.iter().all(|item| item.reason == Reason::Trend),
        "{answer:?}"
    );
    assert!(answer.fallbacks.contains(Fallback::UnknownUser));
    let weights = Weights {
        trend: 0.0,
        ..WEIGHTS
    };
    for weights in [weights, only(Side::Sequence), only(Side::Repeat)] {
        let answer = ask(
            model,
            &Query {
                weights: Some(weights),
                ..query
            },
        );
        assert!(
            answer
                .items
                .iter()
                .all(|item| item.reason == Reason::Popular)
        );
        assert!(
            answer.fallbacks.contains(Fallback::UnknownUser),
            "{weights:?}"
        );
        assert!(!answer.fallbacks.contains(Fallback::FilledWithPopular));
    }
}

#[test]
fn a_version_without_weights_answers_blended_by_its_hybrid_and_says_so() {
    let plain = sample::shop_with_content(PRODUCTS, IndexChoice::Exact);
    let query = Query {
        user_id: "user-00007",
        strategy: Strategy::Blended,
        ..Query::default()
    };
    let answer = ask(&plain, &query);
    assert!(answer.fallbacks.contains(Fallback::NoBlendWeights));
    let hybrid = ask(
        &plain,
        &Query {
            strategy: Strategy::Hybrid,
            ..query
        },
    );
    assert_eq!(
        (answer.strategy, &answer.items),
        (Strategy::Hybrid, &hybrid.items)
    );
    let of_sides = ask(
        model(),
        &Query {
            strategy: Strategy::Hybrid,
            ..query
        },
    );
    assert_eq!(
        of_sides.items, hybrid.items,
        "sides change nothing in a hybrid"
    );
}

#[test]
fn weights_that_are_none_count_as_zero() {
    let weights = Weights {
        content: f64::NAN,
        sequence: -1.0,
        trend: f64::INFINITY,
        ..WEIGHTS
    };
    let query = Query {
        user_id: "user-00007",
        strategy: Strategy::Blended,
        weights: Some(weights),
        ..Query::default()
    };
    let answer = ask(model(), &query);
    assert!(
        answer.trace.content.is_none()
            && answer.trace.sequence.is_none()
            && answer.trace.trend.is_none()
    );
    assert!(answer.items.iter().all(|item| item.score.is_finite()));
}

#[test]
fn bought_together_is_the_list_of_transitions_without_what_a_filter_excludes() {
    let model = model();
    let product = (0..PRODUCTS).map(ProductRow);
    let product = product
        .max_by_key(|row| model.transitions().unwrap().after(*row).0.len())
        .unwrap();
    let query = SimilarQuery {
        product_id: model.products().id(product),
        n: 8,
        basis: Some(Basis::Sequence),
        filter: Filter::default(),
        exclude_product_ids: &[],
    };
    let mut scratch = Scratch::default();
    let answer = model.similar(&query, &mut scratch).unwrap();
    let (rows, scores) = model.transitions().unwrap().after(product);
    let found: Vec<(u32, f32)> = answer
        .items
        .iter()
        .map(|item| (item.product.0, item.similarity))
        .collect();
    let expected: Vec<(u32, f32)> = rows
        .iter()
        .copied()
        .zip(scores.iter().copied())
        .take(8)
        .collect();
    assert_eq!(found, expected);
    assert!(answer.fallbacks.is_empty());
    let excluded = [model.products().id(ProductRow(rows[0])).to_owned()];
    let without = SimilarQuery {
        exclude_product_ids: &excluded,
        ..query
    };
    let answer = model.similar(&without, &mut scratch).unwrap();
    assert_eq!(answer.items[0].product, ProductRow(rows[1]));

    let lonely = (0..PRODUCTS).map(ProductRow);
    let mut lonely = lonely.filter(|row| model.transitions().unwrap().after(*row).0.is_empty());
    let lonely = model.products().id(lonely.next().unwrap());
    let answer = model
        .similar(
            &SimilarQuery {
                product_id: lonely,
                ..query
            },
            &mut scratch,
        )
        .unwrap();
    assert!(answer.fallbacks.contains(Fallback::NoTransitions));
    assert_eq!(answer.items.len(), 8, "popular products stand in");
    let plain = sample::shop_with_content(20, IndexChoice::Exact);
    let refused = plain.similar(
        &SimilarQuery {
            product_id: "item-0003",
            ..query
        },
        &mut scratch,
    );
    assert_eq!(refused, Err(QueryError::NeedsTransitions));
}

#[test]
fn defaults_that_a_model_cannot_answer_by_are_refused() {
    let mut plain = sample::model(&sample::shop(20, 8), &sample::params_without_content(3));
    assert_eq!(plain.defaults(), Defaults::default());
    let default = |strategy| Defaults {
        strategy,
        include_seen: true,
    };
    for (strategy, needs) in [
        (Strategy::Blended, "weights"),
        (Strategy::Content, "content"),
    ] {
        let text = plain
            .set_defaults(default(strategy))
            .unwrap_err()
            .to_string();
        assert!(
            text.contains("defaults.strategy") && text.contains(needs),
            "{text}"
        );
    }
    plain
        .set_defaults(default(Strategy::Collaborative))
        .unwrap();
    assert_eq!(plain.defaults(), default(Strategy::Collaborative));
    let mut with = with_sides(sample::shop_with_content(40, IndexChoice::Exact), 40);
    with.set_defaults(default(Strategy::Blended)).unwrap();
    let scoring = ScoringParams::default();
    assert!(
        with.set_scoring(scoring).is_err(),
        "the default needs the weights"
    );
}
