//! The report of a training or an evaluation: as text, as one JSON object, as one HTML page.

pub(super) mod html;
mod text;

use std::collections::BTreeMap;
use std::path::PathBuf;

use hotshelf_model::{Basis, FitParams, IndexCard, Side, Trial};
use serde::Serialize;

use super::publish::Published;
use crate::evaluate::EvaluationReport;
use crate::ingest::{EmbeddingsReport, IngestReport, JoinReport, SourceReport};
use crate::sample::{ProductSample, Sample};
use crate::shop::Shop;
use crate::time_format::date;
use crate::tune::TuningReport;

/// The report of one run.
#[derive(Serialize)]
pub(super) struct RunReport {
    pub(super) shop: ShopSummary,
    pub(super) parameters: FitParams,
    /// The search that found them; absent where there was none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) tuning: Option<TuningReport>,
    pub(super) evaluation: EvaluationReport,
    /// Whether the model was fitted again on all events; absent where none was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) refit: Option<bool>,
    /// Users with their lists.
    pub(super) samples: Vec<Sample>,
    /// Products with their neighbours.
    pub(super) product_samples: Vec<ProductSample>,
    /// Plan of each index by name; empty where no model was made.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) index: BTreeMap<String, IndexCard>,
    /// Folder of the packed model.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) packed: Option<PathBuf>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) size_bytes: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) published: Option<Published>,
}

/// The numbers of a shop.
#[derive(Serialize)]
pub(super) struct ShopSummary {
    name: String,
    events: SourceReport,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue: Option<SourceReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    catalogue_join: Option<JoinReport>,
    #[serde(skip_serializing_if = "Option::is_none")]
    embeddings: Option<EmbeddingsReport>,
    users: usize,
    products: usize,
    /// Products of events and catalogue together.
    catalogue_products: usize,
    pairs: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    sessions: Option<u64>,
    /// Absent where events have no times.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_day: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    last_day: Option<String>,
}

impl ShopSummary {
    pub(super) fn of(shop: &Shop, read: IngestReport) -> Self {
        let (first_s, last_s) = shop.period_s().unzip();
        Self {
            name: shop.name.clone(),
            events: read.events,
            catalogue: read.catalogue,
            catalogue_join: read.catalogue_join,
            embeddings: read.embeddings,
            users: shop.users_len(),
            products: shop.products_len(),
            catalogue_products: shop.product_ids().len(),
            pairs: shop.pairs_len(),
            sessions: shop.sessions,
            first_day: first_s.map(date),
            last_day: last_s.map(date),
        }
    }

    /// First and last day of the events.
    fn period_text(&self) -> String {
        match (&self.first_day, &self.last_day) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "without times".to_owned(),
        }
    }
}

/// Id, name, category and price of a product.
fn product_cells(product: &crate::sample::SampleProduct) -> [String; 4] {
    let name = product.product_name.as_deref().unwrap_or("(no name)");
    let price = product.price.map(|price| format!("{price:.2}"));
    [
        product.product_id.clone(),
        name.to_owned(),
        product.category.clone().unwrap_or_default(),
        price.unwrap_or_default(),
    ]
}

/// All interactions of a user with one product: `purchase ×2, view`.
fn interactions_text(interactions: &BTreeMap<String, u64>) -> String {
    let did = interactions.iter().map(|(kind, count)| match count {
        1 => kind.clone(),
        count => format!("{kind} ×{count}"),
    });
    did.collect::<Vec<String>>().join(", ")
}

/// Plan, recall and speed of an index, where measured.
fn index_text(index: &IndexCard) -> String {
    let recall = index
        .recall_at_10
        .map(|recall| format!(", recall@10 {recall:.4}"));
    let speed = index
        .queries_per_s
        .map(|speed| format!(", {speed:.0} queries/s"));
    let (recall, speed) = (recall.unwrap_or_default(), speed.unwrap_or_default());
    format!("{}{recall}{speed}", index.plan)
}

/// What each side adds to a score: `collaborative 0.32 + trend 0.11`.
fn shares_text(shares: &[(Side, f32)]) -> String {
    let shares = shares.iter();
    let shares = shares.map(|(side, share)| format!("{} {share:.3}", side.as_str()));
    shares.collect::<Vec<String>>().join(" + ")
}

fn basis_text(basis: Basis) -> &'static str {
    match basis {
        Basis::Content => "content",
        Basis::Collaborative => "collaborative factors",
        Basis::Sequence => "what people took next",
    }
}

/// Number, parameters, weights, half-lives and scores of a trial.
fn trial_cells(trial: &Trial) -> [String; 9] {
    let number = |name: &str| {
        let value = trial.parameters.get(name);
        value.map_or_else(String::new, ToString::to_string)
    };
    let score = |name: &str| {
        let value = trial.scores.get(name);
        value.map_or_else(String::new, |value| format!("{value:.4}"))
    };
    let weights = trial.parameters.iter().filter_map(|(name, weight)| {
        let side = name.strip_prefix("weight_")?;
        (*weight > 0.0).then(|| format!("{side} {weight:.2}"))
    });
    let half_lives = ["repeat", "trend"].into_iter().filter_map(|side| {
        let days = trial.parameters.get(&format!("{side}_half_life_days"))?;
        Some(format!("{side} {days} d"))
    });
    [
        trial.number.to_string(),
        number("factors"),
        number("regularization"),
        number("confidence"),
        number("alpha"),
        weights.collect::<Vec<_>>().join(", "),
        half_lives.collect::<Vec<_>>().join(", "),
        score("hybrid"),
        score("blended"),
    ]
}
