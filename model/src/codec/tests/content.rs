//! Content parts: round trips, and refusals by part, row and value.

use std::{num::NonZeroUsize, sync::Arc};

use super::*;
use crate::{FitParams, ProductInfo, ProductRow, fit};

/// What stands for no group.
const NONE: [u8; 4] = u32::MAX.to_le_bytes();

fn pack_fitted(catalogue: &[ProductInfo], params: &FitParams) -> (ModelCard, Parts) {
    let data = sample::shop(20, 8);
    let model = fit(&data, catalogue, params, NonZeroUsize::MIN, &mut |_| {}).unwrap();
    let packed = model.pack(CardExtra::default()).unwrap();
    let parts = packed.parts.into_iter();
    (
        packed.card,
        parts
            .map(|part| (part.name.to_owned(), part.bytes.into()))
            .collect(),
    )
}

/// Eight products in four groups, numbered 0, 1, 0, none, 2, 3, none, none.
///
/// Lists: group 0 has 2, 1, 3 at 0.6, 0, -1; group 1 has 2, 0, 3 at 0.8, 0, 0; group 2 has 1, 0, 3
/// at 0.8, 0.6, -0.6; group 3 has 1, 2, 0 at 0, -0.6, -1.
fn packed_own() -> (ModelCard, Parts) {
    let embeddings: [(u32, &[f32]); 5] = [
        (0, &[1.0, 0.0]),
        (1, &[0.0, 1.0]),
        (2, &[2.0, 0.0]),
        (4, &[3.0, 4.0]),
        (5, &[-1.0, 0.0]),
    ];
    let catalogue = embeddings.map(|(number, embedding)| ProductInfo {
        id: format!("item-{number:04}"),
        embedding: Some(Arc::from(embedding)),
        ..ProductInfo::default()
    });
    pack_fitted(&catalogue, &sample::params(3))
}

#[test]
fn content_survives_a_round_trip() {
    let (card, parts) = packed_own();
    let model = unpack(&card, &parts).unwrap();
    let content = model.content().unwrap();
    assert_eq!(content.card(), card.content.as_ref().unwrap());
    assert_eq!(card.dimensions.content, 2);
    assert_eq!((content.without(), content.members(0)), (3, &[0, 2][..]));
    assert_eq!(content.group(ProductRow(4)), Some(2));
    assert_eq!(content.group(ProductRow(3)), None);
    assert_eq!(
        content.neighbours(1),
        (&[2, 0, 3][..], &[0.8, 0.0, 0.0][..])
    );
    let again = model.pack(CardExtra::default()).unwrap();
    assert_eq!(again.card.content, card.content);
    for part in again.parts {
        assert!(part.bytes == parts[part.name], "{}", part.name);
    }
}

#[test]
fn single_group_has_empty_lists_and_a_model_may_have_no_content() {
    let mug = ProductInfo {
        id: "item-0001".to_owned(),
        name: Some("Mug".to_owned()),
        ..ProductInfo::default()
    };
    let mut params = sample::params(3);
    let (card, parts) = pack_fitted(std::slice::from_ref(&mug), &params);
    let model = unpack(&card, &parts).unwrap();
    let content = model.content().unwrap();
    assert_eq!(card.content.as_ref().unwrap().terms, ["mug", "price"]);
    assert_eq!(
        (content.members(0), content.neighbours(0).0),
        (&[1][..], &[][..])
    );
    params.content.terms_max = 0;
    let (card, parts) = pack_fitted(&[mug], &params);
    assert_eq!((card.dimensions.content, parts.len()), (0, PARTS.len()));
    assert!(unpack(&card, &parts).unwrap().content().is_none());
}

#[test]
fn short_lists_are_padded_and_end_where_padding_begins() {
    let (card, mut parts) = packed_own();
    edit(&mut parts, CONTENT_NEIGHBOURS, "groups", put(2, NONE));
    edit(
        &mut parts,
        CONTENT_NEIGHBOURS,
        "cosines",
        put(2, 0f32.to_le_bytes()),
    );
    let model = unpack(&card, &parts).unwrap();
    let content = model.content().unwrap();
    assert_eq!(content.neighbours(0), (&[2, 1][..], &[0.6, 0.0][..]));
    assert_eq!(content.neighbours(1).0.len(), 3);
}

fn of(card: &mut ModelCard) -> &mut crate::ContentCard {
    card.content.as_mut().unwrap()
}

const CARD_FAULTS: &[Fault] = &[
    (
        |c, _| c.content = None,
        "card",
        "dimensions.content is 2, expected 0 without content",
    ),
    (
        |c, _| (c.content, c.dimensions.content) = (None, 0),
        "unknown_part",
        "part content.safetensors is unknown",
    ),
    (
        |c, _| c.dimensions.content = 0,
        "card",
        "dimensions.content is 0, expected 1 to 10001",
    ),
    (
        |c, _| c.dimensions.content = 10_002,
        "card",
        "dimensions.content is 10002",
    ),
    (
        |c, _| of(c).groups = 0,
        "card",
        "content.groups is 0, expected 1 to 8",
    ),
    (
        |c, _| of(c).groups = usize::MAX,
        "card",
        "content.groups is 18446744073709551615",
    ),
    (
        |c, _| of(c).products_without = 5,
        "card",
        "content.products_without is 5, expected at most 4",
    ),
    (
        |c, _| of(c).neighbours = 257,
        "card",
        "content.neighbours is 257, expected at most 256",
    ),
    (
        |c, _| of(c).terms = vec!["mug".into()],
        "card",
        "content.terms is a list of 1, expected none",
    ),
    (
        |c, _| drop(c.index.remove("content")),
        "card",
        "index.content.plan is absent",
    ),
    (
        |c, _| of(c).products_without = 2,
        "card",
        "content.products_without is 2, expected 3, as counted in content.safetensors",
    ),
    (
        |c, _| c.dimensions.content = 3,
        "shape",
        "content.safetensors: embeddings has shape [4, 2], expected [4, 3]",
    ),
    (
        |c, _| of(c).groups = 3,
        "shape",
        "content.safetensors: embeddings has shape [4, 2], expected [3, 2]",
    ),
    (
        |c, _| of(c).neighbours = 2,
        "shape",
        "content_neighbours.safetensors: groups has shape [4, 3], expected [4, 2]",
    ),
];

const PART_FAULTS: &[Fault] = &[
    (
        |_, p| drop(p.remove(CONTENT)),
        "missing_part",
        "part content.safetensors is missing",
    ),
    (
        |_, p| drop(p.remove(CONTENT_INDEX)),
        "missing_part",
        "part content_index.safetensors is missing",
    ),
    (
        |_, p| drop(p.remove(CONTENT_NEIGHBOURS)),
        "missing_part",
        "part content_neighbours.safetensors is missing",
    ),
    (
        |_, p| truncate(p, CONTENT),
        "container",
        "content.safetensors is not a readable",
    ),
    (
        |_, p| truncate(p, CONTENT_NEIGHBOURS),
        "container",
        "content_neighbours.safetensors is not a readable",
    ),
    (
        |_, p| edit(p, CONTENT, "embeddings", put(5, f32::NAN.to_le_bytes())),
        "not_finite",
        "part content.safetensors: embeddings row 2 holds NaN",
    ),
    (
        |_, p| edit(p, CONTENT, "embeddings", put(2, 1f32.to_le_bytes())),
        "out_of_range",
        "embeddings row 1 holds a row of norm 1.414",
    ),
    (
        |_, p| edit(p, CONTENT, "embeddings", put(3, 0f32.to_le_bytes())),
        "out_of_range",
        "embeddings row 1 holds a row of norm 0e0, expected a row of norm 1",
    ),
    (
        |_, p| edit(p, CONTENT, "groups", |_, shape| *shape = vec![4, 2]),
        "shape",
        "groups has shape [4, 2], expected [8]",
    ),
    (
        |_, p| edit(p, CONTENT, "groups", put(7, 4u32.to_le_bytes())),
        "out_of_range",
        "groups row 7 holds 4, expected a group below 4, or 4294967295 for none",
    ),
    (
        |_, p| edit(p, CONTENT, "groups", put(1, 2u32.to_le_bytes())),
        "order",
        "groups row 1 holds 2, expected 1 before it",
    ),
    (
        |_, p| edit(p, CONTENT, "groups", put(5, NONE)),
        "card",
        "content.groups is 4, expected 3, as counted in content.safetensors",
    ),
    (
        |_, p| edit(p, CONTENT_INDEX, "norms", put(0, 9f32.to_le_bytes())),
        "out_of_range",
        "part content_index.safetensors: norms row 0 holds 9",
    ),
];

const NEIGHBOUR_FAULTS: &[Fault] = &[
    (
        |_, p| edit(p, CONTENT_NEIGHBOURS, "groups", put(4, 4u32.to_le_bytes())),
        "out_of_range",
        "part content_neighbours.safetensors: groups row 1 holds 4, expected a group below 4",
    ),
    (
        |_, p| edit(p, CONTENT_NEIGHBOURS, "groups", put(4, 1u32.to_le_bytes())),
        "out_of_range",
        "groups row 1 holds 1, expected another group",
    ),
    (
        |_, p| edit(p, CONTENT_NEIGHBOURS, "groups", put(4, 2u32.to_le_bytes())),
        "order",
        "groups row 1 holds 2, expected every neighbour once",
    ),
    (
        |_, p| edit(p, CONTENT_NEIGHBOURS, "groups", put(4, NONE)),
        "order",
        "groups row 1 holds 3, expected nothing behind the last neighbour",
    ),
    (
        |_, p| edit(p, CONTENT_NEIGHBOURS, "groups", put(2, NONE)),
        "out_of_range",
        "cosines row 0 holds -1, expected 0 behind the last neighbour",
    ),
    (
        |_, p| {
            edit(
                p,
                CONTENT_NEIGHBOURS,
                "cosines",
                put(7, f32::NAN.to_le_bytes()),
            );
        },
        "not_finite",
        "cosines row 2 holds NaN",
    ),
    (
        |_, p| {
            edit(
                p,
                CONTENT_NEIGHBOURS,
                "cosines",
                put(0, 1.5f32.to_le_bytes()),
            );
        },
        "out_of_range",
        "cosines row 0 holds 1.5, expected a cosine within -1.0001 and 1.0001",
    ),
    (
        |_, p| {
            edit(
                p,
                CONTENT_NEIGHBOURS,
                "cosines",
                put(4, 0.9f32.to_le_bytes()),
            );
        },
        "order",
        "cosines row 1 holds 0.9, expected cosines descending",
    ),
    (
        // Group 1 is as near to 0 as to 3.
        |_, p| {
            edit(p, CONTENT_NEIGHBOURS, "groups", |bytes, _| {
                bytes[16..24].rotate_left(4);
            });
        },
        "order",
        "cosines row 1 holds 0, expected cosines descending, among equals groups ascending",
    ),
    (
        |_, p| {
            edit(p, CONTENT_NEIGHBOURS, "cosines", |_, shape| {
                *shape = vec![3, 4];
            });
        },
        "shape",
        "cosines has shape [3, 4], expected [4, 3]",
    ),
];

#[test]
fn every_fault_is_refused_by_part_row_and_value() {
    let (card, parts) = packed_own();
    let faults = [CARD_FAULTS, PART_FAULTS, NEIGHBOUR_FAULTS].concat();
    for (number, (change, kind, words)) in faults.iter().enumerate() {
        let (mut card, mut parts) = (card.clone(), parts.clone());
        change(&mut card, &mut parts);
        let error = unpack(&card, &parts).err();
        let error = error.unwrap_or_else(|| panic!("fault {number} went unseen: {words}"));
        assert!(error.to_string().contains(words), "fault {number}: {error}");
        assert_eq!(error.kind(), *kind, "fault {number}: {error}");
    }
}

#[test]
fn what_is_accepted_of_flipped_bytes_can_be_walked() {
    use rand_chacha::{
        ChaCha8Rng,
        rand_core::{Rng, SeedableRng},
    };
    let (card, parts) = packed_own();
    let mut random = ChaCha8Rng::seed_from_u64(11);
    let mut below = |limit: usize| random.next_u64() as usize % limit;
    let mut refused = 0;
    for part in CONTENT_PARTS {
        for round in 0..2000 {
            let mut bytes = parts[part].to_vec();
            let len = bytes.len();
            // Numbers stand at the end: half of the flips go there.
            let from = if round % 2 == 0 { len - len.min(96) } else { 0 };
            bytes[from + below(len - from)] ^= 1 << below(8);
            let mut parts = parts.clone();
            parts.insert(part.to_owned(), bytes.into());
            let Ok(model) = unpack(&card, &parts) else {
                refused += 1;
                continue;
            };
            let content = model.content().unwrap();
            for product in (0..8).map(ProductRow) {
                let Some(group) = content.group(product) else {
                    continue;
                };
                assert!(content.members(group).contains(&product.0));
                let (groups, cosines) = content.neighbours(group);
                assert_eq!(groups.len(), cosines.len());
                assert!(groups.iter().all(|other| *other < 4 && *other != group));
            }
        }
    }
    // Low bits of a number may change unseen; headers, groups and high bits may not.
    assert!(refused > 3000, "only {refused} mutations were refused");
}
