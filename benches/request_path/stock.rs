//! What the measured server serves: 10,000 products and people with some fifty of them each, fitted
//! from made-up interactions whose popularity is skewed or even.

use anyhow::Context;
use bytes::Bytes;
use hotshelf_model::{
    AlsParams, CardExtra, FitParams, InteractionsBuilder, Packed, ProductInfo, fit,
};
use hotshelf_registry::{Lineage, ModelName, NewPart, NewVersion, Registry, RolloutDraft};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;

/// Products in the catalogue.
pub(crate) const PRODUCTS: usize = 10_000;
/// ALS factors.
pub(crate) const FACTORS: usize = 64;
const USERS: usize = 4_000;
const EVENTS_PER_USER: usize = 50;
/// Groups of taste; a person buys from one of them four times out of five.
const TASTES: usize = 40;

/// Publishes a version and makes it live; returns all users.
pub(crate) fn publish(folder: &Path, skew: f64) -> anyhow::Result<Arc<Vec<String>>> {
    let mut dice = ChaCha8Rng::seed_from_u64(7);
    let mut roll = move || f64::from(dice.next_u32()) / f64::from(u32::MAX);
    let mut builder = InteractionsBuilder::new();
    let id = |row: usize| format!("p{row:05}");
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
    let info = |row: usize| ProductInfo {
        id: id(row),
        name: None,
        category: None,
        brand: None,
        description: None,
        price: None,
        embedding: None,
    };
    let catalogue: Vec<ProductInfo> = (0..PRODUCTS).map(info).collect();
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
        parameters: params,
        evaluation: None,
        probes: 8,
    })?;
    go_live(folder, packed)?;
    Ok(Arc::new(users))
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
    let registry = Registry::open(&format!("file://{}", folder.join("registry").display()))?;
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
