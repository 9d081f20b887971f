//! A few products with the most similar ones.

use hotshelf_model::{Basis, Filter, Model, ProductRow, Scratch, SimilarQuery};
use serde::Serialize;

use super::{SampleOptions, SampleProduct, first_by_hash, product};

/// Similar products that are shown.
const NEIGHBOURS_SHOWN: usize = 8;

/// One product and its neighbours.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct ProductSample {
    /// How popular it is: `popular` (the most popular tenth of the products with events),
    /// `middle` (the rest of their more popular half), `rare` (their less popular half) or
    /// `no events`.
    pub(crate) band: &'static str,
    /// The product.
    pub(crate) product: SampleProduct,
    /// What the similarity is based on; absent if the model could not answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) basis: Option<Basis>,
    /// Most similar first.
    pub(crate) neighbours: Vec<SampleNeighbour>,
    /// Fallbacks, or why there is no answer.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) notes: Vec<String>,
}

/// One similar product.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SampleNeighbour {
    /// From 1.
    pub(crate) rank: usize,
    /// The product.
    pub(crate) product: SampleProduct,
    /// Cosine; 0 for popular products that fill up the list.
    pub(crate) similarity: f32,
}

/// Products of each popularity band that has any, chosen by hash, with their neighbours.
pub(crate) fn product_samples(model: &Model, options: SampleOptions<'_>) -> Vec<ProductSample> {
    let mut scratch = Scratch::default();
    let mut samples = Vec::new();
    for (band, rows) in bands(model) {
        let chosen = first_by_hash(rows, options, |row| model.products().id(*row));
        samples.extend(chosen.map(|row| sample(model, band, row, &mut scratch)));
    }
    samples
}

fn bands(model: &Model) -> [(&'static str, Vec<ProductRow>); 4] {
    let by_popularity: Vec<ProductRow> = model.popular().collect();
    let has_events = |row: &&ProductRow| model.products().popularity(**row) > 0.0;
    let with_events = by_popularity.iter().filter(has_events).count();
    let (tenth, half) = (with_events.div_ceil(10), with_events.div_ceil(2));
    let rows = |from: usize, to: usize| by_popularity[from.min(to)..to].to_vec();
    [
        ("popular", rows(0, tenth)),
        ("middle", rows(tenth, half)),
        ("rare", rows(half, with_events)),
        ("no events", rows(with_events, by_popularity.len())),
    ]
}

fn sample(
    model: &Model,
    band: &'static str,
    row: ProductRow,
    scratch: &mut Scratch,
) -> ProductSample {
    let query = SimilarQuery {
        product_id: model.products().id(row),
        n: NEIGHBOURS_SHOWN,
        basis: None,
        filter: Filter::default(),
        exclude_product_ids: &[],
    };
    let mut sample = ProductSample {
        band,
        product: product(model, row),
        basis: None,
        neighbours: Vec::new(),
        notes: Vec::new(),
    };
    match model.similar(&query, scratch) {
        Err(why) => sample.notes.push(why.to_string()),
        Ok(answer) => {
            sample.basis = Some(answer.basis);
            let notes = answer
                .fallbacks
                .iter()
                .map(|f| f.as_str().replace('_', " "));
            sample.notes.extend(notes);
            let items = answer.items.iter().enumerate();
            let shown = items.map(|(at, item)| SampleNeighbour {
                rank: at + 1,
                product: product(model, item.product),
                similarity: item.similarity,
            });
            sample.neighbours.extend(shown);
        }
    }
    sample
}
