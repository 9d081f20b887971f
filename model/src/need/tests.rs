#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::{CardExtra, IndexChoice, Model, ModelCard, sample};

/// A model's card, the bytes of its parts, and what it holds once they are unpacked.
fn unpacked(model: &Model) -> (ModelCard, u64, u64) {
    let extra = CardExtra {
        evaluation: None,
        golden_queries: 0,
    };
    let packed = model.pack(extra).unwrap();
    let parts: BTreeMap<String, Bytes> = packed
        .parts
        .into_iter()
        .map(|part| (part.name.to_owned(), part.bytes.into()))
        .collect();
    let size = parts.values().map(Bytes::len).sum::<usize>() as u64;
    let unpacked = Model::unpack(&packed.card, &parts, &mut |_| {}).unwrap();
    (packed.card, size, unpacked.heap_bytes() as u64)
}

#[test]
fn memory_of_a_model_stays_within_its_estimate_and_close_to_it() {
    for products in [120, 1_000, 4_000] {
        for choice in [IndexChoice::Exact, IndexChoice::Hnsw] {
            let (card, parts, heap) = unpacked(&sample::shop_with_content(products, choice));
            let need = parts + card.working_bytes();
            let case = format!("{products} {choice:?}: {heap} held, {need} needed, {parts} parts");
            assert!(heap <= need, "{case}");
            assert!(2 * (need - super::FIXED) < 5 * heap, "{case}");
            assert!(heap > parts, "{case}: codes and facets are counted");
        }
    }
}

#[test]
fn no_card_overflows() {
    let (mut card, ..) = unpacked(&sample::shop_with_content(120, IndexChoice::Exact));
    card.sizes.products = usize::MAX;
    card.dimensions.factors = usize::MAX;
    card.dimensions.content = usize::MAX;
    card.content.as_mut().unwrap().groups = usize::MAX;
    assert_eq!(card.working_bytes(), u64::MAX);
}

#[test]
fn sides_are_within_the_bound_too() {
    for products in [120, 4_000] {
        let mut model = sample::shop_with_content(products, IndexChoice::Exact);
        let before = unpacked(&model);
        let data = sample::shop(90, products);
        let sides = crate::SidesParams::all();
        model
            .refit_sides(&data, &sides, std::num::NonZeroUsize::MIN)
            .unwrap();
        let (card, parts, heap) = unpacked(&model);
        let case = format!("{products}: {heap} held of {parts} parts");
        assert!(heap <= parts + card.working_bytes(), "{case}");
        assert!(heap > before.2 && parts > before.1, "{case}");
    }
}
