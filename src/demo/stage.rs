//! The demo's shop as data to train on: from events to a published version.

use super::AUTHOR;
use super::shop::{EventKind, Shop, ShopSpec, generate};
use anyhow::Context;
use bytes::Bytes;
use hotshelf_model::{CardExtra, FitParams, Interactions, InteractionsBuilder, ProductInfo, fit};
use hotshelf_registry::{Input, Lineage, ModelName, NewPart, NewVersion, Registry, S3Options};
use std::collections::BTreeMap;
use std::fmt;
use std::num::NonZeroUsize;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Golden queries stored with the version.
const PROBES: usize = 16;

/// A published version.
pub(super) struct Published {
    pub(super) version: u64,
    users: usize,
    interactions: usize,
    took: Duration,
}

impl fmt::Display for Published {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "version {}: {} users, {} user-product pairs, trained in {:.1} s",
            self.version,
            self.users,
            self.interactions,
            self.took.as_secs_f64()
        )
    }
}

/// A shop, ready for training.
pub(super) struct Stage {
    shop: Arc<Shop>,
    interactions: Arc<Interactions>,
    catalogue: Arc<Vec<ProductInfo>>,
    names: BTreeMap<String, String>,
    registry: Registry,
}

/// The shop's own weights: what `hotshelf-offline` uses unless a mapping says otherwise.
fn value(kind: EventKind) -> f32 {
    match kind {
        EventKind::View => 1.0,
        EventKind::Click => 2.0,
        EventKind::AddToCart => 5.0,
        EventKind::Purchase => 10.0,
    }
}

impl Stage {
    #[allow(
        clippy::disallowed_methods,
        reason = "the control runtime's blocking pool, no request's"
    )]
    /// Generates the shop and writes its files below `dir`.
    pub(super) async fn build(spec: &ShopSpec, dir: &Path) -> anyhow::Result<Self> {
        let (spec, files) = (spec.clone(), dir.join("shop"));
        let shop = tokio::task::spawn_blocking(move || {
            let shop = generate(&spec);
            shop.write_csv(&files).map(|()| shop)
        });
        let shop = shop.await?.context("the shop's files")?;
        let mut builder = InteractionsBuilder::new();
        for product in shop.products() {
            builder.add_product(&product.id);
        }
        for event in shop.events() {
            let user = &shop.users()[event.user as usize].id;
            let product = &shop.products()[event.product as usize].id;
            builder.add(user, product, value(event.kind), event.at_s);
        }
        let info = |product: &super::shop::ShopProduct| ProductInfo {
            id: product.id.clone(),
            name: Some(product.name.clone()),
            category: Some(product.category.to_owned()),
            brand: Some(product.brand.to_owned()),
            description: product.description.clone(),
            price: Some(product.price),
            embedding: None,
        };
        let described = |product: &super::shop::ShopProduct| {
            (
                product.id.clone(),
                format!(
                    "{} ({}, {:.2})",
                    product.name, product.category, product.price
                ),
            )
        };
        let registry = std::path::absolute(dir.join("registry"))?;
        Ok(Self {
            interactions: Arc::new(builder.build()),
            catalogue: Arc::new(shop.products().iter().map(info).collect()),
            names: shop.products().iter().map(described).collect(),
            registry: Registry::open(
                &format!("file://{}", registry.display()),
                &S3Options::default(),
            )?,
            shop: Arc::new(shop),
        })
    }

    pub(super) fn described(&self) -> String {
        let shop = &self.shop;
        let (products, users, events) = (
            shop.products().len(),
            shop.users().len(),
            shop.events().len(),
        );
        format!("{products} products, {users} users, {events} views, clicks, carts and purchases")
    }

    #[allow(
        clippy::disallowed_methods,
        reason = "the control runtime's blocking pool, no request's"
    )]
    /// Fits the events before `until_s` and publishes the model.
    pub(super) async fn train_and_publish(&self, until_s: i64) -> anyhow::Result<Published> {
        let began = Instant::now();
        let (data, catalogue) = (Arc::clone(&self.interactions), Arc::clone(&self.catalogue));
        let packed = tokio::task::spawn_blocking(move || {
            let past = data.before(until_s);
            let params = FitParams::default();
            let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            let model = fit(&past, &catalogue, &params, threads, &mut |_step| {})?;
            let extra = CardExtra {
                evaluation: None,
                golden_queries: PROBES,
            };
            Ok::<_, anyhow::Error>(model.pack(extra)?)
        });
        let packed = packed.await??;
        let took = began.elapsed();
        let sizes = packed.card.sizes;
        let mut parts = Vec::new();
        for part in packed.parts {
            let bytes = Bytes::from(part.bytes);
            parts.push(NewPart::required(part.name.parse()?, bytes));
        }
        let input = Input {
            name: "interactions.csv".to_owned(),
            rows: sizes.interactions as u64,
            ..Input::default()
        };
        let lineage = Lineage {
            inputs: vec![input],
            seed: packed.card.parameters.als.seed,
            ..Lineage::default()
        };
        let card = serde_json::to_value(&packed.card)?;
        let model: ModelName = "default".parse()?;
        let new = NewVersion {
            parts,
            card,
            lineage,
            author: AUTHOR.to_owned(),
        };
        let manifest = self.registry.publish(&model, new).await?;
        Ok(Published {
            version: manifest.version.get(),
            users: sizes.users,
            interactions: sizes.interactions,
            took,
        })
    }

    /// `name (category, price)` of a product.
    pub(super) fn describe<'a>(&'a self, product_id: &'a str) -> &'a str {
        self.names
            .get(product_id)
            .map_or(product_id, String::as_str)
    }

    /// Every user's id.
    pub(super) fn user_ids(&self) -> Vec<String> {
        self.shop
            .users()
            .iter()
            .map(|user| user.id.clone())
            .collect()
    }

    /// The person with the most events, the first among equals.
    pub(super) fn a_heavy_user(&self) -> String {
        let mut counts = vec![0_usize; self.shop.users().len()];
        for event in self.shop.events() {
            counts[event.user as usize] += 1;
        }
        let most = counts
            .iter()
            .enumerate()
            .rev()
            .max_by_key(|(_, count)| **count);
        most.map(|(row, _)| self.shop.users()[row].id.clone())
            .unwrap_or_default()
    }
}
