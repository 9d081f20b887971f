//! The sides beside factors and content: `sequence`, `repeat` and `trend`.
//!
//! They need events alone, no factors, and cost little; so a search over their parameters fits them
//! anew for a model whose factors stay ([`Model::refit_sides`]).

use super::{
    FitError, Machine, Workers,
    report::{RangeCheck, check_ranges, refuse},
    sequence,
};
use crate::{
    Interactions, Model, RepeatParams, SequenceParams, Side, SidesParams, TrendParams,
    column::Column,
    decay,
    frequencies::{Frequencies, NO_TIME},
    interactions::Event,
    optional_sides::OptionalSides,
    params::{RECENTS_MAX, TRANSITIONS_MAX, WINDOW_MAX},
    trend::Trend,
};

/// Events with rows of the catalogue.
#[derive(Clone, Copy)]
pub(super) struct SideData<'a> {
    /// Sorted by user and time.
    pub(super) events: &'a [Event],
    pub(super) products: usize,
    /// The last event in Unix seconds; `None` where events have no times.
    pub(super) as_of_s: Option<i64>,
}

/// The time of the last event; `None` where times are positions.
pub(super) fn as_of_s(data: &Interactions) -> Option<i64> {
    let times = data.events().iter().map(|event| event.at_s);
    times.max().filter(|_| data.has_times())
}

/// Fits the sides that `params` name.
pub(super) fn fit(
    data: SideData<'_>,
    params: &SidesParams,
    machine: Machine,
) -> Result<OptionalSides, FitError> {
    let needs_times = |side| FitError::NeedsTimes { side };
    let transitions = match &params.sequence {
        None => None,
        Some(params) => {
            let pool = machine.pool()?;
            Some(sequence::count(data.events, data.products, params, &pool)?)
        }
    };
    let frequencies = match &params.repeat {
        None => None,
        Some(params) if params.half_life_days.is_some() && data.as_of_s.is_none() => {
            return Err(needs_times(Side::Repeat));
        }
        Some(params) => Some(frequencies(data, params)),
    };
    let trend = match (&params.trend, data.as_of_s) {
        (None, _) => None,
        (Some(_), None) => return Err(needs_times(Side::Trend)),
        (Some(params), Some(as_of_s)) => Some(trend(data, params, as_of_s)),
    };
    Ok(OptionalSides {
        transitions,
        frequencies,
        trend,
    })
}

/// Weight and last time of each pair of a user and a product, users ascending, products ascending in
/// each: the order of the history.
fn frequencies(data: SideData<'_>, params: &RepeatParams) -> Frequencies {
    let (mut weights, mut last_at) = (Vec::new(), Vec::new());
    let mut of_user: Vec<Event> = Vec::new();
    for events in data.events.chunk_by(|a, b| a.user == b.user) {
        of_user.clear();
        of_user.extend(events);
        // Stable: equal products stay in the order of time, so the sum is one fixed sum.
        of_user.sort_by_key(|event| event.product);
        for same in of_user.chunk_by(|a, b| a.product == b.product) {
            let last_s = same[same.len() - 1].at_s;
            let decayed = |event: &Event| {
                let left = params.half_life_days.map_or(1.0, |half_life| {
                    decay::left(last_s.saturating_sub(event.at_s), half_life)
                });
                f64::from(event.value) * left
            };
            weights.push(nearest_finite(same.iter().map(decayed).sum()));
            last_at.push(data.as_of_s.map_or(NO_TIME, |_| last_s));
        }
    }
    Frequencies {
        weights: Column::from_vec(weights),
        last_at: Column::from_vec(last_at),
        half_life_days: params.half_life_days,
        as_of_s: data.as_of_s.unwrap_or_default(),
    }
}

fn trend(data: SideData<'_>, params: &TrendParams, as_of_s: i64) -> Trend {
    let mut sums = vec![0.0f64; data.products];
    for event in data.events {
        let left = decay::left(as_of_s.saturating_sub(event.at_s), params.half_life_days);
        sums[event.product as usize] += f64::from(event.value) * left;
    }
    let scores = sums.into_iter().map(nearest_finite).collect();
    Trend::new(Column::from_vec(scores), &mut |_| {})
}

/// A sum of values that may each be as great as an f32.
fn nearest_finite(sum: f64) -> f32 {
    sum.min(f64::from(f32::MAX)) as f32
}

/// Refuses parameters by name.
pub(super) fn check(params: &SidesParams) -> Result<(), FitError> {
    if let Some(sequence) = &params.sequence {
        check_sequence(sequence)?;
    }
    let half_life_is_bad = |days: f64| !days.is_normal() || days < 0.0;
    let half_lives = [
        (
            "repeat.half_life_days",
            params
                .repeat
                .as_ref()
                .and_then(|repeat| repeat.half_life_days),
        ),
        (
            "trend.half_life_days",
            params.trend.as_ref().map(|trend| trend.half_life_days),
        ),
    ];
    for (name, half_life_days) in half_lives {
        if let Some(days) = half_life_days.filter(|days| half_life_is_bad(*days)) {
            return refuse(name, &days, "a finite number above 0");
        }
    }
    Ok(())
}

fn check_sequence(sequence: &SequenceParams) -> Result<(), FitError> {
    // Comparisons that NaN fails, too.
    let is_share = |share: f32| (0.0..=1.0).contains(&share);
    let checks: [RangeCheck<'_>; 6] = [
        (
            "sequence.window",
            &sequence.window,
            (1..=WINDOW_MAX).contains(&sequence.window),
            "1 to 50",
        ),
        (
            "sequence.step_decay",
            &sequence.step_decay,
            is_share(sequence.step_decay) && sequence.step_decay > 0.0,
            "above 0, at most 1",
        ),
        (
            "sequence.backward",
            &sequence.backward,
            is_share(sequence.backward),
            "0 to 1",
        ),
        (
            "sequence.kept",
            &sequence.kept,
            (1..=TRANSITIONS_MAX).contains(&sequence.kept),
            "1 to 256",
        ),
        (
            "sequence.recents",
            &sequence.recents,
            (1..=RECENTS_MAX).contains(&sequence.recents),
            "1 to 100",
        ),
        (
            "sequence.recent_decay",
            &sequence.recent_decay,
            is_share(sequence.recent_decay) && sequence.recent_decay > 0.0,
            "above 0, at most 1",
        ),
    ];
    check_ranges(&checks)
}

impl Model {
    /// Fits the sides `sequence`, `repeat` and `trend` anew as `params` say, or drops them; factors,
    /// content and history stay. Costs a few passes over the events and no ALS: for a search over
    /// half-lives and the like. `data` are the events that the model was fitted on. The same sides
    /// come out as of [`crate::fit()`] with these parameters, to the bit.
    ///
    /// # Errors
    /// Bad parameters by name; a side that needs times which the events lack; events of other people
    /// or products than the model's. The model stays as it was.
    pub fn refit_sides(
        &mut self,
        data: &Interactions,
        params: &SidesParams,
        workers: impl Into<Workers>,
    ) -> Result<(), FitError> {
        check(params)?;
        let product = |id: &String| self.products().find(id).map(|product| product.0);
        let rows: Option<Vec<u32>> = data.products().iter().map(product).collect();
        let users = self.users().ids().iter();
        let Some(rows) = rows.filter(|_| users.eq(data.users().iter().map(String::as_str))) else {
            return Err(FitError::OtherEvents);
        };
        let events: Vec<Event> = data
            .events()
            .iter()
            .map(|event| Event {
                product: rows[event.product as usize],
                ..*event
            })
            .collect();
        let as_of_s = as_of_s(data);
        let data = SideData {
            events: &events,
            products: self.products().len(),
            as_of_s,
        };
        super::scoring::check(&self.parameters().scoring, params)?;
        let fitted = fit(data, params, workers.into().machine())?;
        let pairs = fitted
            .frequencies
            .as_ref()
            .map(|fitted| fitted.weights.as_slice().len());
        if pairs.is_some_and(|pairs| pairs != self.history().interactions()) {
            return Err(FitError::OtherEvents);
        }
        self.replace_sides(fitted, params, as_of_s);
        Ok(())
    }
}

#[cfg(test)]
mod tests;
