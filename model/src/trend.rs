//! Popularity of late: a decayed popularity for each product, and their order.

use crate::{Breathe, column::Column, ids::ProductRow, popularity};

/// Decayed popularity of every product.
#[derive(Clone, Debug)]
pub struct Trend {
    /// Finite, 0 or more `[I]`.
    pub(crate) scores: Column<f32>,
    /// Rows of the products above 0, best first, among equals the lower row first. Computed.
    order: Vec<u32>,
}

impl Trend {
    /// Orders checked scores. O(n log n).
    pub(crate) fn new(scores: Column<f32>, breathe: Breathe<'_>) -> Self {
        let mut order = popularity::order(scores.as_slice(), breathe);
        let above_zero = |row: &u32| scores.as_slice()[*row as usize] > 0.0;
        order.truncate(order.partition_point(above_zero));
        order.shrink_to_fit();
        Self { scores, order }
    }

    /// Decayed popularity as of the version's last event.
    #[must_use]
    pub fn score(&self, product: ProductRow) -> f32 {
        self.scores.as_slice()[product.index()]
    }

    /// Rows of the products above 0, best first.
    pub(crate) fn order(&self) -> &[u32] {
        &self.order
    }

    /// Bytes that live as long as the model does.
    pub(crate) fn bytes(&self) -> usize {
        self.scores.as_bytes().len() + size_of_val(&self.order[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_products_above_zero_are_in_the_order() {
        let scores = Column::from_vec(vec![0.0, 2.0, 0.0, 3.0, 2.0]);
        let trend = Trend::new(scores, &mut |_| {});
        assert_eq!(trend.order(), [3, 1, 4]);
        assert_eq!(trend.score(ProductRow(4)), 2.0);
    }
}
