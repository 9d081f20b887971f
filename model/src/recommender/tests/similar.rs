//! Similar products against every cosine computed and sorted.

use std::sync::OnceLock;

use proptest::prelude::*;

use super::*;
use crate::{Basis, Filter, IndexChoice, SimilarAnswer, SimilarQuery, dot::dot, sample};

const PRODUCTS: u32 = 260;
const CHOICES: [IndexChoice; 3] = [IndexChoice::Auto, IndexChoice::Exact, IndexChoice::Hnsw];

fn models() -> &'static [Model; 3] {
    static MODELS: OnceLock<[Model; 3]> = OnceLock::new();
    MODELS.get_or_init(|| CHOICES.map(|choice| sample::shop_with_content(PRODUCTS, choice)))
}

fn similar(model: &Model, query: &SimilarQuery<'_>) -> SimilarAnswer {
    model.similar(query, &mut Scratch::default()).unwrap()
}

fn plain(product_id: &str, basis: Option<Basis>) -> SimilarQuery<'_> {
    SimilarQuery {
        product_id,
        n: 10,
        basis,
        filter: Filter::default(),
        exclude_product_ids: &[],
    }
}

/// The vector that similarity is measured by; `None` for products without.
fn vector(model: &Model, basis: Basis, row: u32) -> Option<Vec<f32>> {
    match basis {
        Basis::Content => {
            let content = model.content()?;
            let group = content.group(ProductRow(row))?;
            Some(content.embeddings().row(group as usize).to_vec())
        }
        Basis::Collaborative => {
            let factors = model.als().product(ProductRow(row));
            factors.iter().any(|x| *x != 0.0).then(|| factors.to_vec())
        }
        Basis::Sequence => None,
    }
}

/// Cosine in f64.
fn cosine(a: &[f32], b: &[f32]) -> f64 {
    let inner = |a: &[f32], b: &[f32]| -> f64 {
        a.iter()
            .zip(b)
            .map(|(a, b)| f64::from(*a) * f64::from(*b))
            .sum()
    };
    inner(a, b) / (inner(a, a) * inner(b, b)).sqrt()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn min_of_n_and_matches_most_alike_first_then_popular(
        (product, n, choice) in (0..PRODUCTS, 0usize..60, 0usize..3),
        is_content: bool,
        category in proptest::option::of(0u32..8),
        exclude in proptest::collection::vec(0..PRODUCTS, 0..20),
    ) {
        let model = &models()[choice];
        let basis = if is_content { Basis::Content } else { Basis::Collaborative };
        let id = format!("item-{product:04}");
        let categories: Vec<String> = category.iter().map(|c| format!("category {c}")).collect();
        let exclude: Vec<String> = exclude.iter().map(|e| format!("item-{e:04}")).collect();
        let query = SimilarQuery {
            n,
            filter: Filter { categories: &categories, ..Filter::default() },
            exclude_product_ids: &exclude,
            ..plain(&id, Some(basis))
        };
        let answer = similar(model, &query);
        let products = model.products();
        let eligible = |row: &u32| {
            let product = ProductRow(*row);
            products.id(product) != id
                && !exclude.iter().any(|id| id == products.id(product))
                && categories.iter().all(|c| Some(c.as_str()) == products.category(product))
        };
        let eligible: Vec<u32> = (0..products.len() as u32).filter(eligible).collect();
        prop_assert_eq!(answer.items.len(), n.min(eligible.len()));
        prop_assert!(answer.items.iter().all(|item| eligible.contains(&item.product.0)));
        let own = vector(model, basis, product);
        prop_assert_eq!(answer.fallbacks.contains(Fallback::NoProductVector), own.is_none());
        let mut expected: Vec<(f64, u32)> = Vec::new();
        if let Some(own) = &own {
            let with = eligible.iter().filter_map(|row| Some((vector(model, basis, *row)?, *row)));
            expected.extend(with.map(|(other, row)| (cosine(own, &other), row)));
            expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        }
        let scored = n.min(expected.len());
        for (item, (cosine, _)) in answer.items.iter().zip(&expected) {
            prop_assert!((f64::from(item.similarity) - cosine).abs() < 1e-5);
        }
        let rest = &answer.items[scored..];
        prop_assert!(rest.iter().all(|item| item.similarity == 0.0));
        let is_filled = own.is_some() && !rest.is_empty();
        prop_assert_eq!(answer.fallbacks.contains(Fallback::FilledWithPopular), is_filled);
        let key = |item: &crate::SimilarItem| {
            let own = products.category(ProductRow(product));
            let is_alike = own.is_some() && products.category(item.product) == own;
            (!is_alike, -products.popularity(item.product), item.product.0)
        };
        prop_assert!(rest.is_sorted_by(|a, b| key(a) <= key(b)));
    }

    #[test]
    fn content_likeness_is_ranked_by_the_one_dot_product(product in 0..PRODUCTS) {
        let model = &models()[1];
        let id = format!("item-{product:04}");
        let own = vector(model, Basis::Content, product);
        prop_assume!(own.is_some());
        let own = own.unwrap();
        let mut expected: Vec<(f32, u32)> = (0..PRODUCTS)
            .filter(|row| *row != product)
            .filter_map(|row| Some((dot(&own, &vector(model, Basis::Content, row)?) + 0.0, row)))
            .collect();
        expected.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let answer = similar(model, &plain(&id, None));
        prop_assert_eq!(answer.basis, Basis::Content);
        let found = answer.items.iter().map(|item| item.product.0);
        prop_assert!(found.eq(expected.iter().take(10).map(|(_, row)| *row)));
    }
}

#[test]
fn what_cannot_be_answered_is_refused_by_name() {
    let model = sample::model(&sample::shop(30, 20), &sample::params_without_content(4));
    let refused = |query| model.similar(&query, &mut Scratch::default());
    assert_eq!(
        refused(plain("nothing", None)),
        Err(QueryError::UnknownProduct)
    );
    let content = plain("item-0001", Some(Basis::Content));
    assert_eq!(refused(content), Err(QueryError::NeedsContent));
    let answer = similar(&model, &plain("item-0001", None));
    assert_eq!(answer.basis, Basis::Collaborative);
    assert!(answer.fallbacks.contains(Fallback::NoContentParts));
    let unasked = similar(&model, &plain("item-0001", Some(Basis::Collaborative)));
    assert!(unasked.fallbacks.is_empty());
    assert_eq!(unasked.items, answer.items);
}

#[test]
fn nothing_that_passes_is_an_empty_answer_that_says_so() {
    let categories = ["no such category".to_owned()];
    for model in models() {
        let filter = Filter {
            categories: &categories,
            ..Filter::default()
        };
        let answer = similar(
            model,
            &SimilarQuery {
                filter,
                ..plain("item-0001", None)
            },
        );
        assert!(answer.items.is_empty());
        assert!(answer.fallbacks.contains(Fallback::NothingMatches));
    }
}
