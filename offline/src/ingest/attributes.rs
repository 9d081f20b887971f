//! Product attributes in rows, and their aggregation: the most common text, the median price.
//!
//! Rows of events often spell a product in several ways and sell it at several prices. Memory is one
//! entry per distinct text and price of a product, however many rows there are.

use std::collections::BTreeMap;

use super::row::{Column, Header, Reason, Row};
use crate::mapping::{PriceColumn, ProductColumns, TextColumns};

/// Product name, category, brand, description; in this order wherever there are four texts.
pub(super) const TEXTS: usize = 4;

/// Attributes of one row; an empty text or None means unknown.
pub(super) struct Attributes {
    pub(super) texts: [String; TEXTS],
    pub(super) price: Option<f32>,
}

/// The mapped attribute columns by position.
pub(super) struct AttributeColumns<'m> {
    texts: [Option<(Vec<Column>, &'m str)>; TEXTS],
    price: Option<(Column, Option<Column>)>,
}

impl<'m> AttributeColumns<'m> {
    pub(super) fn bind(mapped: &'m ProductColumns, header: &mut Header) -> Self {
        let mut text = |columns: &'m Option<TextColumns>| {
            let columns = columns.as_ref()?;
            Some((header.columns(&columns.columns), columns.separator.as_str()))
        };
        let texts = [
            text(&mapped.product_name),
            text(&mapped.category),
            text(&mapped.brand),
            text(&mapped.description),
        ];
        let price = mapped.price.as_ref().map(|PriceColumn { column, per }| {
            (
                header.column(column),
                per.as_ref().map(|per| header.column(per)),
            )
        });
        Self { texts, price }
    }

    pub(super) fn read(&self, row: &Row<'_>) -> Result<Attributes, Reason> {
        let mut texts = <[String; TEXTS]>::default();
        for (text, columns) in texts.iter_mut().zip(&self.texts) {
            if let Some((columns, separator)) = columns {
                *text = row.joined(columns, separator)?;
            }
        }
        let price = match self.price {
            Some((column, per)) => price(column, per, row)?,
            None => None,
        };
        Ok(Attributes { texts, price })
    }
}

/// None where the amount is empty, or the divisor is empty or not above 0.
fn price(column: Column, per: Option<Column>, row: &Row<'_>) -> Result<Option<f32>, Reason> {
    let Some(amount) = row.number_if_any(column)? else {
        return Ok(None);
    };
    if amount < 0.0 {
        return Err(row.about(column, &format!("is {amount}, a price below 0")));
    }
    let Some(per) = per else {
        return Ok(Some(amount as f32));
    };
    let pieces = row.number_if_any(per)?.filter(|pieces| *pieces > 0.0);
    Ok(pieces
        .map(|pieces| (amount / pieces) as f32)
        .filter(|price| price.is_finite()))
}

/// Counts of the attributes in the rows of each product.
#[derive(Default)]
pub(super) struct AttributeCounts {
    products: Vec<ProductCounts>,
}

#[derive(Default)]
struct ProductCounts {
    texts: [BTreeMap<String, u32>; TEXTS],
    /// Keys are the bits of prices, which sort as the prices do since none is negative.
    prices: BTreeMap<u32, u32>,
}

impl AttributeCounts {
    /// Counts one row of a product, by its number.
    pub(super) fn count(&mut self, product: u32, row: Attributes) {
        let product = product as usize;
        if product >= self.products.len() {
            self.products
                .resize_with(product + 1, ProductCounts::default);
        }
        let counted = &mut self.products[product];
        for (counts, text) in counted.texts.iter_mut().zip(row.texts) {
            if !text.is_empty() {
                *counts.entry(text).or_default() += 1;
            }
        }
        if let Some(price) = row.price {
            // Adding 0 turns -0, whose bits sort last, into 0.
            *counted.prices.entry((price + 0.0).to_bits()).or_default() += 1;
        }
    }

    /// The most common texts of a product, among equals the first in the alphabet, and its median
    /// price.
    pub(super) fn attributes(&self, product: u32) -> Attributes {
        let Some(counted) = self.products.get(product as usize) else {
            return Attributes {
                texts: Default::default(),
                price: None,
            };
        };
        let most_common = |counts: &BTreeMap<String, u32>| {
            let best = counts.iter().rev().max_by_key(|(_, count)| **count);
            best.map(|(text, _)| text.clone()).unwrap_or_default()
        };
        Attributes {
            texts: counted.texts.each_ref().map(most_common),
            price: median(&counted.prices),
        }
    }
}

/// The middle price, or the mean of the two in the middle.
fn median(prices: &BTreeMap<u32, u32>) -> Option<f32> {
    let rows: u64 = prices.values().map(|count| u64::from(*count)).sum();
    let at = |rank: u64| {
        let mut below = 0;
        let mut found = prices.iter().skip_while(|(_, count)| {
            below += u64::from(**count);
            below <= rank
        });
        found.next().map(|(bits, _)| f32::from_bits(*bits))
    };
    if rows == 0 {
        return None;
    }
    Some((at((rows - 1) / 2)? + at(rows / 2)?) / 2.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn row(name: &str, price: f32) -> Attributes {
        Attributes {
            texts: [name.to_owned(), String::new(), String::new(), String::new()],
            price: Some(price),
        }
    }

    #[test]
    fn most_common_text_and_median_price_win() {
        let mut counts = AttributeCounts::default();
        for (name, price) in [
            ("LAMP", 3.0),
            ("lamp", 1.0),
            ("LAMP", 2.0),
            ("", 9.0),
            ("A", -0.0),
        ] {
            counts.count(2, row(name, price));
        }
        let lamp = counts.attributes(2);
        assert_eq!(lamp.texts[0], "LAMP");
        assert_eq!(lamp.price, Some(2.0));
        assert_eq!(counts.attributes(0).price, None);
        assert_eq!(counts.attributes(7).texts[0], "");
    }

    #[test]
    fn even_number_of_prices_gives_the_mean_of_the_middle_two() {
        let mut counts = AttributeCounts::default();
        for (name, price) in [("b", 4.0), ("a", 1.0), ("b", 2.0), ("a", 8.0)] {
            counts.count(0, row(name, price));
        }
        assert_eq!(counts.attributes(0).price, Some(3.0));
        assert_eq!(
            counts.attributes(0).texts[0],
            "a",
            "the first in the alphabet among equals"
        );
    }
}
