//! What golden queries catch, and what they tolerate.

#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use bytes::Bytes;
use safetensors::{SafeTensors, tensor::TensorView};

use super::*;
use crate::{CardExtra, IndexChoice, Packed, Reason, sample};

fn packed() -> Packed {
    let model = sample::model(&sample::shop(60, 40), &sample::params_without_content(8));
    let extra = CardExtra {
        evaluation: None,
        golden_queries: 5,
    };
    model.pack(extra).unwrap()
}

fn parts(packed: &Packed) -> BTreeMap<String, Bytes> {
    let parts = packed.parts.iter();
    parts
        .map(|part| (part.name.to_owned(), part.bytes.clone().into()))
        .collect()
}

fn unpack(card: &ModelCard, parts: &BTreeMap<String, Bytes>) -> Model {
    Model::unpack(card, parts, &mut |_| {}).unwrap()
}

#[test]
fn golden_queries_cover_segments_unknown_users_exclusions_and_seen_products() {
    let packed = packed();
    let model = unpack(&packed.card, &parts(&packed));
    let queries = &packed.card.golden_queries;
    // An unknown user, a new visitor, exclusions, seen products, a category.
    assert_eq!(queries.len(), 5 + 5);
    let segment = |golden: &GoldenQuery| {
        let user = model.users().find(&golden.user_id);
        user.map(|user| model.users().segment(user).to_owned())
    };
    for name in model.users().segment_names() {
        assert!(
            queries
                .iter()
                .any(|golden| segment(golden).as_ref() == Some(name)),
            "{name}"
        );
    }
    let unknown = queries
        .iter()
        .find(|golden| segment(golden).is_none())
        .unwrap();
    assert!(
        unknown
            .items
            .iter()
            .all(|item| item.reason == Reason::Popular)
    );
    assert!(queries.iter().any(|golden| golden.include_seen));
    let visitor = queries
        .iter()
        .find(|golden| !golden.recent_product_ids.is_empty())
        .unwrap();
    assert_eq!(segment(visitor), None);
    assert!(
        visitor
            .items
            .iter()
            .all(|item| item.reason == Reason::FoldIn)
    );
    let filtered = queries
        .iter()
        .find(|golden| !golden.categories.is_empty())
        .unwrap();
    assert_eq!(filtered.categories, ["kitchen"]);
    assert!(!filtered.items.is_empty());
    let excluding = queries
        .iter()
        .find(|p| !p.exclude_product_ids.is_empty())
        .unwrap();
    assert!(
        excluding
            .items
            .iter()
            .all(|i| !excluding.exclude_product_ids.contains(&i.product_id))
    );
    let mut breaths = 0;
    let report = packed
        .card
        .check_golden_queries(&model, &mut Scratch::default(), &mut |_| breaths += 1);
    assert_eq!(breaths, 10);
    assert_eq!(
        report,
        GoldenQueryReport {
            checked: 10,
            mismatches: vec![],
            revision_differs: false
        }
    );
    assert!(!report.refuses());
}

#[test]
fn golden_queries_cover_both_sides_and_both_extremes_where_there_is_content() {
    for choice in [IndexChoice::Auto, IndexChoice::Exact, IndexChoice::Hnsw] {
        let model = sample::shop_with_content(150, choice);
        let queries = choose(&model, 4);
        assert_eq!(queries.len(), 4 + 5 + 4);
        let strategies = |strategy| {
            let of = queries
                .iter()
                .filter(|golden| golden.answered_by == strategy);
            of.filter(|golden| golden.strategy == strategy).count()
        };
        assert_eq!(strategies(Strategy::Collaborative), 1);
        assert_eq!(strategies(Strategy::Content), 1);
        // All others but the unknown user, whom nothing is known of, have both sides.
        assert_eq!(strategies(Strategy::Hybrid), 11);
        let card = ModelCard {
            golden_queries: queries,
            ..packed().card
        };
        let report = card.check_golden_queries(&model, &mut Scratch::default(), &mut |_| {});
        assert_eq!((report.checked, &report.mismatches[..]), (13, &[][..]));
        let damaged = sample::embeddings_reversed(150, choice);
        let report = card.check_golden_queries(&damaged, &mut Scratch::default(), &mut |_| {});
        assert!(
            report.refuses() && report.mismatches.len() >= 5,
            "{report:?}"
        );
    }
}

/// Reverses the rows of a tensor in a safetensors part, all other bytes as they were.
fn reverse_rows(bytes: &Bytes, permuted: &str, also: Option<&str>) -> Bytes {
    let container = SafeTensors::deserialize(bytes).unwrap();
    let mut tensors: Vec<_> = container
        .iter()
        .map(|(name, tensor)| {
            (
                name,
                tensor.dtype(),
                tensor.shape().to_vec(),
                tensor.data().to_vec(),
            )
        })
        .collect();
    for (name, _, shape, data) in &mut tensors {
        if *name == permuted || Some(*name) == also {
            let row = data.len() / shape[0];
            *data = data.chunks(row).rev().flatten().copied().collect();
        }
    }
    let views = tensors.iter().map(|(name, dtype, shape, data)| {
        (*name, TensorView::new(*dtype, shape.clone(), data).unwrap())
    });
    safetensors::serialize(views, None).unwrap().into()
}

#[test]
fn factors_permuted_against_ids_are_caught_by_golden_queries_alone() {
    let packed = packed();
    let mut parts = parts(&packed);
    let als = reverse_rows(&parts["als.safetensors"], "product_factors", None);
    parts.insert("als.safetensors".to_owned(), als);
    // A publisher that permutes factors computes its index from them: the index is sound, too.
    let rows: Vec<u8> = {
        let container = SafeTensors::deserialize(&parts["als.safetensors"]).unwrap();
        container.tensor("product_factors").unwrap().data().to_vec()
    };
    let numbers: Vec<f32> = rows
        .as_chunks()
        .0
        .iter()
        .map(|x| f32::from_le_bytes(*x))
        .collect();
    let matrix = crate::Matrix::new(crate::column::Column::from_vec(numbers), 40, 8).unwrap();
    let index = crate::index::Exact::build(&matrix);
    let views = [
        (
            "order",
            TensorView::new(safetensors::Dtype::U32, vec![40], index.order.as_bytes()),
        ),
        (
            "norms",
            TensorView::new(safetensors::Dtype::F32, vec![40], index.norms.as_bytes()),
        ),
    ];
    let index = safetensors::serialize(views.map(|(n, v)| (n, v.unwrap())), None).unwrap();
    parts.insert("als_index.safetensors".to_owned(), index.into());

    let model = unpack(&packed.card, &parts);
    let report = packed
        .card
        .check_golden_queries(&model, &mut Scratch::default(), &mut |_| {});
    assert!(report.refuses(), "{report:?}");
    // The unknown user's popularity is untouched, everyone else's answer is wrong.
    assert_eq!(
        report.mismatches.len(),
        packed.card.golden_queries.len() - 1
    );
    assert!(
        report.mismatches[0].starts_with("golden query 0 (user \"user-"),
        "{report:?}"
    );
}

#[test]
fn user_factors_permuted_against_ids_are_caught_by_golden_queries_alone() {
    let packed = packed();
    let mut parts = parts(&packed);
    let als = reverse_rows(&parts["als.safetensors"], "user_factors", None);
    parts.insert("als.safetensors".to_owned(), als);
    let model = unpack(&packed.card, &parts);
    assert!(
        packed
            .card
            .check_golden_queries(&model, &mut Scratch::default(), &mut |_| {})
            .refuses()
    );
}

#[test]
fn another_scoring_revision_reports_and_does_not_refuse() {
    let mut packed = packed();
    packed.card.scoring_revision += 1;
    packed.card.golden_queries[0].items[0].score += 1.0;
    let model = unpack(&packed.card, &parts(&packed));
    let report = packed
        .card
        .check_golden_queries(&model, &mut Scratch::default(), &mut |_| {});
    assert!(report.revision_differs && !report.refuses());
    assert_eq!(report.mismatches.len(), 1);
}

fn golden(items: &[(&str, f32)]) -> GoldenQuery {
    let items = items.iter().map(|(id, score)| GoldenItem {
        product_id: (*id).to_owned(),
        score: *score,
        reason: Reason::Collaborative,
        collaborative: Some(*score),
        content: None,
        sequence: None,
        repeat: None,
        trend: None,
    });
    GoldenQuery {
        user_id: "u".to_owned(),
        n: 2,
        strategy: Strategy::Hybrid,
        exclude_product_ids: Vec::new(),
        include_seen: false,
        alpha: None,
        weights: None,
        recent_product_ids: Vec::new(),
        categories: Vec::new(),
        answered_by: Strategy::Collaborative,
        items: items.collect(),
    }
}

#[test]
fn scores_may_drift_by_the_tolerance_and_no_further() {
    let expected = golden(&[("a", 2.0), ("b", 1.0)]);
    assert_eq!(
        compare(&expected, &golden(&[("a", 2.0001), ("b", 1.0)])),
        Ok(())
    );
    let error = compare(&expected, &golden(&[("a", 2.001), ("b", 1.0)])).unwrap_err();
    assert!(
        error.contains("product \"a\" has score Some(2.001)"),
        "{error}"
    );
}

#[test]
fn products_may_trade_places_at_the_cut_only() {
    let expected = golden(&[("a", 2.0), ("b", 1.0)]);
    assert_eq!(
        compare(&expected, &golden(&[("a", 2.0), ("c", 1.00001)])),
        Ok(())
    );
    let error = compare(&expected, &golden(&[("a", 2.0), ("c", 1.1)])).unwrap_err();
    assert!(error.contains("\"b\" did not come back"), "{error}");
    assert!(compare(&expected, &golden(&[("c", 2.0), ("b", 1.0)])).is_err());
    assert!(compare(&expected, &golden(&[("a", 2.0)])).is_err());
}

/// A model with all sides, by whose blend it answers.
fn packed_blended() -> Packed {
    let params = crate::FitParams {
        sides: crate::SidesParams::all(),
        scoring: crate::ScoringParams {
            weights: Some(PerSide::from_fn(|_| 0.5)),
            ..crate::ScoringParams::default()
        },
        ..sample::params(8)
    };
    let mut model = sample::model(&sample::shop(60, 40), &params);
    let defaults = crate::Defaults {
        strategy: Strategy::Blended,
        include_seen: true,
    };
    model.set_defaults(defaults).unwrap();
    let extra = CardExtra {
        evaluation: None,
        golden_queries: 5,
    };
    model.pack(extra).unwrap()
}

#[test]
fn golden_queries_ask_by_the_defaults_and_cover_every_side() {
    let packed = packed_blended();
    let queries = &packed.card.golden_queries;
    let by_default = queries.iter().filter(|golden| golden.weights.is_none());
    let blended = by_default.filter(|golden| golden.strategy == Strategy::Blended);
    assert!(blended.clone().count() >= 8 && blended.clone().any(|golden| !golden.include_seen));
    assert!(
        queries
            .iter()
            .any(|golden| golden.answered_by == Strategy::Hybrid)
    );
    for reason in [
        Reason::Collaborative,
        Reason::Content,
        Reason::Sequence,
        Reason::Repeat,
        Reason::Trend,
    ] {
        let all_of = |golden: &&GoldenQuery| {
            let reasons = golden.items.iter().map(|item| item.reason);
            reasons
                .filter(|one| *one != Reason::Popular)
                .all(|one| one == reason)
                && golden.items.iter().any(|item| item.reason == reason)
        };
        assert!(
            queries.iter().any(|golden| all_of(&golden)),
            "{reason:?} by itself"
        );
    }
}

#[test]
fn golden_queries_catch_every_side_whose_numbers_stand_at_other_rows() {
    let packed = packed_blended();
    let reversed = |part: &str, name: &str| {
        let mut parts = parts(&packed);
        let bytes = reverse_rows(&parts[part], name, None);
        parts.insert(part.to_owned(), bytes);
        parts
    };
    let wrong = [
        reversed("frequencies.safetensors", "weights"),
        reversed("trend.safetensors", "popularity"),
    ];
    for parts in wrong {
        let model = unpack(&packed.card, &parts);
        let report = packed
            .card
            .check_golden_queries(&model, &mut Scratch::default(), &mut |_| {});
        assert!(report.refuses());
    }
    let mut card = packed.card.clone();
    card.parameters
        .sides
        .sequence
        .as_mut()
        .unwrap()
        .recent_decay = 1.0;
    let model = unpack(&card, &parts(&packed));
    let report = packed
        .card
        .check_golden_queries(&model, &mut Scratch::default(), &mut |_| {});
    assert!(report.refuses(), "another weighting of recents");
}
