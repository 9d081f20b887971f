//! Indexes for filters: categories and brands as codes with lists of their products, products by
//! price and by popularity.
//!
//! Computed from the product table when a model is assembled: 20 bytes a product.

mod facet;
mod filter;

use arrow_array::{Array, Float32Array};

pub(crate) use self::{
    facet::Facet,
    filter::{CompiledFilter, FilterScratch},
};
use crate::{Breathe, Products, pace, popularity, topk};

/// Prices sorted between two calls of `breathe`; their keys are 64 KiB.
const RUN_LEN: usize = 8 << 10;

/// Facets of all products of a model.
#[derive(Debug)]
pub(crate) struct Facets {
    pub(crate) categories: Facet,
    pub(crate) brands: Facet,
    prices: Float32Array,
    /// Products that have a price: price ascending, then row ascending.
    by_price: Vec<u32>,
    /// All products: popularity descending, then row ascending.
    pub(crate) popular: Vec<u32>,
}

impl Facets {
    /// O(n log n) in the number of products.
    pub(crate) fn new(products: &Products, breathe: Breathe<'_>) -> Self {
        let popular = popularity::order(products.popularity.values(), breathe);
        let facet = |names, breathe: Breathe<'_>| Facet::new(names, &popular, breathe);
        Self {
            categories: facet(&products.categories, breathe),
            brands: facet(&products.brands, breathe),
            by_price: by_price(&products.prices, breathe),
            prices: products.prices.clone(),
            popular,
        }
    }

    /// Number of products.
    pub(crate) fn len(&self) -> usize {
        self.popular.len()
    }

    /// Bytes held beside the product table.
    pub(crate) fn bytes(&self) -> usize {
        let rows = [&self.by_price, &self.popular];
        self.categories.bytes()
            + self.brands.bytes()
            + rows
                .map(|rows| size_of_val(&rows[..]))
                .iter()
                .sum::<usize>()
    }

    fn price(&self, row: u32) -> Option<f64> {
        let row = row as usize;
        let is_priced = self.prices.is_valid(row);
        is_priced.then(|| f64::from(self.prices.value(row)))
    }

    /// The products whose price lies between two bounds, both inclusive.
    fn priced(&self, min: Option<f64>, max: Option<f64>) -> &[u32] {
        let price = |row: &u32| self.price(*row).unwrap_or(0.0);
        let start = min.map_or(0, |min| {
            self.by_price.partition_point(|row| price(row) < min)
        });
        let end = max.map_or(self.by_price.len(), |max| {
            self.by_price.partition_point(|row| price(row) <= max)
        });
        self.by_price.get(start..end).unwrap_or(&[])
    }
}

fn by_price(prices: &Float32Array, breathe: Breathe<'_>) -> Vec<u32> {
    let priced = (0..prices.len()).filter(|row| prices.is_valid(*row));
    // Keys order by score, then by row descending: both are complemented on the way.
    let keys = priced.map(|row| !topk::key(-prices.value(row), row as u32));
    let keys = pace::sorted(keys.collect(), RUN_LEN, u64::cmp, breathe);
    keys.into_iter().map(|key| key as u32).collect()
}

#[cfg(test)]
mod tests;
