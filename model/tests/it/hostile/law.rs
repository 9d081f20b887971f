//! The law that every artifact keeps, whatever made it: a clear refusal, or a model that
//! answers every question with as many products as it promises, each of them once, all scores
//! numbers.
//!
//! Plain functions, so that the fuzz targets of `fuzz/` share them; what breaks the law panics.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use hotshelf_model::{
    Basis, Filter, Model, ModelCard, ProductRow, Query, QueryError, Scratch, SimilarQuery,
    Strategy, UserRow,
};
use serde::Deserialize as _;

pub(crate) type Parts = BTreeMap<String, Bytes>;

/// Longest refusal. Chosen: a few excerpts; it goes into logs and answers.
const REFUSAL_BYTES_MAX: usize = 4096;

/// What came of an artifact, and what it cost.
pub(crate) struct Outcome {
    /// Label of the refusal; `None` where it was accepted and has answered.
    pub(crate) refused_as: Option<&'static str>,
    /// Bytes of work that decoding told its pace.
    pub(crate) breathed: usize,
}

/// Reads a card as a loader does, which has parsed the manifest around it before.
pub(crate) fn read_card(json: &[u8]) -> Option<ModelCard> {
    let value: serde_json::Value = serde_json::from_slice(json).ok()?;
    ModelCard::deserialize(&value).ok()
}

/// Unpacks parts against a card and asks what came out.
pub(crate) fn try_artifact(card: &ModelCard, parts: &Parts) -> Outcome {
    let mut breathed = 0;
    let refused_as = match Model::unpack(card, parts, &mut |bytes| breathed += bytes) {
        Ok(model) => {
            let mut scratch = Scratch::default();
            // Whether they agree is not the question: any answer is allowed to a mutant.
            let report = card.check_golden_queries(&model, &mut scratch, &mut |_| {});
            assert_eq!(report.checked, card.golden_queries.len());
            recommend(&model, &mut scratch);
            similar(&model, &mut scratch);
            None
        }
        Err(error) => {
            let said = error.to_string();
            assert!(
                said.len() <= REFUSAL_BYTES_MAX,
                "a refusal of {}",
                said.len()
            );
            Some(error.kind())
        }
    };
    Outcome {
        refused_as,
        breathed,
    }
}

const STRATEGIES: [Strategy; 4] = [
    Strategy::Hybrid,
    Strategy::Collaborative,
    Strategy::Content,
    Strategy::Blended,
];

fn recommend(model: &Model, scratch: &mut Scratch) {
    let (users, products) = (model.users().len(), model.products().len());
    let last = users.saturating_sub(1) as u32;
    let known = (0..users.min(1))
        .chain(users.checked_sub(1))
        .map(|row| model.users().id(UserRow(row as u32)).to_owned());
    let ids: Vec<String> = known.chain(["nobody".to_owned()]).collect();
    let row = |at: usize| model.products().id(ProductRow(at as u32)).to_owned();
    let recents: Vec<String> = (0..products.min(2)).map(row).collect();
    let categories = first_category(model);
    if users > 0 {
        assert!(!model.users().segment(UserRow(last)).is_empty());
    }
    for (user_id, n) in ids.iter().zip([3, products + 2, 1]) {
        for strategy in STRATEGIES {
            let query = Query {
                user_id,
                n,
                strategy,
                include_seen: true,
                ..Query::default()
            };
            answered(model, &query, scratch, Some(n.min(products)));
        }
    }
    let narrow = Query {
        user_id: &ids[0],
        recent_product_ids: &recents,
        exclude_product_ids: &recents,
        filter: Filter {
            categories: &categories,
            price_min: Some(0.0),
            ..Filter::default()
        },
        ..Query::default()
    };
    answered(model, &narrow, scratch, None);
    let blended = Query {
        strategy: Strategy::Blended,
        ..narrow
    };
    answered(model, &blended, scratch, None);
    let visitor = Query {
        user_id: "",
        recent_product_ids: &recents,
        ..Query::default()
    };
    answered(model, &visitor, scratch, None);
}

fn first_category(model: &Model) -> Vec<String> {
    let mut rows = (0..model.products().len()).map(|row| ProductRow(row as u32));
    let category = rows.find_map(|row| model.products().category(row));
    category.map(str::to_owned).into_iter().collect()
}

fn answered(model: &Model, query: &Query<'_>, scratch: &mut Scratch, promised: Option<usize>) {
    let answer = match model.recommend(query, scratch) {
        Ok(answer) => answer,
        Err(error) => {
            assert!(
                query.strategy == Strategy::Content && model.content().is_none(),
                "{error}"
            );
            return;
        }
    };
    let found = answer.items.iter().map(|item| {
        let scores = item.scores.iter().filter_map(|(_, score)| *score);
        let shares = item.shares.iter().map(|(_, share)| *share);
        assert!(
            item.score.is_finite() && scores.chain(shares).all(f32::is_finite),
            "{item:?}"
        );
        item.product
    });
    let count = distinct(model, found);
    assert!(count <= query.n, "{count} products instead of {}", query.n);
    assert_eq!(count, promised.unwrap_or(count), "{query:?}");
}

fn similar(model: &Model, scratch: &mut Scratch) {
    let products = model.products().len();
    let ends = (0..products.min(1)).chain(products.checked_sub(1));
    for row in ends {
        let id = model.products().id(ProductRow(row as u32)).to_owned();
        for basis in [Basis::Content, Basis::Collaborative, Basis::Sequence] {
            let query = SimilarQuery {
                product_id: &id,
                n: products,
                basis: Some(basis),
                filter: Filter::default(),
                exclude_product_ids: &[],
            };
            match model.similar(&query, scratch) {
                Ok(answer) => {
                    let found = answer.items.iter().map(|item| {
                        let is_cosine = basis != Basis::Sequence;
                        let most = if is_cosine { 1.0 } else { f32::MAX };
                        assert!(item.similarity.abs() <= most, "{item:?}");
                        item.product
                    });
                    assert_eq!(distinct(model, found), products - 1, "{query:?}");
                }
                Err(error) => {
                    let needed = match basis {
                        Basis::Sequence => QueryError::NeedsTransitions,
                        _ => QueryError::NeedsContent,
                    };
                    assert_eq!(error, needed);
                }
            }
        }
    }
}

/// Counts products, each of which must exist and come once.
fn distinct(model: &Model, found: impl Iterator<Item = ProductRow>) -> usize {
    let mut seen = BTreeSet::new();
    for product in found {
        assert!(product.index() < model.products().len(), "{product:?}");
        assert!(seen.insert(product), "{product:?} came twice");
    }
    seen.len()
}
