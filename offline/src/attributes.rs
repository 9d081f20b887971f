//! Product attributes, and their aggregation over rows of events: the most common text, the median
//! price.
//!
//! Rows of events often spell a product in several ways and sell it at several prices. Distinct
//! texts are stored once, whatever the number of rows.

use std::collections::{BTreeMap, HashMap};

use hotshelf_model::ProductInfo;

use crate::interner::Interner;

/// Product name, category, brand, description; in this order wherever there are four texts.
pub(crate) const TEXTS: usize = 4;

/// Most bytes of product texts from one source (chosen: half a million products of 1 KiB each).
pub(crate) const TEXT_BYTES_MAX: u64 = 512 << 20;

/// Attributes of a product or of one row; an empty text or None means unknown.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Attributes {
    pub(crate) texts: [String; TEXTS],
    pub(crate) price: Option<f32>,
}

impl Attributes {
    /// Bytes of the texts.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.texts.iter().map(|text| text.len() as u64).sum()
    }

    /// Takes from `other` what is unknown here.
    pub(crate) fn fill(&mut self, other: Self) {
        for (text, other) in self.texts.iter_mut().zip(other.texts) {
            if text.is_empty() {
                *text = other;
            }
        }
        self.price = self.price.or(other.price);
    }

    /// A product without embedding.
    pub(crate) fn into_product(self, id: String) -> ProductInfo {
        let known = |text: String| Some(text).filter(|text| !text.is_empty());
        let [name, category, brand, description] = self.texts.map(known);
        ProductInfo {
            id,
            name,
            category,
            brand,
            description,
            price: self.price,
            embedding: None,
        }
    }
}

/// Attributes of one row as numbers of texts and the bits of the price.
type Numbered = ([u32; TEXTS], Option<u32>);

/// The attributes in the rows of events, one entry per event; empty if none are read.
#[derive(Debug, Default)]
pub(crate) struct ObservedAttributes {
    texts: Interner,
    distinct: Vec<Numbered>,
    numbers: HashMap<Numbered, u32>,
    /// By event: which of `distinct`.
    rows: Vec<u32>,
}

impl ObservedAttributes {
    /// Adds the attributes of the next event.
    pub(crate) fn push(&mut self, row: &Attributes) {
        let texts = row.texts.each_ref().map(|text| self.texts.intern(text));
        // Adding 0 turns -0, whose bits sort last, into 0.
        let numbered = (texts, row.price.map(|price| (price + 0.0).to_bits()));
        let number = *self.numbers.entry(numbered).or_insert_with(|| {
            self.distinct.push(numbered);
            self.distinct.len() as u32 - 1
        });
        self.rows.push(number);
    }

    /// Bytes of distinct texts.
    pub(crate) fn text_bytes(&self) -> u64 {
        self.texts.bytes()
    }

    /// The most common texts of each product, among equals the first in the alphabet, and its
    /// median price, over the given rows: pairs of product and event.
    pub(crate) fn by_product(
        &self,
        rows: impl Iterator<Item = (u32, usize)>,
    ) -> BTreeMap<u32, Attributes> {
        let mut counts: BTreeMap<u32, Counts> = BTreeMap::new();
        for (product, event) in rows {
            let Some(row) = self.rows.get(event) else {
                break;
            };
            let (texts, price) = self.distinct[*row as usize];
            let counts = counts.entry(product).or_default();
            for (counts, text) in counts.texts.iter_mut().zip(texts) {
                *counts.entry(text).or_default() += 1;
            }
            if let Some(price) = price {
                *counts.prices.entry(price).or_default() += 1;
            }
        }
        let aggregated = counts.into_iter().map(|(product, counts)| {
            let attributes = Attributes {
                texts: counts.texts.map(|counts| self.most_common(&counts)),
                price: median(&counts.prices),
            };
            (product, attributes)
        });
        aggregated.collect()
    }

    fn most_common(&self, counts: &BTreeMap<u32, u32>) -> String {
        let known = counts
            .iter()
            .map(|(text, count)| (self.texts.text(*text), *count))
            .filter(|(text, _)| !text.is_empty());
        let best = known.min_by(|(a, n), (b, m)| m.cmp(n).then(a.cmp(b)));
        best.map(|(text, _)| text.to_owned()).unwrap_or_default()
    }
}

/// Counts of the attributes in the rows of one product.
#[derive(Default)]
struct Counts {
    /// By number of the text.
    texts: [BTreeMap<u32, u32>; TEXTS],
    /// Keys are the bits of prices, which sort as the prices do since none is negative.
    prices: BTreeMap<u32, u32>,
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
    // In f64, where the sum of two prices is finite; rounds as f32 does.
    let sum = f64::from(at((rows - 1) / 2)?) + f64::from(at(rows / 2)?);
    Some((sum / 2.0) as f32)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// One product's attributes over rows of name and price.
    fn aggregated(rows: &[(&str, f32)]) -> Attributes {
        let mut observed = ObservedAttributes::default();
        for (name, price) in rows {
            let mut row = Attributes {
                price: Some(*price),
                ..Attributes::default()
            };
            row.texts[0] = (*name).to_owned();
            observed.push(&row);
        }
        let all = (0..rows.len()).map(|event| (2, event));
        observed.by_product(all).remove(&2).unwrap()
    }

    #[test]
    fn most_common_text_and_median_price_win() {
        let rows = [
            ("LAMP", 3.0),
            ("lamp", 1.0),
            ("LAMP", 2.0),
            ("", 9.0),
            ("A", -0.0),
        ];
        let lamp = aggregated(&rows);
        assert_eq!((lamp.texts[0].as_str(), lamp.price), ("LAMP", Some(2.0)));
    }

    #[test]
    fn even_number_of_prices_gives_the_mean_of_the_middle_two() {
        let lamp = aggregated(&[("b", 4.0), ("a", 1.0), ("b", 2.0), ("a", 8.0)]);
        assert_eq!(lamp.price, Some(3.0));
        assert_eq!(lamp.texts[0], "a", "the first in the alphabet among equals");
        let greatest = aggregated(&[("a", f32::MAX), ("a", f32::MAX)]);
        assert_eq!(greatest.price, Some(f32::MAX));
    }

    #[test]
    fn rows_outside_the_selection_do_not_count() {
        let mut observed = ObservedAttributes::default();
        for name in ["now", "later", "later"] {
            let mut row = Attributes::default();
            row.texts[1] = name.to_owned();
            observed.push(&row);
        }
        let early = observed.by_product([(0, 0)].into_iter());
        assert_eq!(early[&0].texts[1], "now");
    }
}
