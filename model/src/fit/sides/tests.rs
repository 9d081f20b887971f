#![allow(clippy::unwrap_used)]

use std::{collections::BTreeMap, num::NonZeroUsize};

use proptest::prelude::*;

use super::*;
use crate::{
    CardExtra, FitParams, InteractionsBuilder, ProductRow, ScoringParams, UserRow, Weights, fit,
    sample,
};

const ONE: NonZeroUsize = NonZeroUsize::MIN;
const DAY_S: i64 = 86_400;

/// A model of these events, with sides.
fn fitted(events: &[(&str, &str, f32, i64)], sides: SidesParams) -> Model {
    let mut builder = InteractionsBuilder::new();
    for (user, product, value, at_s) in events {
        builder.add(user, product, *value, *at_s);
    }
    let params = FitParams {
        sides,
        ..sample::params_without_content(2)
    };
    fit(&builder.build(), &[], &params, ONE, &mut |_| {}).unwrap()
}

fn after(model: &Model, id: &str) -> Vec<(String, f32)> {
    let product = model.products().find(id).unwrap();
    let (rows, scores) = model.transitions().unwrap().after(product);
    let id = |row: &u32| model.products().id(ProductRow(*row)).to_owned();
    rows.iter().map(id).zip(scores.iter().copied()).collect()
}

fn sequence(params: SequenceParams) -> SidesParams {
    SidesParams {
        sequence: Some(params),
        ..SidesParams::default()
    }
}

#[test]
fn transitions_are_those_worked_out_by_hand() {
    let events = [
        // Steps of u: a b c; the second event of b is the same step.
        ("u", "a", 1.0, 1),
        ("u", "b", 1.0, 2),
        ("u", "b", 9.0, 3),
        ("u", "c", 1.0, 4),
        // Steps of v: b a b.
        ("v", "b", 1.0, 1),
        ("v", "a", 1.0, 2),
        ("v", "b", 1.0, 3),
    ];
    let model = fitted(&events, sequence(SequenceParams::default()));
    // a has two steps. u: b follows at once, c a step later; v: b before it and after it.
    let expected = [("b".to_owned(), 2.5 / 2.0), ("c".to_owned(), 0.7 / 2.0)];
    assert_eq!(after(&model, "a"), expected);
    // b has three steps. u: a before, c after; v: a after the first and before the second; never itself.
    let expected = [("a".to_owned(), 2.0 / 3.0), ("c".to_owned(), 1.0 / 3.0)];
    assert_eq!(after(&model, "b"), expected);
    // c has one: b before it, and a a step earlier.
    let expected = [("b".to_owned(), 0.5), ("a".to_owned(), 0.35)];
    assert_eq!(after(&model, "c"), expected);

    let narrow = SequenceParams {
        window: 1,
        backward: 0.0,
        kept: 1,
        ..SequenceParams::default()
    };
    let model = fitted(&events, sequence(narrow));
    assert_eq!(after(&model, "a"), [("b".to_owned(), 1.0)]);
    assert_eq!(after(&model, "c"), []);
}

/// What [`SequenceParams`] says, pair by pair.
fn counted(steps: &[Vec<u32>], params: &SequenceParams) -> BTreeMap<(u32, u32), f64> {
    let (mut sums, mut counts) = (BTreeMap::new(), BTreeMap::new());
    for of_user in steps {
        for (at, earlier) in of_user.iter().enumerate() {
            *counts.entry(*earlier).or_insert(0.0) += 1.0;
            for (further, later) in of_user[at + 1..].iter().take(params.window).enumerate() {
                let weight = f64::from(params.step_decay).powi(further as i32);
                *sums.entry((*earlier, *later)).or_insert(0.0) += weight;
                let reverse = weight * f64::from(params.backward);
                *sums.entry((*later, *earlier)).or_insert(0.0) += reverse;
            }
        }
    }
    sums.retain(|(from, to), sum| from != to && *sum > 0.0);
    sums.into_iter()
        .map(|((from, to), sum)| ((from, to), sum / counts[&from]))
        .collect()
}

proptest! {
    #[test]
    fn transitions_are_the_plainest_count(
        users in proptest::collection::vec(proptest::collection::vec(0u32..9, 1..14), 1..6),
        window in 1usize..7, kept in 1usize..9, backward in 0f32..1.0, step_decay in 0.1f32..1.0,
    ) {
        let params = SequenceParams { window, kept, backward, step_decay, ..SequenceParams::default() };
        let events: Vec<Event> = users.iter().enumerate().flat_map(|(user, products)| {
            products.iter().zip(0..).map(move |(product, at_s)| Event {
                user: user as u32, product: *product, value: 1.0, at_s,
            })
        }).collect();
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build().unwrap();
        let found = sequence::count(&events, 9, &params, &pool).unwrap();
        let mut steps = users;
        steps.iter_mut().for_each(Vec::dedup);
        let expected = counted(&steps, &params);
        for from in 0..9u32 {
            let (rows, scores) = found.after(ProductRow(from));
            let wanted: Vec<f64> =
                expected.iter().filter(|((source, _), _)| *source == from).map(|(_, s)| *s).collect();
            prop_assert_eq!(rows.len(), wanted.len().min(kept));
            for (to, score) in rows.iter().zip(scores) {
                let expected = expected[&(from, *to)];
                prop_assert!((f64::from(*score) - expected).abs() <= 1e-6 * expected);
            }
            prop_assert!(scores.is_sorted_by(|a, b| a >= b));
            let better = wanted.iter().filter(|score| scores.last().is_some_and(|last| **score > f64::from(*last) * 1.000_001));
            prop_assert!(better.count() <= kept, "none that is better than the last was left out");
        }
    }
}

#[test]
fn frequency_and_trend_halve_with_every_half_life() {
    let sides = SidesParams {
        repeat: Some(RepeatParams {
            half_life_days: Some(10.0),
        }),
        trend: Some(TrendParams {
            half_life_days: 5.0,
        }),
        ..SidesParams::default()
    };
    let events = [
        ("u", "tea", 4.0, 0),
        ("u", "tea", 2.0, 10 * DAY_S),
        ("u", "pot", 8.0, 20 * DAY_S),
        ("v", "ink", 16.0, 30 * DAY_S),
    ];
    let model = fitted(&events, sides);
    assert_eq!(model.as_of_s(), Some(30 * DAY_S));
    let frequencies = model.frequencies().unwrap();
    // Pairs by user and product row: ink, pot, tea.
    assert_eq!(frequencies.weights.as_slice(), [8.0, 4.0, 16.0]);
    let last_at: Vec<i64> = frequencies
        .last_at
        .as_slice()
        .iter()
        .map(|at| at / DAY_S)
        .collect();
    assert_eq!(last_at, [20, 10, 30]);
    let scores: Vec<f32> = (0..3).map(|pair| frequencies.score(pair)).collect();
    assert_eq!(scores, [4.0, 1.0, 16.0]);
    let trend = model.trend().unwrap();
    let score = |id: &str| trend.score(model.products().find(id).unwrap());
    assert_eq!(score("ink"), 16.0);
    assert_eq!(score("pot"), 2.0);
    assert_eq!(score("tea"), 4.0 / 64.0 + 2.0 / 16.0);
}

#[test]
fn a_side_that_decays_is_refused_on_events_without_times() {
    let mut builder = InteractionsBuilder::new();
    for at in 0..4 {
        builder.add("u", &format!("p{}", at % 3), 1.0, at);
    }
    builder.without_times();
    let data = builder.build();
    let refusal = |sides: SidesParams| {
        let params = FitParams {
            sides,
            ..sample::params_without_content(2)
        };
        fit(&data, &[], &params, ONE, &mut |_| {}).map_err(|error| error.to_string())
    };
    let repeat = |half_life_days| SidesParams {
        repeat: Some(RepeatParams { half_life_days }),
        ..SidesParams::default()
    };
    let trend = SidesParams {
        trend: Some(TrendParams::default()),
        ..SidesParams::default()
    };
    for (sides, name) in [(repeat(Some(9.0)), "repeat"), (trend, "trend")] {
        let text = refusal(sides).unwrap_err();
        assert!(
            text.starts_with(&format!(
                "side {name} decays by time, and the events have no times"
            )),
            "{text}"
        );
    }
    // Order and counts need no times.
    let sides = SidesParams {
        sequence: Some(SequenceParams::default()),
        ..repeat(None)
    };
    let model = refusal(sides).unwrap();
    assert_eq!(model.as_of_s(), None);
    let seen = model.history().seen_range(UserRow(0));
    let scores: Vec<f32> = seen
        .map(|pair| model.frequencies().unwrap().score(pair))
        .collect();
    assert_eq!(scores, [2.0, 1.0, 1.0]);
    let before = data.before(3);
    assert!(!before.has_times());
}

/// Spoils the parameters.
type Change = fn(&mut FitParams);

#[test]
fn bad_parameters_and_weights_are_refused_by_name() {
    let refusal = |change: fn(&mut FitParams)| {
        let mut params = sample::params(4);
        params.sides = SidesParams::all();
        change(&mut params);
        let data = sample::checkerboard(4);
        fit(&data, &[], &params, ONE, &mut |_| {})
            .unwrap_err()
            .to_string()
    };
    let cases: [(Change, &str); 9] = [
        (
            |p| p.sides.sequence.as_mut().unwrap().window = 0,
            "parameter sequence.window is 0, expected 1 to 50",
        ),
        (
            |p| p.sides.sequence.as_mut().unwrap().step_decay = f32::NAN,
            "parameter sequence.step_decay is NaN",
        ),
        (
            |p| p.sides.sequence.as_mut().unwrap().kept = 257,
            "parameter sequence.kept is 257, expected 1 to 256",
        ),
        (
            |p| p.sides.sequence.as_mut().unwrap().recent_decay = 0.0,
            "parameter sequence.recent_decay is 0",
        ),
        (
            |p| p.sides.repeat.as_mut().unwrap().half_life_days = Some(0.0),
            "parameter repeat.half_life_days is 0",
        ),
        (
            |p| p.sides.trend.as_mut().unwrap().half_life_days = f64::INFINITY,
            "parameter trend.half_life_days is inf",
        ),
        (
            |p| p.scoring.weights = Some(Weights::default()),
            "all weights are 0, expected at least one above 0",
        ),
        (
            |p| {
                p.scoring.weights = Some(Weights {
                    trend: -1.0,
                    ..Weights::default()
                });
            },
            "the weight of side trend is -1",
        ),
        (
            |p| {
                p.sides.trend = None;
                p.scoring.weights = Some(Weights {
                    trend: 0.5,
                    ..Weights::default()
                });
            },
            "the weight of side trend is 0.5, expected 0 as the side is not fitted",
        ),
    ];
    for (change, expected) in cases {
        let text = refusal(change);
        assert!(text.starts_with(expected), "{text}");
    }
}

#[test]
fn sides_fitted_anew_are_those_of_a_fit_with_the_same_parameters() {
    let data = sample::shop(60, 40);
    let with = |sides| FitParams {
        sides,
        ..sample::params(4)
    };
    let expected = sample::model(&data, &with(SidesParams::all()));
    let mut model = sample::model(&data, &with(SidesParams::default()));
    assert!(model.transitions().is_none());
    model
        .refit_sides(&data, &SidesParams::all(), NonZeroUsize::new(2).unwrap())
        .unwrap();
    let packed = |model: &Model| model.pack(CardExtra::default()).unwrap();
    assert!(packed(&model).parts == packed(&expected).parts);
    assert_eq!(packed(&model).card, packed(&expected).card);

    let scoring = ScoringParams {
        weights: Some(Weights {
            trend: 1.0,
            ..Weights::default()
        }),
        ..ScoringParams::default()
    };
    model.set_scoring(scoring).unwrap();
    let others = sample::shop(61, 40);
    let refused = model
        .refit_sides(&others, &SidesParams::all(), ONE)
        .unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the events are not those that the model was fitted on"
    );
    assert!(model.trend().is_some(), "a refusal changes nothing");
}
