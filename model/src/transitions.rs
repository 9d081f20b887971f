//! Transitions: what people took next, as a list of products for each product.
//!
//! Checked when fitted or decoded: offsets ascend, rows exist, no list names a product twice or the
//! product itself, scores are finite, above 0 and descend. How they are counted is
//! [`crate::SequenceParams`]' business.

use crate::{column::Column, ids::ProductRow};

/// Products and scores by source: list `p` is `offsets[p]..offsets[p + 1]`.
#[derive(Clone, Debug)]
pub struct Transitions {
    pub(crate) offsets: Column<u64>,
    pub(crate) products: Column<u32>,
    pub(crate) scores: Column<f32>,
}

impl Transitions {
    /// Rows and scores of what people took after a product, greatest first, among equals the lower row
    /// first. A score is how often they did, for each time that they took the product.
    #[must_use]
    pub fn after(&self, product: ProductRow) -> (&[u32], &[f32]) {
        let offsets = self.offsets.as_slice();
        let (start, end) = (offsets[product.index()], offsets[product.index() + 1]);
        let range = start as usize..end as usize;
        (
            &self.products.as_slice()[range.clone()],
            &self.scores.as_slice()[range],
        )
    }

    /// Transitions of all products.
    #[must_use]
    pub fn len(&self) -> usize {
        self.products.as_slice().len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Bytes of the columns.
    pub(crate) fn bytes(&self) -> usize {
        self.offsets.as_bytes().len()
            + self.products.as_bytes().len()
            + self.scores.as_bytes().len()
    }
}
