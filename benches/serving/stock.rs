//! The synthetic shop that the measured server serves: products with texts and prices, and users with some fifty
//! interactions each, of skewed or even popularity.

#![allow(
    dead_code,
    reason = "each bench uses what it measures of this; the compiler sees one bench at a time"
)]

use anyhow::Context;
use bytes::Bytes;
use hotshelf::grpc::proto::RecommendRequest;
use hotshelf_model::{
    AlsParams, CardExtra, FitParams, InteractionsBuilder, Packed, ProductInfo, ScoringParams,
    SidesParams, Weights, fit,
};
use hotshelf_registry::{
    Lineage, ModelName, NewPart, NewVersion, Registry, RolloutDraft, S3Options, Version,
};
use prost::Message;
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::num::NonZeroUsize;
use std::path::Path;

/// ALS factors.
pub(crate) const FACTORS: usize = 64;
/// Products that a person has, but for those that were bought twice.
pub(crate) const EVENTS_PER_USER: usize = 50;
/// Groups of taste; a person buys from one of them four times out of five.
const TASTES: usize = 40;
/// Words that names are made of; each product has four of them.
const WORDS: usize = 400;
const BRANDS: usize = 100;

/// Weights of the sides; what they are costs nothing.
const WEIGHTS: Weights = Weights {
    collaborative: 1.0,
    content: 0.3,
    sequence: 0.5,
    repeat: 0.45,
    trend: 0.2,
};

/// A synthetic shop.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stock {
    pub(crate) products: usize,
    pub(crate) users: usize,
    /// 0: every product sells alike; 1: few of them sell most.
    pub(crate) skew: f64,
    /// Whether the version has the sides sequence, repeat and trend, and weights to blend all five by.
    pub(crate) has_sides: bool,
}

impl Stock {
    /// All its people, whichever shop it is.
    pub(crate) fn people(self) -> Vec<String> {
        (0..self.users).map(|row| format!("u{row:05}")).collect()
    }

    /// An encoded RecommendRequest for each of them, with nothing but the user in it.
    pub(crate) fn requests(self) -> Vec<Vec<u8>> {
        let request = |user_id| RecommendRequest {
            user_id,
            ..RecommendRequest::default()
        };
        let people = self.people().into_iter();
        people.map(|user| request(user).encode_to_vec()).collect()
    }
}

/// Fits the shop and publishes it as the next version of model `default`.
pub(crate) fn publish(folder: &Path, stock: Stock) -> anyhow::Result<Version> {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let mut roll = || f64::from(dice.next_u32()) / f64::from(u32::MAX);
    let mut builder = InteractionsBuilder::new();
    let products = stock.products;
    (0..products).for_each(|row| builder.add_product(&id(row)));
    for (row, user) in stock.people().iter().enumerate() {
        for event in 0..EVENTS_PER_USER {
            // A power of a uniform number piles up at its low end: few products, many sales.
            let rank = (roll().powf(1.0 + 3.0 * stock.skew) * products as f64) as usize % products;
            let is_to_taste = roll() < 0.8;
            let product = if is_to_taste {
                rank - rank % TASTES + row % TASTES
            } else {
                rank
            };
            builder.add(user, &id(product % products), 1.0, event as i64);
        }
    }
    let catalogue: Vec<ProductInfo> = (0..products).map(|row| described(row, &mut roll)).collect();
    let als = AlsParams {
        factors: FACTORS,
        iterations: 5,
        ..AlsParams::default()
    };
    let params = FitParams {
        als,
        sides: match stock.has_sides {
            true => SidesParams::all(),
            false => SidesParams::default(),
        },
        scoring: ScoringParams {
            weights: stock.has_sides.then_some(WEIGHTS),
            ..ScoringParams::default()
        },
        ..FitParams::default()
    };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let model = fit(&builder.build(), &catalogue, &params, threads, &mut |_| {})?;
    let packed = model.pack(CardExtra {
        evaluation: None,
        golden_queries: 8,
    })?;
    let new = new_version(packed)?;
    blocking(async {
        let published = registry(folder)?.publish(&name()?, new).await;
        Ok(published.context("publishing")?.version)
    })
}

/// Gives a version all traffic, past any server.
pub(crate) fn go_live(folder: &Path, version: Version) -> anyhow::Result<()> {
    blocking(async {
        let (registry, name) = (registry(folder)?, name()?);
        let log = registry.rollouts(&name).await?;
        let draft = RolloutDraft::all_to(version, "bench", "measured");
        registry.propose(&log, draft).await?;
        Ok(())
    })
}

/// A product whose texts follow its group of taste.
fn described(row: usize, roll: &mut impl FnMut() -> f64) -> ProductInfo {
    let mut word = || format!("word{}", (roll() * WORDS as f64) as usize % WORDS);
    let name = [word(), word(), word(), word()].join(" ");
    ProductInfo {
        id: id(row),
        name: Some(name),
        category: Some(format!("category{}", row % TASTES)),
        brand: Some(format!("brand{}", row % BRANDS)),
        description: None,
        price: Some((1.0 + 99.0 * roll()) as f32),
        embedding: None,
    }
}

fn id(row: usize) -> String {
    format!("p{row:05}")
}

fn new_version(packed: Packed) -> anyhow::Result<NewVersion> {
    let mut parts = Vec::new();
    for part in packed.parts {
        let bytes = Bytes::from(part.bytes);
        parts.push(NewPart::required(part.name.parse()?, bytes));
    }
    Ok(NewVersion {
        parts,
        card: serde_json::to_value(&packed.card)?,
        lineage: Lineage::default(),
        author: "bench".to_owned(),
    })
}

fn registry(folder: &Path) -> anyhow::Result<Registry> {
    let url = format!("file://{}", folder.join("registry").display());
    Ok(Registry::open(&url, &S3Options::default())?)
}

fn name() -> anyhow::Result<ModelName> {
    Ok("default".parse()?)
}

fn blocking<T>(work: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime.block_on(work)
}
