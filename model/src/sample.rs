//! Small shops for tests; every model comes out of the real fit.

#![allow(clippy::unwrap_used)]

use std::num::NonZeroUsize;

use crate::{
    AlsParams, FitParams, Interactions, InteractionsBuilder, Model, ProductInfo, SegmentParams, fit,
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

pub(crate) fn model(data: &Interactions, params: &FitParams) -> Model {
    fit(data, &catalogue(), params, NonZeroUsize::MIN, &mut |_| {}).unwrap()
}
