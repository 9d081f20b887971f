//! The `[model]` and `[content]` tables: parameters of a shop's models.
//!
//! Both are also command-line flags, which override the file. So the types here hold options, are
//! merged by [`ModelSettings::over`], and only [`ModelSettings::params`] fills in defaults.

use std::ops::RangeInclusive;

use hotshelf_model::{ContentParams, FACTORS_MAX, FitParams, IndexChoice};

use super::section::{Section, Value};

const FACTORS: RangeInclusive<u64> = 1..=FACTORS_MAX as u64;
const ITERATIONS: RangeInclusive<u64> = 1..=1000;
const WEIGHT: RangeInclusive<f64> = 1e-6..=1e6;
const PRODUCTS: RangeInclusive<u64> = 1..=1_000_000;
const RECENT: RangeInclusive<u64> = 1..=1000;
const RECENTS: RangeInclusive<u64> = 1..=100;
const TERMS: RangeInclusive<u64> = 0..=10_000;
const NGRAM: RangeInclusive<u64> = 1..=3;
const SHARE: RangeInclusive<f64> = 0.0..=1.0;
const INDEXES: [(&str, IndexChoice); 3] = [
    ("auto", IndexChoice::Auto),
    ("exact", IndexChoice::Exact),
    ("hnsw", IndexChoice::Hnsw),
];
/// TOML has no larger whole number.
const SEED: RangeInclusive<u64> = 0..=i64::MAX as u64;

/// Model parameters that were set.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Model parameters")]
pub struct ModelSettings {
    /// Set the number of ALS factors [default: 64]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(FACTORS))]
    pub factors: Option<u64>,
    /// Weigh the factors' squared norms [default: 0.01]
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true, value_parser = weight)]
    pub regularization: Option<f64>,
    /// Set the number of ALS iterations [default: 15]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(ITERATIONS))]
    pub iterations: Option<u64>,
    /// Weigh interaction values: c = 1 + confidence × value [default: 0.1]
    #[arg(long, value_name = "WEIGHT", allow_negative_numbers = true, value_parser = weight)]
    pub confidence: Option<f64>,
    /// Seed the fit, the samples and the bootstrap [default: 42]
    #[arg(long, value_name = "SEED", value_parser = clap::value_parser!(u64).range(SEED))]
    pub seed: Option<u64>,
    /// Set the fewest distinct products of a light user [default: 5]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(PRODUCTS))]
    pub light_from: Option<u64>,
    /// Set the fewest distinct products of a heavy user [default: 50]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(PRODUCTS))]
    pub heavy_from: Option<u64>,
    /// Store this many recent products per user [default: 20]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(RECENT))]
    pub recent_max: Option<u64>,
    /// Weigh the collaborative score in the hybrid [default: 0.7]
    #[arg(long, value_name = "0..1", allow_negative_numbers = true, value_parser = share)]
    pub alpha: Option<f64>,
    /// Sum the content score over this many recents [default: 5]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(RECENTS))]
    pub recents: Option<u64>,
    /// Choose the plan of every index [default: auto]
    #[arg(long, value_name = "auto|exact|hnsw", value_parser = index_choice)]
    pub index: Option<IndexChoice>,
    /// Parameters of content embeddings.
    #[command(flatten)]
    pub content: ContentSettings,
}

/// Parameters of content embeddings that were set.
#[derive(Debug, Clone, Default, PartialEq, clap::Args)]
#[command(next_help_heading = "Content parameters")]
pub struct ContentSettings {
    /// Limit the vocabulary; 0 omits content [default: 500]
    #[arg(long, value_name = "TERMS", value_parser = clap::value_parser!(u64).range(TERMS))]
    pub terms_max: Option<u64>,
    /// Limit terms to this many words [default: 1]
    #[arg(long, value_name = "WORDS", value_parser = clap::value_parser!(u64).range(NGRAM))]
    pub ngram_max: Option<u64>,
    /// Damp term counts to 1 + ln(count) [default: false]
    #[arg(long, value_name = "true|false", hide_possible_values = true)]
    pub sublinear_tf: Option<bool>,
    /// Require terms in this many products [default: 1]
    #[arg(long, value_name = "COUNT", value_parser = clap::value_parser!(u64).range(PRODUCTS))]
    pub min_df: Option<u64>,
    /// Weigh the standardised log price beside the text [default: 0.2]
    #[arg(long, value_name = "0..1", allow_negative_numbers = true, value_parser = share)]
    pub price_scale: Option<f64>,
}

/// Parses a weight of the command line.
fn weight(text: &str) -> Result<f64, String> {
    number_in(text, WEIGHT)
}

/// Parses a share of the command line.
fn share(text: &str) -> Result<f64, String> {
    number_in(text, SHARE)
}

fn number_in(text: &str, range: RangeInclusive<f64>) -> Result<f64, String> {
    let number: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if range.contains(&number) {
        Ok(number)
    } else {
        let (low, high) = range.into_inner();
        Err(format!("not in {low} to {high}"))
    }
}

/// Parses the name of a plan.
fn index_choice(text: &str) -> Result<IndexChoice, String> {
    let found = INDEXES.iter().find(|(name, _)| *name == text);
    found
        .map(|(_, choice)| *choice)
        .ok_or_else(|| format!("is {text:?}, neither auto, exact nor hnsw"))
}

impl ModelSettings {
    /// These settings where set, else `lower`'s.
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
            alpha: self.alpha.or(lower.alpha),
            recents: self.recents.or(lower.recents),
            index: self.index.or(lower.index),
            content: self.content.over(&lower.content),
        }
    }

    /// The parameters of a fit, with defaults for settings that are not set.
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
        let scoring = &mut params.scoring;
        scoring.alpha = self.alpha.unwrap_or(scoring.alpha);
        scoring.recents = self.recents.map_or(scoring.recents, |n| n as usize);
        params.index = self.index.unwrap_or(params.index);
        self.content.set(&mut params.content);
        params
    }
}

impl ContentSettings {
    fn over(&self, lower: &Self) -> Self {
        Self {
            terms_max: self.terms_max.or(lower.terms_max),
            ngram_max: self.ngram_max.or(lower.ngram_max),
            sublinear_tf: self.sublinear_tf.or(lower.sublinear_tf),
            min_df: self.min_df.or(lower.min_df),
            price_scale: self.price_scale.or(lower.price_scale),
        }
    }

    fn set(&self, params: &mut ContentParams) {
        params.terms_max = self.terms_max.map_or(params.terms_max, |n| n as usize);
        params.ngram_max = self.ngram_max.map_or(params.ngram_max, |n| n as usize);
        params.sublinear_tf = self.sublinear_tf.unwrap_or(params.sublinear_tf);
        params.min_df = self.min_df.map_or(params.min_df, |n| n as usize);
        params.price_scale = self.price_scale.map_or(params.price_scale, |x| x as f32);
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
    let recents = whole("recents", RECENTS);
    let mut weight = |key| section.value(key).and_then(|value| value.number_in(WEIGHT));
    let regularization = weight("regularization");
    let confidence = weight("confidence");
    let alpha = section
        .value("alpha")
        .and_then(|value| value.number_in(SHARE));
    let index = section.value("index").as_ref().and_then(read_index);
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
        alpha,
        recents,
        index,
        content: ContentSettings::default(),
    }
}

fn read_index(value: &Value<'_>) -> Option<IndexChoice> {
    index_choice(&value.text()?)
        .map_err(|why| value.complain(why))
        .ok()
}

pub(super) fn read_content(section: Option<Section<'_>>) -> ContentSettings {
    let Some(mut section) = section else {
        return ContentSettings::default();
    };
    let mut whole = |key, range| section.value(key).and_then(|value| value.whole_in(range));
    let terms_max = whole("terms_max", TERMS);
    let ngram_max = whole("ngram_max", NGRAM);
    let min_df = whole("min_df", PRODUCTS);
    let sublinear_tf = section
        .value("sublinear_tf")
        .and_then(|value| value.boolean());
    let price_scale = section
        .value("price_scale")
        .and_then(|value| value.number_in(SHARE));
    section.finish();
    ContentSettings {
        terms_max,
        ngram_max,
        sublinear_tf,
        min_df,
        price_scale,
    }
}
