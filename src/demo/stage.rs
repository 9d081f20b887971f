//! The demo's shop as data to train on: from events to a published version.

use super::AUTHOR;
use super::shop::{EventKind, Shop, ShopSpec, generate};
use anyhow::Context;
use bytes::Bytes;
use hotshelf_model::{
    CardExtra, Defaults, FitParams, Interactions, InteractionsBuilder, ProductInfo, ScoringParams,
    SidesParams, Strategy, Weights, fit,
};
use hotshelf_registry::{Input, Lineage, ModelName, NewPart, NewVersion, Registry, S3Options};
use std::collections::{BTreeMap, BTreeSet};
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

/// All five sides, with weights that let each of them show (chosen: a search for the best ones, as
/// `hotshelf-offline train` makes it, takes longer than a demo should).
fn parameters() -> FitParams {
    FitParams {
        sides: SidesParams::all(),
        scoring: ScoringParams {
            weights: Some(Weights {
                collaborative: 0.3,
                content: 0.1,
                sequence: 0.2,
                repeat: 0.3,
                trend: 0.1,
            }),
            ..ScoringParams::default()
        },
        ..FitParams::default()
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
            let params = parameters();
            let threads = std::thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
            let mut model = fit(&past, &catalogue, &params, threads, &mut |_step| {})?;
            model.set_defaults(Defaults {
                strategy: Strategy::Blended,
                include_seen: true,
            })?;
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

    /// The person who bought the most things again, the first among equals.
    pub(super) fn who_comes_back(&self) -> String {
        let mut again = vec![0_usize; self.shop.users().len()];
        let mut bought = BTreeSet::new();
        let events = self.shop.events().iter();
        for event in events.filter(|event| event.kind == EventKind::Purchase) {
            if !bought.insert((event.user, event.product)) {
                again[event.user as usize] += 1;
            }
        }
        let users = again.iter().enumerate().rev();
        let most = users.max_by_key(|(_, times)| **times);
        most.map(|(row, _)| self.shop.users()[row].id.clone())
            .unwrap_or_default()
    }

    /// The product after which the most people clicked on another within the same visit, the first
    /// among equals.
    pub(super) fn what_leads_on(&self) -> String {
        let mut by_user: Vec<_> = self.shop.events().iter().collect();
        by_user.sort_by_key(|event| event.user);
        by_user.retain(|event| event.kind == EventKind::Click);
        let mut pairs: BTreeMap<(u32, u32), usize> = BTreeMap::new();
        for (first, then) in by_user.iter().zip(by_user.iter().skip(1)) {
            if (first.user, first.visit) == (then.user, then.visit) && first.product != then.product
            {
                *pairs.entry((first.product, then.product)).or_default() += 1;
            }
        }
        let most = pairs.iter().rev().max_by_key(|(_, times)| **times);
        most.map(|((first, _), _)| self.shop.products()[*first as usize].id.clone())
            .unwrap_or_default()
    }
}
