//! What the measured server serves: 20,000 products with texts and prices, and people with some fifty
//! of them each, fitted from made-up interactions whose popularity is skewed or even.

use anyhow::Context;
use bytes::Bytes;
use hotshelf_model::{
    AlsParams, CardExtra, FitParams, InteractionsBuilder, Packed, ProductInfo, fit,
};
use hotshelf_registry::{
    Lineage, ModelName, NewPart, NewVersion, Registry, RolloutDraft, S3Options,
};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// Products in the catalogue.
pub(crate) const PRODUCTS: usize = 20_000;
/// ALS factors.
pub(crate) const FACTORS: usize = 64;
const USERS: usize = 4_000;
/// Products that a person has, but for those that were bought twice.
pub(crate) const EVENTS_PER_USER: usize = 50;
/// Groups of taste; a person buys from one of them four times out of five.
const TASTES: usize = 40;
/// Words that names are made of; each product has four of them.
const WORDS: usize = 400;
const BRANDS: usize = 100;

/// Publishes a version and makes it live; returns all users.
pub(crate) fn publish(folder: &Path, skew: f64) -> anyhow::Result<Arc<Vec<String>>> {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let mut roll = || f64::from(dice.next_u32()) / f64::from(u32::MAX);
    let mut builder = InteractionsBuilder::new();
    (0..PRODUCTS).for_each(|row| builder.add_product(&id(row)));
    let users: Vec<String> = (0..USERS).map(|row| format!("u{row:05}")).collect();
    for (row, user) in users.iter().enumerate() {
        for event in 0..EVENTS_PER_USER {
            // A power of a uniform number piles up at its low end: few products, many sales.
            let rank = (roll().powf(1.0 + 3.0 * skew) * PRODUCTS as f64) as usize % PRODUCTS;
            let is_to_taste = roll() < 0.8;
            let product = if is_to_taste {
                rank - rank % TASTES + row % TASTES
            } else {
                rank
            };
            builder.add(user, &id(product % PRODUCTS), 1.0, event as i64);
        }
    }
    let catalogue: Vec<ProductInfo> = (0..PRODUCTS).map(|row| described(row, &mut roll)).collect();
    let als = AlsParams {
        factors: FACTORS,
        iterations: 5,
        ..AlsParams::default()
    };
    let params = FitParams {
        als,
        ..FitParams::default()
    };
    let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let model = fit(&builder.build(), &catalogue, &params, threads, &mut |_| {})?;
    let packed = model.pack(CardExtra {
        evaluation: None,
        probes: 8,
    })?;
    go_live(folder, packed)?;
    Ok(Arc::new(users))
}

/// A product whose texts tell its taste and little else.
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

fn go_live(folder: &Path, packed: Packed) -> anyhow::Result<()> {
    let mut parts = Vec::new();
    for part in packed.parts {
        parts.push(NewPart {
            name: part.name.parse()?,
            bytes: Bytes::from(part.bytes),
        });
    }
    let card = serde_json::to_value(&packed.card)?;
    let new = NewVersion {
        parts,
        card,
        lineage: Lineage::default(),
        author: "bench".to_owned(),
    };
    let url = format!("file://{}", folder.join("registry").display());
    let registry = Registry::open(&url, &S3Options::default())?;
    let name: ModelName = "default".parse()?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    runtime
        .block_on(async {
            let version = registry.publish(&name, new).await?.version;
            let log = registry.rollouts(&name).await?;
            registry
                .propose(&log, RolloutDraft::all_to(version, "bench", "measured"))
                .await?;
            anyhow::Ok(())
        })
        .context("publishing the measured version")
}
