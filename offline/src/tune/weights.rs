//! The search for the weights of a blend: coordinate by coordinate, on scores that stand.

use hotshelf_model::{Side, Weights};

use super::validation::Validation;

/// Weights tried for each side in the first round, beside 1 for the strongest.
const FIRST: [f64; 8] = [0.0, 0.03, 0.1, 0.2, 0.4, 0.7, 1.0, 1.5];
/// Factors tried in later rounds.
const LATER: [f64; 5] = [0.0, 0.5, 0.75, 1.35, 2.0];
const ROUNDS: usize = 4;
/// By how much a change must raise nDCG, as a share of it (chosen: less is chance).
const GAIN: f64 = 0.001;

/// The best weights found, which add up to 1, and their nDCG. Starts from the best single side.
pub(super) fn search(validation: &Validation) -> (Weights, f64) {
    let mut best = (Weights::default(), -1.0);
    for side in &validation.sides {
        let mut alone = Weights::default();
        *alone.get_mut(*side) = 1.0;
        let found = validation.ndcg(&alone);
        if found > best.1 {
            best = (alone, found);
        }
    }
    if validation.sides.is_empty() {
        let collaborative = Weights {
            collaborative: 1.0,
            ..Weights::default()
        };
        return (collaborative, 0.0);
    }
    for round in 0..ROUNDS {
        let before = best.1;
        for side in &validation.sides {
            best = improved(validation, best, (*side, round == 0));
        }
        if best.1 <= before {
            break;
        }
    }
    let weights = normalised(&best.0);
    (weights, validation.ndcg(&weights))
}

/// The weights with the best value of one side.
fn improved(
    validation: &Validation,
    best: (Weights, f64),
    (side, is_first): (Side, bool),
) -> (Weights, f64) {
    let now = *best.0.get(side);
    let values: Vec<f64> = match is_first {
        true => FIRST.to_vec(),
        false => LATER.iter().map(|times| now * times).collect(),
    };
    let mut found = best;
    for value in values.into_iter().filter(|value| *value != now) {
        let mut weights = best.0;
        *weights.get_mut(side) = value;
        if weights.iter().all(|(_, weight)| *weight == 0.0) {
            continue;
        }
        let ndcg = validation.ndcg(&weights);
        let least = if found.1 == best.1 {
            best.1 * (1.0 + GAIN)
        } else {
            found.1
        };
        if ndcg > least {
            found = (weights, ndcg);
        }
    }
    found
}

/// The same proportions with a sum of 1, to four decimals.
fn normalised(weights: &Weights) -> Weights {
    let sum: f64 = weights.iter().map(|(_, weight)| *weight).sum();
    Weights::from_fn(|side| (weights.get(side) / sum * 1e4).round() / 1e4)
}
