//! Bounds on what a card says about sides, their weights, and defaults.

use super::{UnpackError, at_most, refused};
use crate::{FitParams, ModelCard, Strategy, Weights, WeightsError, params::RECENTS_MAX};

/// Errs with the first that breaks its bound.
pub(super) fn check(card: &ModelCard) -> Result<(), UnpackError> {
    let parameters = &card.parameters;
    if let Some(sequence) = &parameters.sides.sequence {
        at_most(
            "parameters.sides.sequence.recents",
            sequence.recents,
            RECENTS_MAX,
        )?;
        let decay = sequence.recent_decay;
        if !(0.0..=1.0).contains(&decay) {
            let what = "parameters.sides.sequence.recent_decay";
            return Err(refused(what, &decay, "0 to 1".to_owned()));
        }
    }
    check_half_lives(card)?;
    if let Some(weights) = &parameters.scoring.weights {
        check_weights("parameters.scoring.weights", weights)?;
        check_sides_of_weights(parameters, weights)?;
    }
    check_defaults(card)
}

/// Half-lives above 0, and a time that they are counted from.
fn check_half_lives(card: &ModelCard) -> Result<(), UnpackError> {
    let sides = &card.parameters.sides;
    let repeat = sides
        .repeat
        .as_ref()
        .and_then(|repeat| repeat.half_life_days);
    let trend = sides.trend.as_ref().map(|trend| trend.half_life_days);
    for (what, days) in [
        ("parameters.sides.repeat.half_life_days", repeat),
        ("parameters.sides.trend.half_life_days", trend),
    ] {
        let Some(days) = days else {
            continue;
        };
        if !days.is_normal() || days < 0.0 {
            return Err(refused(what, &days, "a finite number above 0".to_owned()));
        }
        if card.as_of_s.is_none() {
            let expected = format!("Unix seconds, as {what} is there");
            return Err(refused("as_of", &"absent", expected));
        }
    }
    Ok(())
}

pub(super) fn check_weights(what: &'static str, weights: &Weights) -> Result<(), UnpackError> {
    match weights.check() {
        Ok(()) => Ok(()),
        Err(WeightsError::Value { side, value }) => {
            let value = format!("{value} for side {}", side.as_str());
            let expected = "a finite number, 0 or more".to_owned();
            Err(refused(what, &value, expected))
        }
        Err(WeightsError::AllZero) => {
            Err(refused(what, &"all 0", "at least one above 0".to_owned()))
        }
    }
}

/// Weight only for sides that the version has.
fn check_sides_of_weights(parameters: &FitParams, weights: &Weights) -> Result<(), UnpackError> {
    let Some((side, weight)) = parameters.sides.first_absent(weights) else {
        return Ok(());
    };
    let name = side.as_str();
    let value = format!("{weight} for side {name}");
    let expected = format!("0 without parameters.sides.{name}");
    Err(refused("parameters.scoring.weights", &value, expected))
}

/// A default that the version itself can answer by.
fn check_defaults(card: &ModelCard) -> Result<(), UnpackError> {
    let strategy = card.defaults.unwrap_or_default().strategy;
    let needs = match strategy {
        Strategy::Blended if card.parameters.scoring.weights.is_none() => "weights",
        Strategy::Content if card.content.is_none() => "content",
        _ => return Ok(()),
    };
    let expected = format!("another strategy, as the version has no {needs}");
    Err(refused("defaults.strategy", &strategy.as_str(), expected))
}
