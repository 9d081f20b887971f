//! Memory that unpacking a version allocates beside its parts, computed from its card alone. A
//! loader can refuse a version before it allocates anything.
//!
//! An upper bound for parts whose numbers are aligned, as in all parts that this package writes.
//! Parts with other alignment are copied while decoding and need their own size once more.

use crate::{ModelCard, lanes::LANES, lanes::int8::ELEMENTS};

/// Facets, norms and members of groups, in bytes a product (counted: 11 columns of u32 at most).
const KEPT_PER_PRODUCT: u64 = 48;
/// Keys that are sorted and tables of names while these are computed, in bytes a product (counted:
/// two copies of 8-byte keys, or a hash table of 24-byte entries at its emptiest).
const PASSING_PER_PRODUCT: u64 = 64;
/// Marks of one product while its transitions are checked (counted: one u32).
const PER_LISTED_PRODUCT: u64 = 4;
/// The order of one product by its trend, and its keys while they are sorted (counted: one u32, kept in
/// room for all products, and two copies of 8-byte keys).
const PER_TRENDING_PRODUCT: u64 = 24;
/// Offsets and marks of one group while its index is checked (counted: 4 u32 and 2 marks).
const PER_GROUP: u64 = 18;
/// Structs, names and short buffers of any model (chosen: 64 KiB cover a model of no products).
const FIXED: u64 = 64 << 10;

impl ModelCard {
    /// Bytes that [`Model::unpack`](crate::Model::unpack) may allocate beside the parts. Never
    /// overflows, whatever the card says.
    #[must_use]
    pub fn working_bytes(&self) -> u64 {
        let products = self.sizes.products as u64;
        let groups = self.content.as_ref().map_or(0, |content| content.groups) as u64;
        let dimension = self.dimensions.content as u64;
        let per_product = products.saturating_mul(KEPT_PER_PRODUCT + PASSING_PER_PRODUCT);
        // A sparse copy is kept where at most an eighth of the numbers is not zero: 6 bytes each.
        let sparse = groups.saturating_mul(dimension).saturating_mul(6) / 8;
        let sides = &self.parameters.sides;
        let sequence = sides.sequence.as_ref().map_or(0, |_| PER_LISTED_PRODUCT);
        let trend = sides.trend.as_ref().map_or(0, |_| PER_TRENDING_PRODUCT);
        [
            FIXED,
            products.saturating_mul(sequence + trend),
            per_product,
            codes(products, self.dimensions.factors as u64),
            codes(groups, dimension),
            sparse,
            groups.saturating_mul(PER_GROUP),
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }
}

/// Rows as byte codes: panels of 16 rows, a line for four columns, and two lines of numbers.
fn codes(rows: u64, cols: u64) -> u64 {
    let line = (LANES * ELEMENTS) as u64;
    let lines = cols.div_ceil(ELEMENTS as u64).saturating_add(2);
    rows.div_ceil(LANES as u64)
        .saturating_mul(line)
        .saturating_mul(lines)
}

#[cfg(test)]
mod tests;
