//! The parts `frequencies.safetensors` and `trend.safetensors`: what decays by time.

use bytes::Bytes;

use super::{
    FREQUENCIES, PackError, TREND, UnpackError,
    check::{self, Location, each_row},
    container::{Container, Tensor, write},
};
use crate::{
    Breathe, Frequencies, ModelCard, RepeatParams, Trend, column::Column, frequencies::NO_TIME,
};

pub(super) fn pack_frequencies(frequencies: &Frequencies) -> Result<Vec<u8>, PackError> {
    let tensors = [
        Tensor::column("weights", &frequencies.weights),
        Tensor::column("last_at", &frequencies.last_at),
    ];
    write(FREQUENCIES, &tensors)
}

/// Decodes against a card that was checked: where values decay, it says as of when.
pub(super) fn unpack_frequencies(
    (card, params): (&ModelCard, &RepeatParams),
    bytes: &Bytes,
    breathe: Breathe<'_>,
) -> Result<Frequencies, UnpackError> {
    let container = Container::open(FREQUENCIES, bytes, &["weights", "last_at"])?;
    let pairs = card.sizes.interactions;
    let frequencies = Frequencies {
        weights: container.tensor("weights", &[pairs])?,
        last_at: container.tensor("last_at", &[pairs])?,
        half_life_days: params.half_life_days,
        as_of_s: card.as_of_s.unwrap_or_default(),
    };
    let location = |what| Location {
        part: FREQUENCIES,
        what,
    };
    let (weights, last_at) = (
        frequencies.weights.as_slice(),
        frequencies.last_at.as_slice(),
    );
    each_row(
        pairs,
        size_of::<f32>() + size_of::<i64>(),
        breathe,
        |pair| {
            check::not_negative(location("weights"), pair, weights[pair])?;
            check_time((last_at[pair], card.as_of_s), params, |value, expected| {
                location("last_at").out_of_range(pair, &value, &expected)
            })
        },
    )?;
    Ok(frequencies)
}

/// A time that is known where it is needed, and not after the version's last event.
fn check_time(
    (last_s, as_of_s): (i64, Option<i64>),
    params: &RepeatParams,
    refuse: impl Fn(String, String) -> UnpackError,
) -> Result<(), UnpackError> {
    if last_s == NO_TIME {
        return match params.half_life_days {
            None => Ok(()),
            Some(_) => {
                let expected = "a time in Unix seconds, as parameters.sides.repeat has a half-life";
                Err(refuse(format!("{last_s} (no time)"), expected.to_owned()))
            }
        };
    }
    match as_of_s.filter(|as_of_s| last_s > *as_of_s) {
        None => Ok(()),
        Some(as_of_s) => {
            let expected = format!("at most {as_of_s}, the as_of of the card");
            Err(refuse(last_s.to_string(), expected))
        }
    }
}

pub(super) fn pack_trend(trend: &Trend) -> Result<Vec<u8>, PackError> {
    write(TREND, &[Tensor::column("popularity", &trend.scores)])
}

pub(super) fn unpack_trend(
    bytes: &Bytes,
    products: usize,
    breathe: Breathe<'_>,
) -> Result<Trend, UnpackError> {
    let container = Container::open(TREND, bytes, &["popularity"])?;
    let scores: Column<f32> = container.tensor("popularity", &[products])?;
    let location = Location {
        part: TREND,
        what: "popularity",
    };
    each_row(products, size_of::<f32>(), breathe, |row| {
        check::not_negative(location, row, scores.as_slice()[row])
    })?;
    Ok(Trend::new(scores, breathe))
}
