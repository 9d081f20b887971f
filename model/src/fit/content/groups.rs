//! Products with equal rows.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

use crate::{Matrix, column::Column, grouped::NO_GROUP};

/// Collects rows product by product; equal rows are kept once and numbered by their first
/// product.
pub(super) struct Groups {
    cols: usize,
    /// Distinct rows `[G×D]`.
    rows: Vec<f32>,
    /// Group of each product so far, [`NO_GROUP`] for those without a row.
    of_product: Vec<u32>,
    /// Groups by the hash of their row; rows are compared, so a collision costs time only.
    by_hash: HashMap<u64, Vec<u32>>,
}

impl Groups {
    pub(super) fn new(cols: usize, products: usize) -> Self {
        Self {
            cols,
            rows: Vec::new(),
            of_product: Vec::with_capacity(products),
            by_hash: HashMap::new(),
        }
    }

    /// The next product has nothing to embed.
    pub(super) fn skip(&mut self) {
        self.of_product.push(NO_GROUP);
    }

    /// The next product belongs to a group that is there already.
    pub(super) fn join(&mut self, group: u32) {
        self.of_product.push(group);
    }

    /// The next product has this row; returns its group. No number of it is a negative zero.
    pub(super) fn add(&mut self, row: &[f32]) -> u32 {
        debug_assert_eq!(row.len(), self.cols, "rows of one length");
        let bits: &[u32] = bytemuck::cast_slice(row);
        let mut hasher = DefaultHasher::new();
        bits.hash(&mut hasher);
        let alike = self.by_hash.entry(hasher.finish()).or_default();
        let is_equal = |group: &&u32| {
            let start = **group as usize * self.cols;
            bytemuck::cast_slice::<f32, u32>(&self.rows[start..start + self.cols]) == bits
        };
        let group = alike.iter().find(is_equal).copied().unwrap_or_else(|| {
            let group = (self.rows.len() / self.cols) as u32;
            alike.push(group);
            self.rows.extend_from_slice(row);
            group
        });
        self.of_product.push(group);
        group
    }

    /// Distinct rows and the group of each product; `None` where no product has a row.
    pub(super) fn into_parts(self) -> Option<(Matrix, Column<u32>)> {
        if self.rows.is_empty() {
            return None;
        }
        let rows = Matrix::from_vec(self.rows, self.cols)?;
        Some((rows, Column::from_vec(self.of_product)))
    }
}

/// Writes `row` into `unit` at length 1, measured and divided in f64; false for a zero row.
pub(super) fn normalise(row: &[f64], unit: &mut Vec<f32>) -> bool {
    let norm = row.iter().map(|x| x * x).sum::<f64>().sqrt();
    unit.clear();
    // Adding +0 turns -0 into +0: equal numbers have equal bits.
    unit.extend(row.iter().map(|x| (x / norm) as f32 + 0.0));
    norm > 0.0
}
