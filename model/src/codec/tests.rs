//! Round trips, and refusals by part, row and value.

#![allow(clippy::unwrap_used)]

use safetensors::{Dtype, SafeTensors, tensor::TensorView};

use super::*;
use crate::{Query, Scratch, sample};

mod content;
mod hostile;
mod index;
mod optional_sides;

type Parts = BTreeMap<String, Bytes>;

fn packed() -> (ModelCard, Parts) {
    packed_with(&sample::params(7))
}

fn packed_with(params: &crate::FitParams) -> (ModelCard, Parts) {
    let model = sample::model(&sample::shop(60, 40), params);
    let extra = CardExtra {
        evaluation: None,
        golden_queries: 4,
    };
    let packed = model.pack(extra).unwrap();
    let parts = packed.parts.into_iter();
    (
        packed.card,
        parts
            .map(|part| (part.name.to_owned(), part.bytes.into()))
            .collect(),
    )
}

fn unpack(card: &ModelCard, parts: &Parts) -> Result<Model, UnpackError> {
    Model::unpack(card, parts, &mut |_| {})
}

/// Writes a safetensors part again with one tensor's bytes or shape changed.
fn edit(parts: &mut Parts, part: &str, name: &str, change: impl Fn(&mut Vec<u8>, &mut Vec<usize>)) {
    let bytes = parts[part].clone();
    let container = SafeTensors::deserialize(&bytes).unwrap();
    let mut tensors: Vec<(String, Dtype, Vec<usize>, Vec<u8>)> = container
        .iter()
        .map(|(n, t)| {
            (
                n.to_owned(),
                t.dtype(),
                t.shape().to_vec(),
                t.data().to_vec(),
            )
        })
        .collect();
    let tensor = tensors.iter_mut().find(|tensor| tensor.0 == name).unwrap();
    change(&mut tensor.3, &mut tensor.2);
    let views = tensors
        .iter()
        .map(|(n, dtype, shape, data)| (n, TensorView::new(*dtype, shape.clone(), data).unwrap()));
    parts.insert(
        part.to_owned(),
        safetensors::serialize(views, None).unwrap().into(),
    );
}

fn put<const N: usize>(at: usize, number: [u8; N]) -> impl Fn(&mut Vec<u8>, &mut Vec<usize>) {
    move |bytes, _| bytes[at * N..][..N].copy_from_slice(&number)
}

#[test]
fn unpacked_model_answers_and_packs_exactly_as_the_fitted_one() {
    let data = sample::shop(60, 40);
    let fitted = sample::model(&data, &sample::params(7));
    let (card, parts) = packed();
    let model = unpack(&card, &parts).unwrap();
    let (mut a, mut b) = (Scratch::default(), Scratch::default());
    for user_id in data
        .users()
        .iter()
        .map(String::as_str)
        .chain(["", "nobody"])
    {
        let query = Query {
            user_id,
            n: 50,
            ..Query::default()
        };
        assert_eq!(
            model.recommend(&query, &mut a),
            fitted.recommend(&query, &mut b)
        );
    }
    let product = model.products().find("item-0005").unwrap();
    assert_eq!(model.products().name(product), Some("Tea pot № 5"));
    assert_eq!(model.products().price(product), Some(5.5));
    assert_eq!(model.products().brand(product), None);
    let extra = CardExtra {
        evaluation: None,
        golden_queries: 4,
    };
    let again = model.pack(extra).unwrap();
    assert_eq!(again.card, card);
    for part in again.parts {
        assert!(
            part.bytes == parts[part.name],
            "{} changed in a round trip",
            part.name
        );
    }
}

#[test]
fn card_survives_json_and_tolerates_fields_of_a_newer_publisher() {
    let (card, _) = packed();
    let mut json = serde_json::to_value(&card).unwrap();
    json["brand_new"] = true.into();
    json["sizes"]["brand_new"] = true.into();
    json["parameters"]["als"]["brand_new"] = true.into();
    json["probes"][0]["brand_new"] = true.into();
    assert_eq!(serde_json::from_value::<ModelCard>(json).unwrap(), card);
}

#[test]
fn parts_at_odd_addresses_are_copied_and_give_the_same_answers() {
    let (card, parts) = packed();
    let shifted: Parts = parts
        .iter()
        .map(|(name, bytes)| {
            let padded: Vec<u8> = [0].into_iter().chain(bytes.iter().copied()).collect();
            (name.clone(), Bytes::from(padded).slice(1..))
        })
        .collect();
    let model = unpack(&card, &shifted).unwrap();
    assert_eq!(
        card.check_golden_queries(&model, &mut Scratch::default(), &mut |_| {})
            .mismatches,
        [""; 0]
    );
}

#[test]
fn decoding_pauses_at_least_once_per_mebibyte() {
    let (card, parts) = packed();
    let (mut heard, mut most) = (0, 0);
    Model::unpack(&card, &parts, &mut |bytes| {
        heard += bytes;
        most = most.max(bytes);
    })
    .unwrap();
    assert!(heard >= parts.values().map(Bytes::len).sum::<usize>());
    assert!(most <= 1 << 20);
}

/// One fault each: what is changed, the kind it must be refused as, words the text must have.
type Fault = (fn(&mut ModelCard, &mut Parts), &'static str, &'static str);

const FAULTS: &[Fault] = &[
    (
        |_, p| drop(p.remove(USERS)),
        "missing_part",
        "part users.arrow is missing",
    ),
    (
        |_, p| drop(p.insert("x.json".into(), Bytes::new())),
        "unknown_part",
        "x.json",
    ),
    (
        |c, _| c.dimensions.factors = 0,
        "card",
        "dimensions.factors is 0",
    ),
    (|c, _| c.sizes.users = usize::MAX, "card", "sizes.users"),
    (|c, _| c.index.clear(), "card", "index.als.plan is absent"),
    (
        |c, _| c.dimensions.factors = 8,
        "shape",
        "user_factors has shape [60, 7], expected [60, 8]",
    ),
    (
        |c, _| c.sizes.users = 59,
        "shape",
        "users.arrow: the table has shape [60], expected [59]",
    ),
    (
        |c, _| c.sizes.products = 41,
        "shape",
        "products.arrow: the table has shape [40]",
    ),
    (
        |c, _| c.sizes.interactions = 1,
        "shape",
        "history.safetensors: products has shape",
    ),
    (
        |_, p| truncate(p, ALS),
        "container",
        "part als.safetensors is not a readable safetensors",
    ),
    (
        |_, p| truncate(p, USERS),
        "container",
        "part users.arrow is not a readable Arrow IPC file",
    ),
    (
        |_, p| {
            edit(
                p,
                ALS,
                "product_factors",
                put(7 * 3 + 2, f32::NAN.to_le_bytes()),
            );
        },
        "not_finite",
        "part als.safetensors: product_factors row 3 holds NaN",
    ),
    (
        |_, p| {
            edit(
                p,
                ALS,
                "user_factors",
                put(7, f32::NEG_INFINITY.to_le_bytes()),
            );
        },
        "not_finite",
        "user_factors row 1 holds -inf",
    ),
    (
        |_, p| edit(p, ALS, "user_factors", put(0, 1e30f32.to_le_bytes())),
        "out_of_range",
        "user_factors row 0 holds a row of norm",
    ),
    (
        |_, p| edit(p, ALS, "gram", put(8, f32::NAN.to_le_bytes())),
        "not_finite",
        "gram row 1 holds NaN",
    ),
    (
        |_, p| edit(p, ALS, "gram", |_, shape| *shape = vec![1, 49]),
        "shape",
        "gram has shape [1, 49], expected [7, 7]",
    ),
    (
        |_, p| edit(p, ALS_INDEX, "order", put(5, 40u32.to_le_bytes())),
        "out_of_range",
        "part als_index.safetensors: order row 5 holds 40, expected below 40",
    ),
    (
        |_, p| edit(p, ALS_INDEX, "order", |bytes, _| bytes.copy_within(0..4, 4)),
        "order",
        "order row 1 holds",
    ),
    (
        |_, p| edit(p, ALS_INDEX, "norms", put(0, 99f32.to_le_bytes())),
        "out_of_range",
        "norms row 0 holds 99, expected",
    ),
    (
        |_, p| edit(p, HISTORY, "offsets", put(0, 1u64.to_le_bytes())),
        "order",
        "part history.safetensors: offsets row 0 holds 1, expected 0",
    ),
    (
        |_, p| edit(p, HISTORY, "offsets", put(3, u64::MAX.to_le_bytes())),
        "order",
        "offsets row 4 holds",
    ),
    (
        |_, p| edit(p, HISTORY, "recent_offsets", put(60, 3u64.to_le_bytes())),
        "order",
        "recent_offsets row 60 holds 3",
    ),
    (
        |_, p| edit(p, HISTORY, "products", put(2, 40u32.to_le_bytes())),
        "out_of_range",
        "products row 2 holds 40, expected a product row below 40",
    ),
    (
        |_, p| {
            edit(
                p,
                HISTORY,
                "recent_products",
                put(0, u32::MAX.to_le_bytes()),
            );
        },
        "out_of_range",
        "recent_products row 0 holds 4294967295",
    ),
    (
        // User 2 is the first with several products: they no longer ascend.
        |_, p| edit(p, HISTORY, "products", |bytes, _| bytes[12..24].fill(0)),
        "order",
        "products row 2 holds 0, expected above 0",
    ),
];

fn truncate(parts: &mut Parts, part: &str) {
    let bytes = parts[part].clone();
    parts.insert(part.to_owned(), bytes.slice(..bytes.len() / 2));
}

#[test]
fn every_fault_is_refused_by_part_row_and_value() {
    check_faults(&packed(), FAULTS);
}

fn check_faults((card, parts): &(ModelCard, Parts), faults: &[Fault]) {
    for (number, (change, kind, words)) in faults.iter().enumerate() {
        let (mut card, mut parts) = (card.clone(), parts.clone());
        change(&mut card, &mut parts);
        let error = unpack(&card, &parts).err();
        let error = error.unwrap_or_else(|| panic!("fault {number} went unseen: {words}"));
        assert_eq!(error.kind(), *kind, "fault {number}: {error}");
        assert!(error.to_string().contains(words), "fault {number}: {error}");
    }
}

#[test]
fn bad_tables_are_refused_by_part_row_and_value() {
    use arrow_array::{Float32Array, StringArray, UInt8Array};
    let (card, parts) = packed();
    let model = unpack(&card, &parts).unwrap();
    let refusal = |part: &'static str, bytes: Vec<u8>| {
        let mut parts = parts.clone();
        parts.insert(part.to_owned(), bytes.into());
        let error = unpack(&card, &parts).unwrap_err();
        (error.kind(), error.to_string())
    };
    let mut users = model.users().clone();
    users.segments = UInt8Array::from_iter_values((0..60).map(|row| u8::from(row == 9) * 3));
    let (kind, text) = refusal(USERS, tables::pack_users(&users).unwrap());
    assert_eq!(kind, "out_of_range");
    assert_eq!(
        text,
        "part users.arrow: segment row 9 holds 3, expected below 3"
    );

    let mut users = model.users().clone();
    users.segment_names = vec!["unknown".to_owned()];
    let (kind, text) = refusal(USERS, tables::pack_users(&users).unwrap());
    assert!(
        kind == "schema" && text.contains("\"segments\" is [\"unknown\"]"),
        "{text}"
    );

    let mut products = model.products().clone();
    products.popularity =
        Float32Array::from_iter_values((0..40).map(|row| if row == 7 { -1.0 } else { 1.0 }));
    let (kind, text) = refusal(PRODUCTS, tables::pack_products(&products).unwrap());
    assert_eq!(kind, "out_of_range");
    assert_eq!(
        text,
        "part products.arrow: popularity row 7 holds -1, expected 0 or more"
    );

    let mut products = model.products().clone();
    products.prices = (0..40).map(|row| (row == 7).then_some(f32::NAN)).collect();
    let (kind, text) = refusal(PRODUCTS, tables::pack_products(&products).unwrap());
    assert!(
        kind == "not_finite" && text.contains("price row 7 holds NaN"),
        "{text}"
    );

    let mut products = model.products().clone();
    let long = |row| "x".repeat(if row == 7 { 4097 } else { 4096 });
    products.brands = StringArray::from_iter_values((0..40).map(long));
    let (kind, text) = refusal(PRODUCTS, tables::pack_products(&products).unwrap());
    assert_eq!(kind, "out_of_range");
    assert_eq!(
        text,
        "part products.arrow: brand row 7 holds 4097 bytes, expected at most 4096"
    );

    let ids: Vec<String> = (0..60)
        .map(|row| format!("u{:02}", if row == 5 { 3 } else { row }))
        .collect();
    let columns: Vec<arrow_array::ArrayRef> = vec![
        std::sync::Arc::new(StringArray::from(ids)),
        std::sync::Arc::new(model.users().segments.clone()),
    ];
    let fields = tables::user_fields();
    let metadata = Some(("segments", "[\"new\",\"light\",\"heavy\"]".to_owned()));
    let (kind, text) = refusal(
        USERS,
        table::write(USERS, &fields, columns, metadata).unwrap(),
    );
    assert_eq!(kind, "ids");
    assert!(
        text.contains("users.arrow: id row 5: the id \"u03\" comes after \"u04\""),
        "{text}"
    );

    let (kind, text) = refusal(USERS, parts[PRODUCTS].to_vec());
    assert!(kind == "schema" && text.contains("column 1"), "{text}");
}
