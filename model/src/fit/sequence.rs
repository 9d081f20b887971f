//! Counts transitions: what people took within a few steps after each product.
//!
//! ```text
//!  events by user and time ─▶ steps ─▶ where each product stands ─▶ its neighbours, weighted ─▶ best kept
//! ```
//!
//! Products are counted one by one, each by one thread and in the order of its steps, so the sums are the
//! same whatever the threads.

use rayon::{ThreadPool, prelude::*};

use super::FitError;
use crate::{
    SequenceParams,
    column::Column,
    grouped::{Grouped, NO_GROUP},
    interactions::Event,
    topk,
    transitions::Transitions,
};

/// Fewest products that one task counts. Chosen: enough to forget what a task costs.
const PRODUCTS_PER_TASK: usize = 64;

/// Everybody's steps, and where each product stands among them: 8 bytes an event.
struct Steps {
    /// Product rows, with [`NO_GROUP`] before, between and behind people: no product has this row.
    rows: Vec<u32>,
    /// The places of each product among them, ascending.
    places: Grouped,
}

/// Sums of one product, by the product that follows.
struct Sums {
    sums: Vec<f64>,
    touched: Vec<u32>,
}

/// Counts the transitions of `products` products in events that are sorted by user and time. Costs
/// twice `window` additions an event.
///
/// # Errors
/// More events than 32 bits number.
pub(super) fn count(
    events: &[Event],
    products: usize,
    params: &SequenceParams,
    pool: &ThreadPool,
) -> Result<Transitions, FitError> {
    let steps = Steps::of(events, products)?;
    let weights = Weighted::new(params);
    let lists: Vec<Vec<(u32, f32)>> = pool.install(|| {
        (0..products)
            .into_par_iter()
            .with_min_len(PRODUCTS_PER_TASK)
            .map_init(
                || Sums::new(products),
                |sums, product| {
                    steps.count(product, &weights, sums);
                    sums.take_greatest(steps.places_of(product).len(), params.kept)
                },
            )
            .collect()
    });
    let mut offsets = vec![0];
    let (mut rows, mut scores) = (Vec::new(), Vec::new());
    for list in lists {
        rows.extend(list.iter().map(|(row, _)| *row));
        scores.extend(list.iter().map(|(_, score)| *score));
        offsets.push(rows.len() as u64);
    }
    Ok(Transitions {
        offsets: Column::from_vec(offsets),
        products: Column::from_vec(rows),
        scores: Column::from_vec(scores),
    })
}

/// What a distance of d steps, at d − 1, adds in each direction.
struct Weighted {
    onward: Vec<f64>,
    backward: Vec<f64>,
}

impl Weighted {
    fn new(params: &SequenceParams) -> Self {
        let decay = f64::from(params.step_decay);
        let powers = std::iter::successors(Some(1.0), |power| Some(power * decay));
        let onward: Vec<f64> = powers.take(params.window).collect();
        let backward = f64::from(params.backward);
        Self {
            backward: onward.iter().map(|weight| weight * backward).collect(),
            onward,
        }
    }
}

impl Steps {
    fn of(events: &[Event], products: usize) -> Result<Self, FitError> {
        let mut rows = vec![NO_GROUP];
        for of_user in events.chunk_by(|a, b| a.user == b.user) {
            // A product that was viewed, carted and bought in a row is one step.
            rows.extend(
                of_user
                    .chunk_by(|a, b| a.product == b.product)
                    .map(|same| same[0].product),
            );
            rows.push(NO_GROUP);
        }
        if rows.len() > u32::MAX as usize {
            return Err(FitError::TooLarge {
                what: "steps of people",
                limit: u32::MAX.into(),
            });
        }
        let places = Grouped::of((&rows, products), 0..rows.len() as u32, &mut |_| {});
        Ok(Self { rows, places })
    }

    /// The places of a product.
    fn places_of(&self, product: usize) -> &[u32] {
        self.places.rows(product as u32)
    }

    /// Adds up what stands around each step of a product.
    fn count(&self, product: usize, weights: &Weighted, sums: &mut Sums) {
        for place in self.places_of(product) {
            let place = *place as usize;
            let later = self.rows[place + 1..].iter();
            let earlier = self.rows[..place].iter().rev();
            let of_person = |row: &&u32| **row != NO_GROUP;
            for (row, weight) in later.take_while(of_person).zip(&weights.onward) {
                sums.add(*row, *weight);
            }
            for (row, weight) in earlier.take_while(of_person).zip(&weights.backward) {
                sums.add(*row, *weight);
            }
        }
        sums.forget(product as u32);
    }
}

impl Sums {
    fn new(products: usize) -> Self {
        Self {
            sums: vec![0.0; products],
            touched: Vec::new(),
        }
    }

    fn add(&mut self, row: u32, weight: f64) {
        let sum = &mut self.sums[row as usize];
        if *sum == 0.0 && weight > 0.0 {
            self.touched.push(row);
        }
        *sum += weight;
    }

    /// Nobody takes a product after itself.
    fn forget(&mut self, row: u32) {
        self.sums[row as usize] = 0.0;
    }

    /// The greatest sums by `count`, best first, among equals the lower row first; nothing is left.
    fn take_greatest(&mut self, count: usize, kept: usize) -> Vec<(u32, f32)> {
        let mut scored: Vec<(u32, f32)> = Vec::with_capacity(self.touched.len());
        for row in self.touched.drain(..) {
            let sum = std::mem::take(&mut self.sums[row as usize]);
            let score = (sum / count as f64) as f32;
            if score > 0.0 {
                scored.push((row, score));
            }
        }
        scored.sort_unstable_by_key(|(row, score)| std::cmp::Reverse(topk::key(*score, *row)));
        scored.truncate(kept);
        scored.shrink_to_fit();
        scored
    }
}
