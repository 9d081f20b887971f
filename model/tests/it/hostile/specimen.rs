//! Sound artifacts to begin with: small, so that a change is likely to hit structure, and between
//! them with every part, plan and kind of content.

use std::{num::NonZeroUsize, sync::Arc};

use bytes::Bytes;
use hotshelf_model::{
    AlsParams, CardExtra, ContentParams, FitParams, IndexChoice, InteractionsBuilder, ModelCard,
    PerSide, ProductInfo, ScoringParams, SidesParams, fit,
};

use super::law::Parts;

/// A packed model.
pub(crate) struct Specimen {
    /// As JSON.
    pub(crate) card: Vec<u8>,
    /// The same, read.
    pub(crate) read: ModelCard,
    pub(crate) parts: Parts,
}

#[derive(Clone, Copy, PartialEq)]
enum Embeddings {
    None,
    OfTexts,
    Own,
}

/// Texts by the exact scan, texts by a graph, own embeddings by a graph, no content at all; the first and
/// the last with all sides.
pub(crate) fn specimens() -> Vec<Specimen> {
    [
        (Embeddings::OfTexts, IndexChoice::Exact, true),
        (Embeddings::OfTexts, IndexChoice::Hnsw, false),
        (Embeddings::Own, IndexChoice::Hnsw, false),
        (Embeddings::None, IndexChoice::Exact, true),
    ]
    .map(|(embeddings, index, has_sides)| packed((30, 24), (embeddings, index), has_sides))
    .into()
}

/// One of a few hundred kilobytes, for what must hold in proportion to size.
pub(crate) fn large_specimen() -> Specimen {
    packed((1500, 900), (Embeddings::OfTexts, IndexChoice::Hnsw), true)
}

fn packed(
    (users, products): (usize, usize),
    (embeddings, index): (Embeddings, IndexChoice),
    has_sides: bool,
) -> Specimen {
    let mut events = InteractionsBuilder::new();
    for user in 0..users {
        for step in 0..3 + user % 5 {
            let product = (user * 31 + step * step * 7) % products;
            let at_s = 1_700_000_000 + step as i64;
            events.add(
                &format!("u{user:04}"),
                &format!("p{product:04}"),
                1.0 + step as f32,
                at_s,
            );
        }
    }
    let catalogue: Vec<ProductInfo> = (0..products)
        .map(|product| described(product, embeddings))
        .collect();
    let params = params((embeddings, index), has_sides);
    let model = fit(
        &events.build(),
        &catalogue,
        &params,
        NonZeroUsize::MIN,
        &mut |_| {},
    )
    .unwrap();
    let packed = model
        .pack(CardExtra {
            golden_queries: 2,
            ..CardExtra::default()
        })
        .unwrap();
    Specimen {
        card: serde_json::to_vec(&packed.card).unwrap(),
        read: packed.card,
        parts: packed
            .parts
            .into_iter()
            .map(|part| (part.name.to_owned(), Bytes::from(part.bytes)))
            .collect(),
    }
}

fn params((embeddings, index): (Embeddings, IndexChoice), has_sides: bool) -> FitParams {
    FitParams {
        als: AlsParams {
            factors: 5,
            iterations: 3,
            ..AlsParams::default()
        },
        recent_max: 4,
        content: ContentParams {
            terms_max: if embeddings == Embeddings::OfTexts {
                40
            } else {
                0
            },
            ..ContentParams::default()
        },
        sides: match has_sides {
            true => SidesParams::all(),
            false => SidesParams::default(),
        },
        scoring: ScoringParams {
            weights: has_sides.then_some(PerSide {
                collaborative: 1.0,
                content: 0.4,
                sequence: 0.6,
                repeat: 0.5,
                trend: 0.2,
            }),
            ..ScoringParams::default()
        },
        index,
        ..FitParams::default()
    }
}

/// Some products have nothing to embed, no price, no category.
fn described(product: usize, embeddings: Embeddings) -> ProductInfo {
    const WORDS: [&str; 7] = ["lamp", "tea", "pot", "blue", "chair", "mug", "oak"];
    let word = |step: usize| WORDS[(product * 3 + step * 2) % WORDS.len()];
    let own: [f32; 3] = [(product % 5) as f32 - 2.0, (product % 3) as f32, 0.5];
    ProductInfo {
        id: format!("p{product:04}"),
        name: (product % 6 != 5).then(|| format!("{} {} № {}", word(0), word(1), product % 9)),
        category: (!product.is_multiple_of(4)).then(|| format!("category {}", product % 3)),
        brand: product.is_multiple_of(3).then(|| "house".to_owned()),
        price: (product % 5 != 2).then_some(product as f32 * 1.5),
        embedding: (embeddings == Embeddings::Own && product % 6 != 5).then(|| Arc::from(own)),
        ..ProductInfo::default()
    }
}
