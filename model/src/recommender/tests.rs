//! Behaviour of the recommender on shops whose answers are obvious.

#![allow(clippy::unwrap_used)]

mod blended;
mod extremes;
mod fallbacks;
mod laws;
mod naive;
mod recents;
mod similar;

use super::*;
use crate::{content::Content, dot, ids::UserRow, sample};

fn ids<'m>(model: &'m Model, answer: &Answer<'_>) -> Vec<&'m str> {
    answer
        .items
        .iter()
        .map(|item| model.products().id(item.product))
        .collect()
}

fn ask<'m>(model: &'m Model, query: &Query<'_>) -> Answer<'m> {
    model.recommend(query, &mut Scratch::default()).unwrap()
}

#[test]
fn checkerboard_user_gets_the_missing_product_of_its_colour_first() {
    let model = sample::model(
        &sample::checkerboard(20),
        &sample::params_without_content(4),
    );
    for user in 0..20 {
        let user_id = format!("u{user:02}");
        let answer = ask(
            &model,
            &Query {
                user_id: &user_id,
                n: 1,
                ..Query::default()
            },
        );
        assert_eq!(ids(&model, &answer), [format!("p{user:02}")]);
        assert_eq!(answer.items[0].reason, Reason::Collaborative);
        assert_eq!(
            answer.items[0].scores.collaborative,
            Some(answer.items[0].score)
        );
    }
}

#[test]
fn answers_are_the_naive_ranking_of_all_eligible_products() {
    let model = sample::model(&sample::shop(80, 50), &sample::params_without_content(9));
    for row in 0..model.users().len() as u32 {
        let user = UserRow(row);
        let user_id = model.users().id(user);
        let answer = ask(
            &model,
            &Query {
                user_id,
                n: 1000,
                ..Query::default()
            },
        );
        let mut expected: Vec<(u32, f32)> = (0..model.products().len() as u32)
            .filter(|product| !model.history().has_seen(user, ProductRow(*product)))
            .map(|product| {
                let factors = model.als().product(ProductRow(product));
                (product, dot::dot(model.als().user(user), factors) + 0.0)
            })
            .collect();
        expected.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        let found: Vec<(u32, f32)> = answer
            .items
            .iter()
            .map(|item| (item.product.0, item.score))
            .collect();
        assert_eq!(
            found, expected,
            "min(n, eligible) results in the naive order"
        );
    }
}

#[test]
fn seen_and_excluded_products_are_left_out_unless_requested() {
    let model = sample::model(
        &sample::checkerboard(10),
        &sample::params_without_content(4),
    );
    let query = Query {
        user_id: "u00",
        n: 100,
        ..Query::default()
    };
    let unseen = ask(&model, &query);
    assert_eq!(unseen.items.len(), 31 - 4);
    assert!(!ids(&model, &unseen).contains(&"p02"));
    let all = ask(
        &model,
        &Query {
            include_seen: true,
            ..query
        },
    );
    assert_eq!(all.items.len(), 31);
    let exclude = [
        "p00".to_owned(),
        "no such product".to_owned(),
        "p9x".to_owned(),
    ];
    let fewer = ask(
        &model,
        &Query {
            exclude_product_ids: &exclude,
            ..query
        },
    );
    assert_eq!(fewer.items.len(), 31 - 6);
    assert!(!ids(&model, &fewer).contains(&"p00"));
    let everything: Vec<String> = model.products().ids().iter().map(str::to_owned).collect();
    assert!(
        ask(
            &model,
            &Query {
                exclude_product_ids: &everything,
                ..query
            }
        )
        .items
        .is_empty()
    );
    assert!(ask(&model, &Query { n: 0, ..query }).items.is_empty());
}

#[test]
fn unknown_and_anonymous_users_get_popularity_as_a_named_fallback() {
    let model = sample::model(&sample::shop(80, 50), &sample::params_without_content(4));
    for user_id in ["", "nobody"] {
        let exclude = [model
            .products()
            .id(model.popular().next().unwrap())
            .to_owned()];
        let query = Query {
            user_id,
            exclude_product_ids: &exclude,
            n: 60,
            ..Query::default()
        };
        let answer = ask(&model, &query);
        let expected: Vec<ProductRow> = model.popular().skip(1).collect();
        let found: Vec<ProductRow> = answer.items.iter().map(|item| item.product).collect();
        assert_eq!(found, expected);
        let best = answer.items[0];
        assert_eq!(best.reason, Reason::Popular);
        assert_eq!(best.score, model.products().popularity(best.product));
        assert_eq!(
            (best.scores.collaborative, best.scores.content),
            (None, None)
        );
        assert!(answer.fallbacks.contains(Fallback::UnknownUser));
        assert_eq!(answer.strategy, Strategy::Collaborative);
        assert_eq!(answer.segment, UNKNOWN_SEGMENT);
    }
}

#[test]
fn strategies_without_their_parts_fall_back_or_are_refused() {
    let model = sample::model(&sample::checkerboard(6), &sample::params_without_content(2));
    let query = Query {
        user_id: "u00",
        strategy: Strategy::Hybrid,
        ..Query::default()
    };
    let hybrid = ask(&model, &query);
    assert!(hybrid.fallbacks.contains(Fallback::NoContentParts));
    assert_eq!(hybrid.strategy, Strategy::Collaborative);
    let plain = ask(
        &model,
        &Query {
            strategy: Strategy::Collaborative,
            ..query
        },
    );
    assert!(plain.fallbacks.is_empty());
    assert_eq!(plain.items, hybrid.items);
    let content = Query {
        strategy: Strategy::Content,
        ..query
    };
    let refused = model.recommend(&content, &mut Scratch::default());
    assert_eq!(refused, Err(QueryError::NeedsContent));
}

#[test]
fn user_whose_factors_vanished_gets_popularity() {
    let mut params = sample::params_without_content(3);
    // So much regularization that no factor survives.
    params.als.regularization = 1e37;
    params.als.iterations = 3;
    let model = sample::model(&sample::checkerboard(6), &params);
    let answer = ask(
        &model,
        &Query {
            user_id: "u01",
            ..Query::default()
        },
    );
    assert!(answer.fallbacks.contains(Fallback::NoUserFactors));
    assert_eq!(answer.items[0].reason, Reason::Popular);
    assert_eq!(answer.segment, "new");
    assert!(
        !ids(&model, &answer).contains(&"p03"),
        "seen products stay away here, too"
    );
}

#[test]
fn scratch_serves_models_of_different_sizes_in_turn() {
    let small = sample::model(&sample::checkerboard(6), &sample::params_without_content(2));
    let large = sample::model(&sample::shop(40, 300), &sample::params_without_content(20));
    let mut scratch = Scratch::default();
    for _ in 0..3 {
        for model in [&small, &large, &small] {
            let query = Query {
                user_id: model.users().id(UserRow(1)),
                n: 7,
                ..Query::default()
            };
            assert_eq!(
                model.recommend(&query, &mut scratch).unwrap(),
                ask(model, &query)
            );
        }
    }
}

#[test]
fn unpacked_model_answers_as_the_fitted_one_under_every_choice_of_index() {
    for choice in [
        crate::IndexChoice::Auto,
        crate::IndexChoice::Exact,
        crate::IndexChoice::Hnsw,
    ] {
        let fitted = sample::shop_with_content(200, choice);
        let packed = fitted.pack(crate::CardExtra::default()).unwrap();
        let parts = packed.parts.into_iter();
        let parts = parts.map(|part| (part.name.to_owned(), part.bytes.into()));
        let unpacked = Model::unpack(&packed.card, &parts.collect(), &mut |_| {}).unwrap();
        let recents = ["item-0003".to_owned(), "item-0150".to_owned()];
        for (user_id, recents) in [
            ("user-00033", &[][..]),
            ("user-00080", &recents),
            ("", &recents),
        ] {
            for strategy in [Strategy::Hybrid, Strategy::Collaborative, Strategy::Content] {
                let query = Query {
                    user_id,
                    strategy,
                    recent_product_ids: recents,
                    ..Query::default()
                };
                assert_eq!(ask(&unpacked, &query), ask(&fitted, &query), "{choice:?}");
            }
        }
    }
}
