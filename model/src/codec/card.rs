//! Bounds on what a card may say, checked before any part is opened.
//!
//! A card is small and decides how much work is done: how many golden queries are repeated, how
//! many recent products every answer sums over. So each of its numbers has a bound, as those of a
//! part have.

mod blending;

use super::{ALS_INDEX_KEY, UnpackError, content, error::refused};
use crate::{
    FACTORS_MAX, FitParams, GoldenQuery, ModelCard,
    golden_queries::{GOLDEN_LIST_MAX, GOLDEN_QUERIES_MAX},
    params::RECENTS_MAX,
};

/// Errs with the first number that breaks its bound.
pub(super) fn check(card: &ModelCard) -> Result<(), UnpackError> {
    let rows_max = i32::MAX as usize;
    for (what, size) in [
        ("sizes.users", card.sizes.users),
        ("sizes.products", card.sizes.products),
    ] {
        at_most(what, size, rows_max)?;
    }
    let factors = card.dimensions.factors;
    if !(1..=FACTORS_MAX).contains(&factors) {
        let expected = format!("1 to {FACTORS_MAX}");
        return Err(refused("dimensions.factors", &factors, expected));
    }
    check_parameters(&card.parameters, card.fold_in_value)?;
    blending::check(card)?;
    at_most(
        "the number of golden queries",
        card.golden_queries.len(),
        GOLDEN_QUERIES_MAX,
    )?;
    card.golden_queries
        .iter()
        .try_for_each(check_golden_query)?;
    if card.index.contains_key(ALS_INDEX_KEY) {
        return content::check_card(card);
    }
    Err(refused(
        "index.als.plan",
        &"absent",
        "exact or hnsw".to_owned(),
    ))
}

fn at_most(what: &'static str, value: usize, limit: usize) -> Result<(), UnpackError> {
    if value <= limit {
        return Ok(());
    }
    Err(refused(what, &value, format!("at most {limit}")))
}

/// The parameters that answers are computed with. JSON has no NaN, but its numbers may be infinite
/// as f32.
fn check_parameters(parameters: &FitParams, fold_in_value: f32) -> Result<(), UnpackError> {
    at_most(
        "parameters.scoring.recents",
        parameters.scoring.recents,
        RECENTS_MAX,
    )?;
    let alpha = parameters.scoring.alpha;
    if !(0.0..=1.0).contains(&alpha) {
        return Err(refused(
            "parameters.scoring.alpha",
            &alpha,
            "0 to 1".to_owned(),
        ));
    }
    for (what, value) in [
        (
            "parameters.als.regularization",
            parameters.als.regularization,
        ),
        ("parameters.als.confidence", parameters.als.confidence),
        ("fold_in_value", fold_in_value),
    ] {
        if !value.is_finite() || value < 0.0 {
            let expected = "a finite number, 0 or more".to_owned();
            return Err(refused(what, &value, expected));
        }
    }
    Ok(())
}

fn check_golden_query(golden: &GoldenQuery) -> Result<(), UnpackError> {
    for (what, length) in [
        ("probes.n", golden.n),
        ("the length of probes.items", golden.items.len()),
        (
            "the length of probes.exclude_product_ids",
            golden.exclude_product_ids.len(),
        ),
        (
            "the length of probes.recent_product_ids",
            golden.recent_product_ids.len(),
        ),
        ("the length of probes.categories", golden.categories.len()),
    ] {
        at_most(what, length, GOLDEN_LIST_MAX)?;
    }
    match &golden.weights {
        Some(weights) => blending::check_weights("probes.weights", weights),
        None => Ok(()),
    }
}
