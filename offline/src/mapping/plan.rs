//! The `[evaluation]` and `[model]` tables: how a shop's models are fitted and judged.
//!
//! Both are also flags of the command line, which win over the file; so the types here are made of
//! options, laid over each other, and only [`ModelSettings::params`] fills in the defaults.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;

use hotshelf_model::{FACTORS_MAX, FitParams};

use super::section::Section;
use super::value::Value;
use crate::instant::parse_instant;

/// Where past and future are divided.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Cut {
    /// At a moment, in seconds since 1970.
    At(i64),
    /// At the midnight before the last share of all events (0 to 1).
    LastShare(f64),
}

/// What happens to products that a user already had when the future is predicted.
///
/// The rule holds for the ranked list and for what counts as a hit alike: leaving seen products
/// out of the list and then looking for them would score zero by construction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Seen {
    /// Not ranked, not looked for: can the model find what is new to somebody?
    Excluded,
    /// Ranked and looked for: can it say what somebody will do next, repeats included?
    Included,
}

impl Seen {
    /// The word in files, flags and reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Excluded => "excluded",
            Self::Included => "included",
        }
    }
}

/// How models of a shop are evaluated.
#[derive(Debug, Clone, PartialEq)]
pub struct EvaluationPlan {
    /// Where past and future are divided.
    pub cut: Cut,
    /// Length of the ranked lists.
    pub k: usize,
    /// What happens to products already had.
    pub seen: Seen,
    /// Interaction types that count as hits; all of them if empty.
    pub relevant: Vec<String>,
}

impl Default for EvaluationPlan {
    /// The last fifth of the events, lists of 10, seen products out, as the server leaves them out.
    fn default() -> Self {
        Self {
            cut: Cut::LastShare(0.2),
            k: 10,
            seen: Seen::Excluded,
            relevant: Vec::new(),
        }
    }
}

/// Longest list that is evaluated; the server's own limit.
pub(crate) const K_MAX: u64 = 100;
const FACTORS: RangeInclusive<u64> = 1..=FACTORS_MAX as u64;
const ITERATIONS: RangeInclusive<u64> = 1..=1000;
const WEIGHT: RangeInclusive<f64> = 1e-6..=1e6;
const PRODUCTS: RangeInclusive<u64> = 1..=1_000_000;
const RECENT: RangeInclusive<u64> = 1..=1000;
/// TOML has no larger whole number.
const SEED: RangeInclusive<u64> = 0..=i64::MAX as u64;

/// Parameters of a model as far as somebody set them.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Model parameters")]
pub struct ModelSettings {
    /// Length of a factor row [default: 64]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(FACTORS))]
    pub factors: Option<u64>,
    /// Weight of the factors' squared norms [default: 0.01]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = weight)]
    pub regularization: Option<f64>,
    /// Alternations of ALS [default: 15]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(ITERATIONS))]
    pub iterations: Option<u64>,
    /// Weight of an interaction value: c = 1 + confidence × value [default: 0.1]
    #[arg(long, value_name = "X", allow_negative_numbers = true, value_parser = weight)]
    pub confidence: Option<f64>,
    /// Seed of the first factors and of the printed samples [default: 42]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(SEED))]
    pub seed: Option<u64>,
    /// Distinct products from which a user counts as light; below as new [default: 5]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(PRODUCTS))]
    pub light_from: Option<u64>,
    /// Distinct products from which a user counts as heavy [default: 50]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(PRODUCTS))]
    pub heavy_from: Option<u64>,
    /// Last products of a user that the model keeps in order [default: 20]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(RECENT))]
    pub recent_max: Option<u64>,
}

/// A weight of the command line.
fn weight(text: &str) -> Result<f64, String> {
    let (low, high) = WEIGHT.into_inner();
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if WEIGHT.contains(&number) {
        Ok(number)
    } else {
        Err(format!("not in {low} to {high}"))
    }
}

impl ModelSettings {
    /// These settings where they say something, else `lower`'s.
    #[must_use]
    pub fn over(&self, lower: &Self) -> Self {
        Self {
            factors: self.factors.or(lower.factors),
            regularization: self.regularization.or(lower.regularization),
            iterations: self.iterations.or(lower.iterations),
            confidence: self.confidence.or(lower.confidence),
            seed: self.seed.or(lower.seed),
            light_from: self.light_from.or(lower.light_from),
            heavy_from: self.heavy_from.or(lower.heavy_from),
            recent_max: self.recent_max.or(lower.recent_max),
        }
    }

    /// The parameters of a fit, with the model's defaults where nothing is set.
    pub fn params(&self) -> FitParams {
        let mut params = FitParams::default();
        let als = &mut params.als;
        als.factors = self.factors.map_or(als.factors, |n| n as usize);
        als.regularization = self.regularization.map_or(als.regularization, |x| x as f32);
        als.iterations = self.iterations.map_or(als.iterations, |n| n as usize);
        als.confidence = self.confidence.map_or(als.confidence, |x| x as f32);
        als.seed = self.seed.unwrap_or(als.seed);
        let segments = &mut params.segments;
        segments.light_from = self.light_from.map_or(segments.light_from, |n| n as u32);
        segments.heavy_from = self.heavy_from.map_or(segments.heavy_from, |n| n as u32);
        params.recent_max = self.recent_max.map_or(params.recent_max, |n| n as usize);
        params
    }
}

pub(super) fn read_model(section: Option<Section<'_>>) -> ModelSettings {
    let Some(mut section) = section else {
        return ModelSettings::default();
    };
    let mut whole = |key, range| {
        section
            .value(key)
            .and_then(|value: Value<'_>| value.whole_in(range))
    };
    let factors = whole("factors", FACTORS);
    let iterations = whole("iterations", ITERATIONS);
    let seed = whole("seed", SEED);
    let light_from = whole("light_from", PRODUCTS);
    let heavy_from = whole("heavy_from", PRODUCTS);
    let recent_max = whole("recent_max", RECENT);
    let mut weight = |key| section.value(key).and_then(|value| value.number_in(WEIGHT));
    let regularization = weight("regularization");
    let confidence = weight("confidence");
    section.finish();
    ModelSettings {
        factors,
        regularization,
        iterations,
        confidence,
        seed,
        light_from,
        heavy_from,
        recent_max,
    }
}

pub(super) fn read_evaluation(
    section: Option<Section<'_>>,
    values: &BTreeMap<String, f32>,
) -> EvaluationPlan {
    let mut plan = EvaluationPlan::default();
    let Some(mut section) = section else {
        return plan;
    };
    let at = section.value("cut");
    let share = section.value("last_share");
    if at.is_some() && share.is_some() {
        section.complain("needs either cut or last_share, not both");
    }
    if let Some(at) = at.as_ref().and_then(read_cut) {
        plan.cut = at;
    }
    if let Some(share) = share.and_then(|value| value.number_in(0.001..=0.999)) {
        plan.cut = Cut::LastShare(share);
    }
    if let Some(k) = section
        .value("k")
        .and_then(|value| value.whole_in(1..=K_MAX))
    {
        plan.k = k as usize;
    }
    if let Some(seen) = section.value("seen").as_ref().and_then(read_seen) {
        plan.seen = seen;
    }
    if let Some(value) = section.value("relevant") {
        plan.relevant = value.texts().unwrap_or_default();
        for kind in plan
            .relevant
            .iter()
            .filter(|kind| !values.contains_key(*kind))
        {
            value.complain(format!(
                "names {kind:?}, an interaction type without a worth"
            ));
        }
    }
    section.finish();
    plan
}

fn read_cut(value: &Value<'_>) -> Option<Cut> {
    let text = value.date()?;
    parse_instant(&text)
        .map(Cut::At)
        .map_err(|why| value.complain(format!("is wrong: {why}")))
        .ok()
}

fn read_seen(value: &Value<'_>) -> Option<Seen> {
    match value.text()?.as_str() {
        "excluded" => Some(Seen::Excluded),
        "included" => Some(Seen::Included),
        other => {
            value.complain(format!("is {other:?}, neither excluded nor included"));
            None
        }
    }
}
