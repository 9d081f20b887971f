//! Which terms get a column, and their weights.
//!
//! Terms are weighted by inverse document frequency (Salton and Buckley, "Term-weighting
//! approaches in automatic text retrieval", 1988), smoothed as scikit-learn smooths it: as if one
//! more document had every term, idf = ln((1 + n) / (1 + df)) + 1. As there, a document is a
//! product, not a distinct text: `min_df` and idf mean what they mean to TfidfVectorizer over the
//! catalogue, and a text that a thousand products have counts a thousand times.

use std::collections::HashMap;

use super::texts::Texts;
use crate::params::ContentParams;

/// Longest term in words; [`ContentParams::ngram_max`] is checked against it.
pub(in crate::fit) const NGRAM_MAX: usize = 3;

/// The words of a term, [`NO_WORD`] behind the last.
type Term = [u32; NGRAM_MAX];

/// No word has this number.
const NO_WORD: u32 = u32::MAX;

/// The terms with columns, ascending.
pub(super) struct Vocabulary {
    /// Bytewise ascending; words joined by one blank.
    pub(super) terms: Vec<String>,
    /// Inverse document frequencies.
    pub(super) idf: Vec<f64>,
    columns: HashMap<Term, u32>,
    ngram_max: usize,
}

/// How often a term occurs.
#[derive(Clone, Copy, Default)]
struct Occurrences {
    /// In all products.
    total: u64,
    /// Products with it.
    products: u64,
    /// The last text that was counted in `products`, plus one.
    last_text: u32,
}

impl Vocabulary {
    /// The `terms_max` terms with the greatest total count, among equals the lower term first,
    /// of those that at least `min_df` products have.
    pub(super) fn choose(texts: &Texts, params: &ContentParams) -> Self {
        let mut counted: Vec<(Term, Occurrences)> = count(texts, params.ngram_max)
            .into_iter()
            .filter(|(_, seen)| seen.products >= params.min_df as u64)
            .collect();
        // A total order over distinct terms, so the order of the hash table is gone.
        let bytes = |term: &Term| text_bytes(term, &texts.words).collect::<Vec<u8>>();
        if counted.len() > params.terms_max {
            counted.select_nth_unstable_by(params.terms_max, |(a, a_seen), (b, b_seen)| {
                let by_term = || text_bytes(a, &texts.words).cmp(text_bytes(b, &texts.words));
                b_seen.total.cmp(&a_seen.total).then_with(by_term)
            });
            counted.truncate(params.terms_max);
        }
        counted.sort_by_cached_key(|(term, _)| bytes(term));
        let products = texts.of_product.len() as f64;
        let idf =
            |seen: &Occurrences| libm::log((1.0 + products) / (1.0 + seen.products as f64)) + 1.0;
        Self {
            terms: counted
                .iter()
                .map(|(term, _)| text(term, &texts.words))
                .collect(),
            idf: counted.iter().map(|(_, seen)| idf(seen)).collect(),
            columns: counted.iter().map(|(term, _)| *term).zip(0..).collect(),
            ngram_max: params.ngram_max,
        }
    }

    /// How often each column's term occurs in a text, columns ascending.
    pub(super) fn count(&self, words: &[u32]) -> Vec<(u32, u32)> {
        let mut columns = Vec::new();
        each_term(words, self.ngram_max, |term| {
            columns.extend(self.columns.get(&term).copied());
        });
        columns.sort_unstable();
        let runs = columns.chunk_by(|a, b| a == b);
        runs.map(|run| (run[0], run.len() as u32)).collect()
    }
}

fn count(texts: &Texts, ngram_max: usize) -> HashMap<Term, Occurrences> {
    let mut seen = HashMap::<Term, Occurrences>::new();
    for (text, number) in texts.texts.iter().zip(1u32..) {
        each_term(&text.words, ngram_max, |term| {
            let seen = seen.entry(term).or_default();
            seen.total += u64::from(text.products);
            if seen.last_text != number {
                seen.last_text = number;
                seen.products += u64::from(text.products);
            }
        });
    }
    seen
}

/// Every run of one to `ngram_max` words.
fn each_term(words: &[u32], ngram_max: usize, mut found: impl FnMut(Term)) {
    for len in 1..=ngram_max {
        for run in words.windows(len) {
            let mut term = [NO_WORD; NGRAM_MAX];
            term[..len].copy_from_slice(run);
            found(term);
        }
    }
}

fn text(term: &Term, words: &[String]) -> String {
    let named = term.iter().take_while(|word| **word != NO_WORD);
    let named: Vec<&str> = named.map(|word| words[*word as usize].as_str()).collect();
    named.join(" ")
}

/// The bytes of [`text`], none of them allocated.
fn text_bytes<'a>(term: &'a Term, words: &'a [String]) -> impl Iterator<Item = u8> + 'a {
    let named = term.iter().take_while(|word| **word != NO_WORD).enumerate();
    named.flat_map(|(at, word)| {
        let blank = (at > 0).then_some(b' ');
        blank.into_iter().chain(words[*word as usize].bytes())
    })
}
