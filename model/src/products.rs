//! The products of a model: ids in sorted order, what the catalogue says, and popularity.
//!
//! Popularity is the sum of interaction values over all events of the product, in the same unit
//! as the values and not normalised: it is comparable between products of one version, can be
//! recomputed by anyone who has the events, and its order is all that ranking uses.

use arrow_array::{Array, Float32Array, StringArray};

use crate::ids::{IdTable, ProductRow, column_bytes};

/// Longest name, category or brand, in bytes (chosen: a hundred times a usual one; they go into
/// answers, log lines and the table of facets as they are).
pub const FIELD_BYTES_MAX: usize = 4096;

/// Ids, catalogue fields and popularity of every product of catalogue and events.
#[derive(Clone, Debug)]
pub struct Products {
    pub(crate) ids: IdTable,
    pub(crate) names: StringArray,
    pub(crate) categories: StringArray,
    pub(crate) brands: StringArray,
    pub(crate) prices: Float32Array,
    pub(crate) popularity: Float32Array,
}

impl Products {
    /// Number of products.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no product.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The row of a product id; O(log products), no allocation.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<ProductRow> {
        self.ids.find(id).map(|row| ProductRow(row as u32))
    }

    /// The id of a product of this model.
    #[must_use]
    pub fn id(&self, product: ProductRow) -> &str {
        self.ids.get(product.index())
    }

    /// The name, where the catalogue has one.
    #[must_use]
    pub fn name(&self, product: ProductRow) -> Option<&str> {
        text(&self.names, product)
    }

    /// The category, where the catalogue has one.
    #[must_use]
    pub fn category(&self, product: ProductRow) -> Option<&str> {
        text(&self.categories, product)
    }

    /// The brand, where the catalogue has one.
    #[must_use]
    pub fn brand(&self, product: ProductRow) -> Option<&str> {
        text(&self.brands, product)
    }

    /// The price in the shop's currency, where the catalogue has one.
    #[must_use]
    pub fn price(&self, product: ProductRow) -> Option<f32> {
        let row = product.index();
        self.prices.is_valid(row).then(|| self.prices.value(row))
    }

    /// Sum of interaction values over all events of the product; 0 without events.
    #[must_use]
    pub fn popularity(&self, product: ProductRow) -> f32 {
        self.popularity.value(product.index())
    }

    /// Ids in row order.
    #[must_use]
    pub fn ids(&self) -> &IdTable {
        &self.ids
    }

    /// Bytes held by the columns.
    pub(crate) fn bytes(&self) -> usize {
        let texts = [
            self.ids.column(),
            &self.names,
            &self.categories,
            &self.brands,
        ];
        texts
            .into_iter()
            .map(|text| column_bytes(text))
            .sum::<usize>()
            + column_bytes(&self.prices)
            + column_bytes(&self.popularity)
    }
}

fn text(column: &StringArray, product: ProductRow) -> Option<&str> {
    let row = product.index();
    column.is_valid(row).then(|| column.value(row))
}
