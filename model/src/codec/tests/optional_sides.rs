//! Parts of the sides that a version may lack: round trips, and refusals by part, row and value.

use super::*;
use crate::{
    Defaults, FitParams, RepeatParams, ScoringParams, SidesParams, Strategy, Weights,
    frequencies::NO_TIME,
};

const WEIGHTS: Weights = Weights {
    collaborative: 1.0,
    content: 0.5,
    sequence: 0.5,
    repeat: 0.5,
    trend: 0.1,
};

fn params() -> FitParams {
    FitParams {
        sides: SidesParams::all(),
        scoring: ScoringParams {
            weights: Some(WEIGHTS),
            ..ScoringParams::default()
        },
        ..sample::params(7)
    }
}

fn packed_sides() -> (ModelCard, Parts) {
    packed_with(&params())
}

#[test]
fn sides_weights_and_defaults_survive_a_round_trip() {
    let mut model = sample::model(&sample::shop(60, 40), &params());
    let defaults = Defaults {
        strategy: Strategy::Blended,
        include_seen: true,
    };
    model.set_defaults(defaults).unwrap();
    let extra = || CardExtra {
        evaluation: None,
        golden_queries: 4,
    };
    let packed = model.pack(extra()).unwrap();
    let card: ModelCard =
        serde_json::from_value(serde_json::to_value(&packed.card).unwrap()).unwrap();
    assert_eq!(card, packed.card);
    assert_eq!(card.as_of_s, Some(16_005));
    let named = |p: &Part| (p.name.to_owned(), Bytes::from(p.bytes.clone()));
    let parts: Parts = packed.parts.iter().map(named).collect();
    assert!(SIDE_PARTS.iter().all(|part| parts.contains_key(*part)));
    let again = unpack(&card, &parts).unwrap();
    assert_eq!(again.defaults(), defaults);
    let repacked = again.pack(extra()).unwrap();
    assert!(repacked == packed, "the same bytes and card");
    let report = card.check_golden_queries(&again, &mut Scratch::default(), &mut |_| {});
    assert_eq!(report.mismatches, [""; 0]);
}

#[test]
fn a_card_without_sides_or_defaults_reads_as_before() {
    let (card, _) = packed();
    let json = serde_json::to_value(&card).unwrap();
    assert!(json.get("defaults").is_none());
    assert!(json["parameters"].get("sides").is_none());
    assert!(json["parameters"]["scoring"].get("weights").is_none());
    let mut json = json;
    json.as_object_mut().unwrap().remove("as_of");
    let card: ModelCard = serde_json::from_value(json).unwrap();
    assert_eq!((card.as_of_s, card.defaults), (None, None));
    assert_eq!(card.parameters.sides, SidesParams::default());
}

const CARD_FAULTS: &[Fault] = &[
    (
        |c, _| {
            c.parameters.scoring.weights = Some(Weights {
                repeat: -0.5,
                ..WEIGHTS
            });
        },
        "card",
        "parameters.scoring.weights is -0.5 for side repeat, expected a finite number, 0 or more",
    ),
    (
        |c, _| {
            c.parameters.scoring.weights = Some(Weights {
                trend: f64::INFINITY,
                ..WEIGHTS
            });
        },
        "card",
        "parameters.scoring.weights is inf for side trend, expected a finite number, 0 or more",
    ),
    (
        |c, _| c.parameters.scoring.weights = Some(Weights::default()),
        "card",
        "parameters.scoring.weights is all 0, expected at least one above 0",
    ),
    (
        |c, _| c.golden_queries[0].weights = Some(Weights::default()),
        "card",
        "probes.weights is all 0, expected at least one above 0",
    ),
    (
        |c, _| c.parameters.sides.sequence = None,
        "card",
        "parameters.scoring.weights is 0.5 for side sequence, expected 0 without parameters.sides.sequence",
    ),
    (
        |c, _| c.parameters.sides.sequence.as_mut().unwrap().recents = 101,
        "card",
        "parameters.sides.sequence.recents is 101, expected at most 100",
    ),
    (
        |c, _| c.parameters.sides.sequence.as_mut().unwrap().recent_decay = 1.5,
        "card",
        "parameters.sides.sequence.recent_decay is 1.5, expected 0 to 1",
    ),
    (
        |c, _| c.parameters.sides.trend.as_mut().unwrap().half_life_days = -1.0,
        "card",
        "parameters.sides.trend.half_life_days is -1, expected a finite number above 0",
    ),
    (
        |c, _| c.parameters.sides.repeat.as_mut().unwrap().half_life_days = Some(0.0),
        "card",
        "parameters.sides.repeat.half_life_days is 0, expected a finite number above 0",
    ),
    (
        |c, _| c.as_of_s = None,
        "card",
        "as_of is absent, expected Unix seconds, as parameters.sides.repeat.half_life_days is there",
    ),
    (
        |c, _| {
            c.parameters.scoring.weights = None;
            c.defaults = Some(Defaults {
                strategy: Strategy::Blended,
                include_seen: false,
            });
        },
        "card",
        "defaults.strategy is blended, expected another strategy, as the version has no weights",
    ),
];

const PART_FAULTS: &[Fault] = &[
    (
        |_, p| drop(p.remove(TRANSITIONS)),
        "missing_part",
        "part transitions.safetensors is missing",
    ),
    (
        |c, _| {
            c.parameters.sides.trend = None;
            c.parameters.scoring.weights = None;
        },
        "part_without_side",
        "part trend.safetensors is there, and the card has no parameters.sides.trend",
    ),
    (
        |_, p| edit(p, TRANSITIONS, "offsets", put(0, 1u64.to_le_bytes())),
        "order",
        "part transitions.safetensors: offsets row 0 holds 1, expected 0",
    ),
    (
        |_, p| edit(p, TRANSITIONS, "offsets", put(1, u64::MAX.to_le_bytes())),
        "order",
        "part transitions.safetensors: offsets row 2 holds",
    ),
    (
        |_, p| edit(p, TRANSITIONS, "products", put(0, 40u32.to_le_bytes())),
        "out_of_range",
        "part transitions.safetensors: products row 0 holds 40, expected a product row below 40",
    ),
    (
        |_, p| edit(p, TRANSITIONS, "products", put(0, 0u32.to_le_bytes())),
        "out_of_range",
        "part transitions.safetensors: products row 0 holds 0, expected another product",
    ),
    (
        |_, p| {
            edit(p, TRANSITIONS, "products", |bytes, _| {
                let first: [u8; 4] = bytes[..4].try_into().unwrap();
                bytes[4..8].copy_from_slice(&first);
            });
        },
        "order",
        "expected every product once",
    ),
    (
        |_, p| edit(p, TRANSITIONS, "scores", put(0, f32::NAN.to_le_bytes())),
        "not_finite",
        "part transitions.safetensors: scores row 0 holds NaN",
    ),
    (
        |_, p| edit(p, TRANSITIONS, "scores", put(0, 0f32.to_le_bytes())),
        "out_of_range",
        "part transitions.safetensors: scores row 0 holds 0, expected above 0",
    ),
    (
        |_, p| edit(p, TRANSITIONS, "scores", put(1, 1e9f32.to_le_bytes())),
        "order",
        "expected scores descending, among equals product rows ascending",
    ),
    (
        |_, p| {
            edit(p, TRANSITIONS, "scores", |bytes, shape| {
                shape[0] -= 1;
                bytes.truncate(4 * shape[0]);
            });
        },
        "shape",
        "part transitions.safetensors: scores has shape",
    ),
    (
        |_, p| edit(p, FREQUENCIES, "weights", put(2, (-1f32).to_le_bytes())),
        "out_of_range",
        "part frequencies.safetensors: weights row 2 holds -1, expected 0 or more",
    ),
    (
        |_, p| {
            edit(
                p,
                FREQUENCIES,
                "weights",
                put(3, f32::INFINITY.to_le_bytes()),
            );
        },
        "not_finite",
        "part frequencies.safetensors: weights row 3 holds inf",
    ),
    (
        |_, p| edit(p, FREQUENCIES, "last_at", put(5, NO_TIME.to_le_bytes())),
        "out_of_range",
        "part frequencies.safetensors: last_at row 5 holds -9223372036854775808 (no time), expected a \
         time in Unix seconds, as parameters.sides.repeat has a half-life",
    ),
    (
        |_, p| edit(p, FREQUENCIES, "last_at", put(1, 16_006i64.to_le_bytes())),
        "out_of_range",
        "part frequencies.safetensors: last_at row 1 holds 16006, expected at most 16005, the as_of of \
         the card",
    ),
    (|c, _| c.sizes.interactions += 1, "shape", ""),
    (
        |_, p| {
            edit(
                p,
                TREND,
                "popularity",
                put(7, f32::NEG_INFINITY.to_le_bytes()),
            );
        },
        "not_finite",
        "part trend.safetensors: popularity row 7 holds -inf",
    ),
    (
        |_, p| edit(p, TREND, "popularity", put(7, (-0.5f32).to_le_bytes())),
        "out_of_range",
        "part trend.safetensors: popularity row 7 holds -0.5, expected 0 or more",
    ),
];

#[test]
fn a_card_that_cannot_be_blended_by_is_refused_by_field() {
    check_faults(&packed_sides(), CARD_FAULTS);
}

#[test]
fn parts_of_sides_are_refused_by_row_and_value() {
    check_faults(&packed_sides(), PART_FAULTS);
}

#[test]
fn too_many_transitions_of_a_product_are_refused() {
    let (card, mut parts) = packed_sides();
    edit(&mut parts, TRANSITIONS, "products", |bytes, shape| {
        shape[0] = 257;
        *bytes = vec![1; 4 * 257];
    });
    edit(&mut parts, TRANSITIONS, "scores", |bytes, shape| {
        shape[0] = 257;
        *bytes = vec![1; 4 * 257];
    });
    edit(&mut parts, TRANSITIONS, "offsets", |bytes, shape| {
        let ends = std::iter::repeat_n(257u64, shape[0] - 1);
        *bytes = [0]
            .into_iter()
            .chain(ends)
            .flat_map(u64::to_le_bytes)
            .collect();
    });
    let said = unpack(&card, &parts).unwrap_err().to_string();
    let expected = "products row 0 holds a list of 257, expected at most 256 of a product";
    assert!(said.contains(expected), "{said}");
}

#[test]
fn pairs_without_times_are_accepted_where_nothing_decays() {
    let (mut card, mut parts) = packed_sides();
    card.parameters.sides.repeat = Some(RepeatParams {
        half_life_days: None,
    });
    edit(
        &mut parts,
        FREQUENCIES,
        "last_at",
        put(5, NO_TIME.to_le_bytes()),
    );
    let model = unpack(&card, &parts).unwrap();
    let frequencies = model.frequencies().unwrap();
    assert_eq!(frequencies.score(5), frequencies.weights.as_slice()[5]);
}
