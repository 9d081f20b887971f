//! Small shops for tests; every model comes out of the real fit, some with content by hand.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use crate::{
    AlsParams, Content, ContentCard, ContentParams, FitParams, IndexChoice, Interactions,
    InteractionsBuilder, Matrix, Model, ProductInfo, SegmentParams, column::Column,
    content::Neighbours, dot::dot, fit, grouped::NO_GROUP, index::ItemIndex,
};

/// A checkerboard: user `u` likes products of its own parity and has all but one of them, the one
/// with `product / 2 == user / 2`; product `p9x` has no interactions at all.
pub(crate) fn checkerboard(side: usize) -> Interactions {
    let mut builder = InteractionsBuilder::new();
    for user in 0..side {
        for product in (0..side).filter(|p| p % 2 == user % 2 && *p != user) {
            let at_s = (user * side + product) as i64;
            builder.add(&format!("u{user:02}"), &format!("p{product:02}"), 1.0, at_s);
        }
    }
    builder.add_product("p9x");
    builder.build()
}

/// A believable little shop: popular products are had by many, users differ in how much they
/// have, some events repeat. A fixed arithmetic pattern, no randomness.
pub(crate) fn shop(users: u32, products: u32) -> Interactions {
    let mut builder = InteractionsBuilder::new();
    for user in 0..users {
        for step in 0..1 + user % 17 {
            let mixed = (user * 7919 + step * 104_729).wrapping_mul(2_654_435_761) >> 8;
            // Squared, so that low numbers are more popular.
            let unit = f64::from(mixed % 1000) / 1000.0;
            let product = (unit * unit * f64::from(products)) as u32;
            let value = [1.0, 2.0, 5.0, 10.0][(mixed % 4) as usize];
            let at_s = i64::from(step * 1000 + user % 7);
            builder.add(
                &format!("user-{user:05}"),
                &format!("item-{product:04}"),
                value,
                at_s,
            );
        }
    }
    for product in 0..products {
        builder.add_product(&format!("item-{product:04}"));
    }
    builder.build()
}

/// What the catalogue says about the first products of [`shop`].
pub(crate) fn catalogue() -> Vec<ProductInfo> {
    let info = |number: u32| ProductInfo {
        id: format!("item-{number:04}"),
        name: Some(format!("Tea pot № {number}")),
        category: (!number.is_multiple_of(3)).then(|| "kitchen".to_owned()),
        brand: None,
        description: None,
        price: (!number.is_multiple_of(2)).then_some(number as f32 + 0.5),
        embedding: None,
    };
    (0..20).map(info).collect()
}

pub(crate) fn params(factors: usize) -> FitParams {
    FitParams {
        als: AlsParams {
            factors,
            iterations: 5,
            ..AlsParams::default()
        },
        segments: SegmentParams {
            light_from: 4,
            heavy_from: 12,
        },
        recent_max: 5,
        ..FitParams::default()
    }
}

/// [`params`] for a model of factors alone.
pub(crate) fn params_without_content(factors: usize) -> FitParams {
    let mut params = params(factors);
    params.content.terms_max = 0;
    params
}

pub(crate) fn model(data: &Interactions, params: &FitParams) -> Model {
    fit(data, &catalogue(), params, NonZeroUsize::MIN, &mut |_| {}).unwrap()
}

/// A catalogue for all products of [`shop`]: seven categories, some products without; brands
/// that are rare and one that is everywhere; prices with repeats, some missing.
pub(crate) fn stock(products: u32) -> Vec<ProductInfo> {
    let info = |number: u32| ProductInfo {
        id: format!("item-{number:04}"),
        category: (!number.is_multiple_of(9)).then(|| format!("category {}", number * 5 % 7)),
        brand: Some(match number % 40 {
            3 => format!("brand {number}"),
            _ => "house".to_owned(),
        }),
        price: (!number.is_multiple_of(4)).then_some((number % 50) as f32 * 1.1),
        ..ProductInfo::default()
    };
    (0..products).map(info).collect()
}

/// Neighbours of a group in [`shop_with_content`]; fewer than there are groups.
const NEIGHBOURS: usize = 12;

/// Embeddings by a fixed pattern: a topic of four numbers out of forty, shared by some products;
/// every eleventh product has none.
pub(crate) fn embedding(product: usize) -> Option<Vec<f32>> {
    let topic = product * 7 % 83;
    (product % 11 != 5).then(|| {
        let mut row = vec![0.0f32; 40];
        for step in 0..4 {
            row[(topic * topic + step * (3 + topic)) % 40] +=
                1.0 + (topic % 3) as f32 * step as f32;
        }
        let norm = crate::index::norm(&row) as f32;
        row.iter().map(|x| x / norm).collect()
    })
}

/// Content assembled by hand, with `per_group` neighbours: what the fit makes of embeddings,
/// in the plainest words.
pub(crate) fn content(
    embeddings: &[Option<Vec<f32>>],
    per_group: usize,
    choice: IndexChoice,
) -> Content {
    let mut distinct: Vec<&Vec<f32>> = Vec::new();
    let groups: Vec<u32> = embeddings
        .iter()
        .map(|row| {
            let Some(row) = row else { return NO_GROUP };
            let known = distinct.iter().position(|other| *other == row);
            known.unwrap_or_else(|| {
                distinct.push(row);
                distinct.len() - 1
            }) as u32
        })
        .collect();
    let (mut neighbours, mut cosines) = (Vec::new(), Vec::new());
    for (group, row) in distinct.iter().enumerate() {
        let mut others: Vec<(f32, u32)> = (0..distinct.len())
            .filter(|other| *other != group)
            .map(|other| (dot(row, distinct[other]) + 0.0, other as u32))
            .collect();
        others.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        others.resize(per_group, (0.0, NO_GROUP));
        neighbours.extend(others.iter().map(|other| other.1));
        cosines.extend(others.iter().map(|other| other.0));
    }
    let numbers = distinct.iter().flat_map(|row| row.iter().copied());
    let matrix = Matrix::from_vec(numbers.collect(), distinct[0].len()).unwrap();
    let card = ContentCard {
        source: "own".to_owned(),
        groups: distinct.len(),
        products_without: groups.iter().filter(|group| **group == NO_GROUP).count(),
        neighbours: per_group,
        neighbours_exact: true,
        terms: Vec::new(),
    };
    let neighbours = Neighbours {
        groups: Column::from_vec(neighbours),
        cosines: Column::from_vec(cosines),
        per_group,
    };
    let index = ItemIndex::build(&matrix, choice, None);
    Content::new(
        index,
        Column::from_vec(groups),
        (neighbours, card),
        &mut |_| {},
    )
}

/// [`shop`] with a full catalogue and content of the pattern above, under one choice of index.
pub(crate) fn shop_with_content(products: u32, choice: IndexChoice) -> Model {
    let params = FitParams {
        index: choice,
        content: ContentParams {
            terms_max: 0,
            ..ContentParams::default()
        },
        ..params(8)
    };
    let data = shop(90, products);
    let model = fit(
        &data,
        &stock(products),
        &params,
        NonZeroUsize::MIN,
        &mut |_| {},
    )
    .unwrap();
    let embeddings: Vec<_> = (0..model.products().len()).map(embedding).collect();
    model.with_content(content(&embeddings, NEIGHBOURS, choice))
}

/// The same shop with its embeddings against the wrong products.
pub(crate) fn embeddings_reversed(products: u32, choice: IndexChoice) -> Model {
    let model = shop_with_content(products, choice);
    let embeddings: Vec<_> = (0..model.products().len()).rev().map(embedding).collect();
    model.with_content(content(&embeddings, NEIGHBOURS, choice))
}
