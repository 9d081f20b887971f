//! The crate as its two shells use it: batch fits and packs, the server unpacks and answers.

#![allow(clippy::unwrap_used)]

mod hostile;

use std::{collections::BTreeMap, num::NonZeroUsize};

use bytes::Bytes;
use hotshelf_model::{
    AlsParams, CardExtra, FitParams, FitStep, InteractionsBuilder, Model, ModelCard, ProductInfo,
    Query, Reason, Scratch, fit,
};

/// Two tastes: even users buy even products, odd users odd ones.
fn fitted(threads: usize) -> Model {
    let mut builder = InteractionsBuilder::new();
    for user in 0..40 {
        for product in (0..30).filter(|product| product % 2 == user % 2) {
            if (user + product) % 7 > 1 {
                let (user, product) = (format!("user-{user}"), format!("product-{product}"));
                builder.add(&user, &product, 10.0, 1_700_000_000);
            }
        }
    }
    let catalogue = [ProductInfo {
        id: "product-0".to_owned(),
        name: Some("Lantern".to_owned()),
        price: Some(12.5),
        ..ProductInfo::default()
    }];
    let threads = NonZeroUsize::new(threads).unwrap();
    let mut steps = Vec::new();
    let als = AlsParams {
        factors: 4,
        confidence: 1.0,
        ..AlsParams::default()
    };
    let params = FitParams {
        als,
        ..FitParams::default()
    };
    let model = fit(
        &builder.build(),
        &catalogue,
        &params,
        threads,
        &mut |step| steps.push(step),
    );
    assert!(matches!(
        steps.first(),
        Some(FitStep::Started {
            users: 40,
            products: 30,
            ..
        })
    ));
    assert_eq!(steps.len(), 15 + 3);
    model.unwrap()
}

#[test]
fn model_travels_as_bytes_and_json_and_answers_as_before() {
    let model = fitted(2);
    let packed = model
        .pack(CardExtra {
            golden_queries: 6,
            ..CardExtra::default()
        })
        .unwrap();
    let json = serde_json::to_string(&packed.card).unwrap();
    let parts: BTreeMap<String, Bytes> = packed
        .parts
        .into_iter()
        .map(|part| (part.name.to_owned(), part.bytes.into()))
        .collect();
    drop(model);

    let card: ModelCard = serde_json::from_str(&json).unwrap();
    let mut scratch = Scratch::default();
    let model = Model::unpack(&card, &parts, &mut |_| {}).unwrap();
    let report = card.check_golden_queries(&model, &mut scratch, &mut |_| {});
    assert_eq!(
        (report.checked, report.mismatches.len()),
        (14, 0),
        "{report:?}"
    );

    let query = Query {
        user_id: "user-3",
        n: 3,
        ..Query::default()
    };
    let answer = model.recommend(&query, &mut scratch).unwrap();
    for item in &answer.items {
        let id = model.products().id(item.product);
        let number: u32 = id.strip_prefix("product-").unwrap().parse().unwrap();
        assert_eq!(
            (number % 2, item.reason),
            (1, Reason::Collaborative),
            "{id}"
        );
    }
    let lantern = model.products().find("product-0").unwrap();
    assert_eq!(model.products().name(lantern), Some("Lantern"));
    assert!(model.heap_bytes() > parts.values().map(Bytes::len).sum::<usize>() / 2);
}

#[test]
fn bytes_do_not_depend_on_threads() {
    let pack = |threads| fitted(threads).pack(CardExtra::default()).unwrap().parts;
    assert_eq!(pack(1), pack(3));
}
