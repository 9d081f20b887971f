//! Which parameters are tried, in which order.
//!
//! First come starts: the replaced service's parameters, then such as were good on other shops. Every
//! later trial changes one parameter of the best trial so far by one step, the parameters in turn, and
//! none that the best trial's weights make idle. So twelve trials look at what matters first and two
//! hundred walk on from there.

use std::collections::BTreeMap;

use hotshelf_model::{FitParams, RepeatParams, Side, SidesParams, TrendParams};

use super::{Finished, TuneOptions, best};

/// Factors, regularization and confidence to start with. The first is the replaced service's; of the
/// others each was best on one kind of shop that the project was measured on.
const STARTS: [(usize, f32, f32); 6] = [
    (64, 0.01, 0.1),
    (64, 30.0, 0.3),
    (128, 30.0, 0.3),
    (64, 100.0, 1.0),
    (128, 100.0, 0.3),
    (128, 10.0, 0.1),
];
/// Factors that are tried (chosen: more cost more than they bring).
const FACTORS: (usize, usize) = (16, 256);
/// Least and greatest regularization and confidence.
const REGULARIZATION: (f32, f32) = (0.01, 1000.0);
const CONFIDENCE: (f32, f32) = (0.003, 30.0);
/// Half-lives in days.
const REPEAT_DAYS: (f64, f64) = (7.0, 1000.0);
const TREND_DAYS: (f64, f64) = (1.0, 120.0);

/// One step of one parameter.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Move {
    Trend(f64),
    Repeat(f64),
    Regularization(f32),
    Confidence(f32),
    Factors(f64),
}

/// The steps in the order in which they are tried. Confidence goes by threes, since what an event is
/// worth differs by as much between shops; regularization by twos, since the starts lie close.
const MOVES: [Move; 10] = [
    Move::Trend(2.0),
    Move::Repeat(0.5),
    Move::Regularization(0.5),
    Move::Confidence(3.0),
    Move::Regularization(2.0),
    Move::Confidence(0.33),
    Move::Trend(0.5),
    Move::Repeat(2.0),
    Move::Factors(2.0),
    Move::Factors(0.5),
];

/// The space of a search.
pub(super) struct Space<'a> {
    plain: FitParams,
    tune: &'a TuneOptions,
}

impl<'a> Space<'a> {
    pub(super) fn new(
        params: &FitParams,
        tune: &'a TuneOptions,
        (has_times, include_seen): (bool, bool),
    ) -> Self {
        let mut plain = params.clone();
        plain.sides = sides(has_times, include_seen);
        Self { plain, tune }
    }

    /// The parameters of the next trial; None where every step from the best was tried.
    pub(super) fn next(&self, finished: &[Finished]) -> Option<FitParams> {
        let tried =
            |params: &FitParams| finished.iter().any(|trial| is_same(&trial.params, params));
        let mut starts = STARTS.iter().map(|start| self.start(*start));
        if let Some(start) = starts.find(|params| !tried(params)) {
            return Some(start);
        }
        let best = best(finished)?;
        let mut moved = MOVES
            .iter()
            .filter_map(|step| self.moved(&best.params, *step));
        moved.find(|params| !tried(params))
    }

    fn start(&self, (factors, regularization, confidence): (usize, f32, f32)) -> FitParams {
        let fixed = &self.tune.fixed;
        let mut params = self.plain.clone();
        let als = &mut params.als;
        if fixed.factors.is_none() {
            als.factors = factors;
        }
        if fixed.regularization.is_none() {
            als.regularization = regularization;
        }
        if fixed.confidence.is_none() {
            als.confidence = confidence;
        }
        params
    }

    /// None where the step leads nowhere: the parameter is fixed, at its limit, or of a side that
    /// these data have not or that got no weight.
    fn moved(&self, from: &FitParams, step: Move) -> Option<FitParams> {
        let fixed = &self.tune.fixed;
        let has_weight = |side: Side| {
            let weights = from.scoring.weights;
            weights.is_none_or(|weights| *weights.get(side) > 0.0)
        };
        let mut params = from.clone();
        match step {
            Move::Trend(_) if !has_weight(Side::Trend) => return None,
            Move::Repeat(_) if !has_weight(Side::Repeat) => return None,
            Move::Trend(times) => {
                let trend = params.sides.trend.as_mut()?;
                trend.half_life_days = within(trend.half_life_days * times, TREND_DAYS)?;
            }
            Move::Repeat(times) => {
                let repeat = params.sides.repeat.as_mut()?;
                let days = repeat.half_life_days?;
                repeat.half_life_days = Some(within(days * times, REPEAT_DAYS)?);
            }
            Move::Regularization(times) if fixed.regularization.is_none() => {
                let als = &mut params.als;
                als.regularization = within(round(als.regularization * times), REGULARIZATION)?;
            }
            Move::Confidence(times) if fixed.confidence.is_none() => {
                let als = &mut params.als;
                als.confidence = within(round(als.confidence * times), CONFIDENCE)?;
            }
            Move::Factors(times) if fixed.factors.is_none() => {
                let als = &mut params.als;
                als.factors = within((als.factors as f64 * times) as usize, FACTORS)?;
            }
            Move::Regularization(_) | Move::Confidence(_) | Move::Factors(_) => return None,
        }
        Some(params)
    }
}

/// Sides that these data can have: nothing decays without times, and nothing is repeated where
/// products already had do not come back.
fn sides(has_times: bool, include_seen: bool) -> SidesParams {
    let all = SidesParams::all();
    let half_life_days = RepeatParams::default().half_life_days.filter(|_| has_times);
    SidesParams {
        repeat: include_seen.then_some(RepeatParams { half_life_days }),
        trend: all.trend.filter(|_| has_times),
        ..all
    }
}

/// Whether two trials fit the same; what is found without a fit does not count.
fn is_same(one: &FitParams, other: &FitParams) -> bool {
    one.als == other.als && one.content == other.content && one.sides == other.sides
}

fn within<T: PartialOrd>(value: T, (least, greatest): (T, T)) -> Option<T> {
    (value >= least && value <= greatest).then_some(value)
}

/// Two significant digits, so that the card reads well.
fn round(value: f32) -> f32 {
    format!("{value:.1e}").parse().unwrap_or(value)
}

/// Everything that the search varies, by name.
pub(super) fn named(params: &FitParams) -> BTreeMap<String, f64> {
    let FitParams {
        als,
        scoring,
        sides,
        ..
    } = params;
    let exact = |value: f32| value.to_string().parse::<f64>().unwrap_or_default();
    let mut named = vec![
        ("factors".to_owned(), als.factors as f64),
        ("regularization".to_owned(), exact(als.regularization)),
        ("confidence".to_owned(), exact(als.confidence)),
        ("alpha".to_owned(), scoring.alpha),
    ];
    let repeat = sides
        .repeat
        .as_ref()
        .and_then(|repeat| repeat.half_life_days);
    named.extend(repeat.map(|days| ("repeat_half_life_days".to_owned(), days)));
    let trend = sides
        .trend
        .as_ref()
        .map(|TrendParams { half_life_days }| *half_life_days);
    named.extend(trend.map(|days| ("trend_half_life_days".to_owned(), days)));
    for (side, weight) in scoring.weights.iter().flat_map(|weights| weights.iter()) {
        named.push((format!("weight_{}", side.as_str()), *weight));
    }
    named.into_iter().collect()
}
