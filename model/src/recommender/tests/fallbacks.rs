//! Which fallbacks an answer takes, and how it reports them.

use super::*;
use crate::{Filter, IndexChoice, sample};

const CHOICES: [IndexChoice; 3] = [IndexChoice::Auto, IndexChoice::Exact, IndexChoice::Hnsw];

fn shops() -> [Model; 3] {
    CHOICES.map(|choice| sample::shop_with_content(120, choice))
}

fn taken(answer: &Answer<'_>) -> Vec<&'static str> {
    answer.fallbacks.iter().map(Fallback::as_str).collect()
}

fn reasons(answer: &Answer<'_>) -> Vec<Reason> {
    let mut reasons: Vec<Reason> = answer.items.iter().map(|item| item.reason).collect();
    reasons.dedup();
    reasons
}

fn strings(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|text| (*text).to_owned()).collect()
}

#[test]
fn known_user_gets_a_hybrid_with_both_raw_scores_and_no_fallback() {
    for model in shops() {
        let query = Query {
            user_id: "user-00033",
            ..Query::default()
        };
        let answer = ask(&model, &query);
        assert_eq!(
            (answer.strategy, &taken(&answer)[..]),
            (Strategy::Hybrid, &[][..])
        );
        assert_eq!(answer.items.len(), 10);
        for item in &answer.items {
            assert!(item.scores.collaborative.is_some());
            let has_embedding = model.content().unwrap().group(item.product).is_some();
            assert_eq!(item.scores.content.is_some(), has_embedding);
        }
        assert!(answer.trace.collaborative.is_some() && answer.trace.content.is_some());
    }
}

#[test]
fn visitor_with_clicks_is_folded_in_and_does_not_get_them_back() {
    for model in shops() {
        let recents = strings(&["item-0003", "item-0001", "no such item", "item-0003"]);
        let query = Query {
            recent_product_ids: &recents,
            n: 200,
            ..Query::default()
        };
        let answer = ask(&model, &query);
        assert_eq!(
            (answer.strategy, &taken(&answer)[..]),
            (Strategy::Hybrid, &[][..])
        );
        assert_eq!((answer.recent_unknown, answer.items.len()), (1, 118));
        assert_eq!(answer.segment, UNKNOWN_SEGMENT);
        let collaborative = Query {
            strategy: Strategy::Collaborative,
            ..query
        };
        let folded = ask(&model, &collaborative);
        assert_eq!(reasons(&folded), [Reason::FoldIn]);
        let again = Query {
            include_seen: true,
            ..collaborative
        };
        assert_eq!(ask(&model, &again).items.len(), 120);
    }
}

#[test]
fn named_recents_replace_the_history_for_content_alone() {
    for model in shops() {
        let recents = strings(&["item-0100"]);
        let of_history = Query {
            user_id: "user-00033",
            strategy: Strategy::Content,
            ..Query::default()
        };
        let named = Query {
            recent_product_ids: &recents,
            ..of_history
        };
        assert_ne!(ask(&model, &of_history).items, ask(&model, &named).items);
        // The person stays who they are: stored factors, and what they had stays away.
        let collaborative = Query {
            strategy: Strategy::Collaborative,
            ..named
        };
        assert_eq!(
            reasons(&ask(&model, &collaborative)),
            [Reason::Collaborative]
        );
        let user = model.users().find("user-00033").unwrap();
        for item in ask(&model, &named).items {
            assert!(!model.history().has_seen(user, item.product));
        }
        // Nobody knows the only one named: content has nothing to go on, whatever the history.
        let unknown = strings(&["no such item"]);
        let lost = Query {
            recent_product_ids: &unknown,
            strategy: Strategy::Hybrid,
            ..named
        };
        let answer = ask(&model, &lost);
        assert_eq!(answer.strategy, Strategy::Collaborative);
        assert_eq!(taken(&answer), ["no_recent_products"]);
        assert_eq!(answer.recent_unknown, 1);
    }
}

#[test]
fn nothing_known_at_all_is_popularity_by_category_where_a_filter_names_one() {
    for model in shops() {
        let categories = strings(&["category 3"]);
        let filter = Filter {
            categories: &categories,
            ..Filter::default()
        };
        for (strategy, expected) in [
            (
                Strategy::Hybrid,
                &["unknown_user", "no_recent_products"][..],
            ),
            (Strategy::Collaborative, &["unknown_user"]),
            (Strategy::Content, &["no_recent_products"]),
        ] {
            let answer = ask(
                &model,
                &Query {
                    strategy,
                    filter,
                    n: 5,
                    ..Query::default()
                },
            );
            assert_eq!(
                (answer.strategy, taken(&answer)),
                (strategy, expected.to_vec())
            );
            assert_eq!(reasons(&answer), [Reason::Popular]);
            let of_category = model
                .popular()
                .filter(|product| model.products().category(*product) == Some("category 3"));
            let expected: Vec<ProductRow> = of_category.take(5).collect();
            let found: Vec<ProductRow> = answer.items.iter().map(|item| item.product).collect();
            assert_eq!(found, expected);
            assert_eq!(answer.trace, Trace::default());
        }
    }
}

#[test]
fn filter_that_nothing_passes_is_an_empty_answer_that_says_so() {
    let unknown = strings(&["no such category"]);
    let category = Filter {
        categories: &unknown,
        ..Filter::default()
    };
    let price = Filter {
        price_min: Some(9.0),
        price_max: Some(2.0),
        ..Filter::default()
    };
    for model in shops() {
        for (user_id, filter) in [
            ("user-00033", category),
            ("", category),
            ("user-00033", price),
        ] {
            let query = Query {
                user_id,
                filter,
                ..Query::default()
            };
            let answer = ask(&model, &query);
            assert!(answer.items.is_empty());
            assert!(answer.fallbacks.contains(Fallback::NothingMatches));
            let nothing_wanted = ask(&model, &Query { n: 0, ..query });
            assert!(!nothing_wanted.fallbacks.contains(Fallback::NothingMatches));
        }
    }
}

#[test]
fn content_is_filled_up_with_popular_products_of_the_same_categories() {
    for model in shops() {
        let query = Query {
            user_id: "user-00033",
            strategy: Strategy::Content,
            n: 500,
            ..Query::default()
        };
        let answer = ask(&model, &query);
        assert_eq!(taken(&answer), ["filled_with_popular"]);
        assert_eq!(reasons(&answer), [Reason::Content, Reason::Popular]);
        let is_embedded = |item: &Item| model.content().unwrap().group(item.product).is_some();
        assert!(
            answer
                .items
                .iter()
                .all(|item| is_embedded(item) == (item.reason == Reason::Content))
        );
        let few = ask(&model, &Query { n: 5, ..query });
        assert_eq!((taken(&few), few.items.len()), (vec![], 5));
    }
}

#[test]
fn trace_names_what_found_the_candidates() {
    let model = sample::shop_with_content(300, IndexChoice::Exact);
    let plans = |query: &Query<'_>| {
        let trace = ask(&model, query).trace;
        let plan = |side: Option<crate::Retrieval>| side.map(|side| side.plan.as_str());
        (plan(trace.collaborative), plan(trace.content))
    };
    let hybrid = Query {
        user_id: "user-00033",
        ..Query::default()
    };
    assert_eq!(plans(&hybrid), (Some("exact"), Some("neighbours")));
    let brands = strings(&["brand 43", "brand 83"]);
    let rare = Filter {
        brands: &brands,
        ..Filter::default()
    };
    let listed = Query {
        filter: rare,
        ..hybrid
    };
    assert_eq!(plans(&listed), (Some("matches"), Some("matches")));
    let content = Query {
        strategy: Strategy::Content,
        ..hybrid
    };
    assert_eq!(plans(&Query { n: 200, ..content }), (None, Some("exact")));
    let recents = strings(&["item-0007"]);
    let alone = Query {
        recent_product_ids: &recents,
        n: 3,
        ..content
    };
    assert_eq!(plans(&alone), (None, Some("neighbours")));
}
