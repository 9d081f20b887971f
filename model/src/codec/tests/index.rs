//! The parts of an index under plan `hnsw`.

use super::*;
use crate::{
    FitParams, IndexCard, IndexChoice,
    index::{NO_EDGE, STRIDE},
};

pub(super) fn packed_graph() -> (ModelCard, Parts) {
    let packed = packed_with(&FitParams {
        index: IndexChoice::Hnsw,
        ..sample::params(7)
    });
    assert_eq!(packed.0.index["als"].plan, "hnsw");
    packed
}

fn plan(card: &mut ModelCard, plan: &str) {
    plan.clone_into(&mut card.index.get_mut("als").unwrap().plan);
}

fn edge(parts: &mut Parts, at: usize, to: u32) {
    edit(parts, ALS_INDEX, "edges", put(at, to.to_le_bytes()));
}

const FAULTS: &[Fault] = &[
    (
        |c, _| plan(c, "ivf"),
        "card",
        "index.plan is ivf, expected exact or hnsw",
    ),
    (
        |c, _| plan(c, "exact"),
        "schema",
        "is present, expected absent",
    ),
    (
        |_, p| *p = packed().1,
        "schema",
        "edges is absent, expected U32",
    ),
    (
        |c, _| {
            let card = c.index.get_mut("als").unwrap();
            card.graph.as_mut().unwrap().metric = "hamming".to_owned();
        },
        "card",
        "index.graph.metric is hamming, expected l2_reduced, cosine, inner_product",
    ),
    (
        |_, p| edge(p, 3 * STRIDE, 40),
        "out_of_range",
        "part als_index.safetensors: edges row 3 holds 40, expected a row below 40",
    ),
    (
        |_, p| edge(p, 3 * STRIDE, 3),
        "out_of_range",
        "edges row 3 holds 3, expected an edge to another row",
    ),
    (
        |_, p| edit(p, ALS_INDEX, "edges", |bytes, _| bytes.copy_within(0..4, 4)),
        "order",
        "edges row 0 holds",
    ),
    (
        |_, p| edge(p, 2 * STRIDE, NO_EDGE),
        "order",
        "expected 4294967295 after the last edge",
    ),
    (
        |_, p| edit(p, ALS_INDEX, "edges", |_, shape| *shape = vec![20, 64]),
        "shape",
        "edges has shape [20, 64], expected [40, 32]",
    ),
    (
        |_, p| edit(p, ALS_INDEX, "entry", put(0, 40u32.to_le_bytes())),
        "out_of_range",
        "entry row 0 holds 40, expected a row below 40",
    ),
    (
        |_, p| edit(p, ALS_INDEX, "ef", put(0, u32::MAX.to_le_bytes())),
        "out_of_range",
        "ef row 0 holds 4294967295, expected 8 to 4096",
    ),
];

#[test]
fn every_fault_of_a_graph_is_refused_by_part_row_and_value() {
    check_faults(&packed_graph(), FAULTS);
}

#[test]
fn unpacked_graph_packs_and_answers_as_the_built_one() {
    let (card, parts) = packed_graph();
    let model = unpack(&card, &parts).unwrap();
    let report = card.check_golden_queries(&model, &mut Scratch::default(), &mut |_| {});
    assert_eq!(report.mismatches, [""; 0]);
    let again = super::super::index::pack(ALS_INDEX, model.index()).unwrap();
    assert!(again == parts[ALS_INDEX]);
}

#[test]
fn cards_of_older_publishers_have_no_candidates() {
    let card: IndexCard =
        serde_json::from_str(r#"{"plan": "exact", "recall_at_10": 1.0}"#).unwrap();
    assert_eq!(card.plan, "exact");
    assert!(card.candidates.is_empty() && card.graph.is_none() && card.choice.is_none());
}

/// A graph may be connected as badly as it likes: answers are still as many as there are.
#[test]
fn graph_without_edges_falls_over_to_the_exact_scan() {
    let (card, mut parts) = packed_graph();
    edit(&mut parts, ALS_INDEX, "edges", |bytes, _| bytes.fill(0xff));
    let model = unpack(&card, &parts).unwrap();
    let query = Query {
        user_id: "user-0003",
        n: 30,
        include_seen: true,
        ..Query::default()
    };
    let answer = model.recommend(&query, &mut Scratch::default()).unwrap();
    assert_eq!(answer.items.len(), 30);
}
