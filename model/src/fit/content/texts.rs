//! The distinct texts of a catalogue, as lists of numbered words.
//!
//! Most products of a shop share their text with others, so texts are told apart before anything
//! is counted or embedded. Words and texts are numbered by their first product; the hash tables
//! are looked up and never iterated.

use std::collections::HashMap;

use super::words::Words;
use crate::{fit::FitError, interactions::ProductInfo};

/// Distinct texts, and the text of every product.
pub(super) struct Texts {
    /// Distinct words by number.
    pub(super) words: Vec<String>,
    /// Distinct texts in order of their first product.
    pub(super) texts: Vec<Text>,
    /// Number of each product's text `[I]`.
    pub(super) of_product: Vec<u32>,
}

/// One distinct text.
pub(super) struct Text {
    /// Numbers of its words, in their order.
    pub(super) words: Box<[u32]>,
    /// How many products have it.
    pub(super) products: u32,
}

impl Texts {
    /// Reads name, description, category and brand of every product as one text. Memory for the
    /// distinct texts twice over and 4 bytes a product.
    pub(super) fn read(infos: &[Option<&ProductInfo>]) -> Result<Self, FitError> {
        let splitter = Words::english();
        let (mut words, mut word_numbers) = (Vec::new(), HashMap::<String, u32>::new());
        let (mut texts, mut text_numbers) = (Vec::new(), HashMap::<Box<[u32]>, u32>::new());
        let mut of_product = Vec::with_capacity(infos.len());
        let mut text = Vec::new();
        for info in infos {
            text.clear();
            for field in info.iter().flat_map(|info| fields(info)) {
                splitter.each(field, |word| {
                    let number = word_numbers.get(word).copied().unwrap_or_else(|| {
                        let number = words.len() as u32;
                        words.push(word.to_owned());
                        word_numbers.insert(word.to_owned(), number);
                        number
                    });
                    text.push(number);
                });
            }
            let number = text_numbers.get(&text[..]).copied().unwrap_or_else(|| {
                let number = texts.len() as u32;
                texts.push(Text {
                    words: text.as_slice().into(),
                    products: 0,
                });
                text_numbers.insert(text.as_slice().into(), number);
                number
            });
            texts[number as usize].products += 1;
            of_product.push(number);
        }
        if words.len() >= u32::MAX as usize {
            return Err(FitError::TooLarge {
                what: "distinct words",
                limit: u32::MAX.into(),
            });
        }
        Ok(Self {
            words,
            texts,
            of_product,
        })
    }
}

/// The parts of a product's text in their order; words of different parts never join, n-grams
/// run across.
fn fields(info: &ProductInfo) -> impl Iterator<Item = &str> {
    let fields = [&info.name, &info.description, &info.category, &info.brand];
    fields.into_iter().filter_map(|field| field.as_deref())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn equal_texts_are_one_whatever_fields_case_and_stop_words_they_come_from() {
        let info = |name: &str, brand: Option<&str>| ProductInfo {
            name: Some(name.to_owned()),
            brand: brand.map(str::to_owned),
            ..ProductInfo::default()
        };
        let infos = [
            info("Red mug", Some("Acme")),
            info("the", None),
            info("RED", Some("mug of ACME")),
            info("mug red", Some("acme")),
        ];
        let mut rows: Vec<Option<&ProductInfo>> = infos.iter().map(Some).collect();
        rows.push(None);
        let texts = Texts::read(&rows).unwrap();
        assert_eq!(texts.words, ["red", "mug", "acme"]);
        assert_eq!(texts.of_product, [0, 1, 0, 2, 1]);
        let counted: Vec<(&[u32], u32)> = texts
            .texts
            .iter()
            .map(|text| (&text.words[..], text.products))
            .collect();
        assert_eq!(counted, [(&[0, 1, 2][..], 2), (&[], 2), (&[1, 0, 2], 1)]);
    }
}
