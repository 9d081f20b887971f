//! Fitting: interactions and catalogue in, a whole model out.
//!
//! ```text
//!  events ─▶ pairs ─▶ ALS (users ⇄ products) ─▶ factors, Gram matrix ─┐
//!     ├────▶ popularity, segments, history ───────────────────────────┼▶ Model
//!  catalogue ─▶ product table ────────────────────────────────────────┘
//! ```
//!
//! Same data and parameters give the same bytes, whatever the threads or the CPU. This module
//! must not know where events come from, nor that they are ever evaluated or published.

mod als;
mod assemble;
mod content;
mod factors;
mod gram;
mod pairs;
mod report;
mod rows;
mod scoring;
mod sequence;
mod sides;

use std::num::NonZeroUsize;

pub use self::report::{FitError, FitStep};
use self::report::{RangeCheck, check_ranges, refuse};
use self::{
    als::Machine,
    assemble::{Catalogue, user_tables},
    pairs::Pairs,
    sides::SideData,
};
use crate::{
    FACTORS_MAX, Model,
    als::Als,
    column::Column,
    index::Build,
    interactions::{Event, Interactions, ProductInfo},
    lanes::CpuPath,
    matrix::Matrix,
    params::{Clock, FitParams, RECENT_LIST_MAX},
    recommender::Pieces,
};

/// Most alternations of one fit. Chosen: ten times what implicit ALS needs to converge.
const ITERATIONS_MAX: usize = 1000;

/// Most terms of a vocabulary. Chosen: rows of 40 kB, twenty times what the default makes.
const TERMS_MAX: usize = 10_000;

/// Resources of a fit; they do not change the parts.
#[derive(Clone, Copy, Debug)]
pub struct Workers {
    /// Threads of the fit's own pool.
    pub threads: NonZeroUsize,
    /// Clock that measures the speed of indexes; `None`: not measured.
    pub clock: Option<Clock>,
}

impl From<NonZeroUsize> for Workers {
    fn from(threads: NonZeroUsize) -> Self {
        Self {
            threads,
            clock: None,
        }
    }
}

impl Workers {
    fn machine(self) -> Machine {
        Machine {
            threads: self.threads,
            path: CpuPath::detected(),
            clock: self.clock,
        }
    }
}

/// Fits a model on threads of its own.
///
/// Products are those of the events and of `catalogue` together; users are those with events.
/// Costs `iterations × (pairs × F² + (users + products) × F³ / 6)` multiply-adds, and memory for
/// the factors twice over. `progress` is called on the calling thread.
///
/// # Errors
/// Bad parameters, values, catalogue rows or ids, by name; see [`FitError`].
pub fn fit(
    data: &Interactions,
    catalogue: &[ProductInfo],
    params: &FitParams,
    workers: impl Into<Workers>,
    progress: &mut dyn FnMut(FitStep),
) -> Result<Model, FitError> {
    fit_on(workers.into().machine(), data, catalogue, params, progress)
}

/// [`fit`] on a chosen path.
fn fit_on(
    machine: Machine,
    data: &Interactions,
    catalogue: &[ProductInfo],
    params: &FitParams,
    progress: &mut dyn FnMut(FitStep),
) -> Result<Model, FitError> {
    check_params(params)?;
    check_events(data)?;
    let catalogue = Catalogue::new(data.products(), catalogue)?;
    let events: Vec<Event> = data
        .events()
        .iter()
        .map(|event| Event {
            product: catalogue.row(event.product),
            ..*event
        })
        .collect();
    let by_user = Pairs::from_events(&events, data.users().len());
    let by_product = by_user.transposed(catalogue.len());
    progress(FitStep::Started {
        users: by_user.rows(),
        products: by_product.rows(),
        interactions: by_user.cols.len(),
    });
    let (users, history) = user_tables(data.users(), (&events, &by_user), params)?;
    let fitted = als::fit((&by_user, &by_product), &params.als, machine, progress)?;
    progress(FitStep::Assembling);
    let products = catalogue.table(&events)?;
    let matrix = |numbers: Vec<f32>| {
        let rows = numbers.len() / params.als.factors;
        Matrix::new(Column::from_vec(numbers), rows, params.als.factors)
            .expect("factor rows have the length that was asked for")
    };
    let als = Als {
        user_factors: matrix(fitted.users.compact()),
        product_factors: matrix(fitted.products.compact()),
        gram: matrix(fitted.gram),
    };
    let build = Build {
        choice: params.index,
        clock: machine.clock,
        queries: Some(&als.user_factors),
    };
    let index = build.index_on(machine.path, &als.product_factors);
    let as_of_s = sides::as_of_s(data);
    let side_data = SideData {
        events: &events,
        products: catalogue.len(),
        as_of_s,
    };
    let sides = sides::fit(side_data, &params.sides, machine)?;
    progress(FitStep::Embedding);
    let content = content::embed(&catalogue, params, machine)?;
    Ok(Model::new(
        Pieces {
            users,
            products,
            als,
            history,
            index,
            content,
            sides,
            parameters: params.clone(),
            fold_in_value: mean_value(&events),
            as_of_s,
            defaults: None,
        },
        &mut |_| {},
    ))
}

fn check_params(params: &FitParams) -> Result<(), FitError> {
    let als = &params.als;
    if !(1..=FACTORS_MAX).contains(&als.factors) {
        return refuse("factors", &als.factors, "1 to 1024");
    }
    if !(1..=ITERATIONS_MAX).contains(&als.iterations) {
        return refuse("iterations", &als.iterations, "1 to 1000");
    }
    if !als.regularization.is_normal() || als.regularization < 0.0 {
        return refuse(
            "regularization",
            &als.regularization,
            "a finite number above 0",
        );
    }
    if !als.confidence.is_finite() || als.confidence < 0.0 {
        return refuse("confidence", &als.confidence, "a finite number, 0 or more");
    }
    if params.segments.heavy_from < params.segments.light_from {
        return refuse(
            "heavy_from",
            &params.segments.heavy_from,
            "light_from or more",
        );
    }
    check_content_params(params)?;
    sides::check(&params.sides)?;
    scoring::check(&params.scoring, &params.sides)
}

fn check_content_params(params: &FitParams) -> Result<(), FitError> {
    let content = &params.content;
    // Comparisons that NaN fails, too.
    let checks: [RangeCheck<'_>; 5] = [
        (
            "recent_max",
            &params.recent_max,
            params.recent_max <= RECENT_LIST_MAX,
            "0 to 1000",
        ),
        (
            "terms_max",
            &content.terms_max,
            content.terms_max <= TERMS_MAX,
            "0 to 10000",
        ),
        (
            "ngram_max",
            &content.ngram_max,
            (1..=content::NGRAM_MAX).contains(&content.ngram_max),
            "1 to 3",
        ),
        ("min_df", &content.min_df, content.min_df >= 1, "1 or more"),
        (
            "price_scale",
            &content.price_scale,
            (0.0..=1.0).contains(&content.price_scale),
            "0 to 1",
        ),
    ];
    check_ranges(&checks)
}

/// Mean interaction value; there is at least one event.
fn mean_value(events: &[Event]) -> f32 {
    let sum: f64 = events.iter().map(|event| f64::from(event.value)).sum();
    (sum / events.len() as f64) as f32
}

fn check_events(data: &Interactions) -> Result<(), FitError> {
    if data.events().is_empty() {
        return Err(FitError::NoInteractions);
    }
    let bad = data
        .events()
        .iter()
        .find(|event| !event.value.is_finite() || event.value <= 0.0);
    match bad {
        Some(event) => Err(FitError::Value {
            user: data.users()[event.user as usize].clone(),
            product: data.products()[event.product as usize].clone(),
            value: event.value,
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
