//! A few users' histories and lists with names, for people to judge with their own eyes.
//!
//! One user a segment, chosen by a hash of seed and id: the same on every machine, and the same
//! person again after a retraining as long as they stay in their segment.

use std::collections::BTreeMap;

use hotshelf_model::{Model, ProductRow, Query, Scratch, Strategy, UserRow};
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::instant::date;
use crate::shop::Shop;

/// Products of a user's history that are shown.
const HISTORY_SHOWN: usize = 8;
/// Recommended products that are shown.
const RECOMMENDED_SHOWN: usize = 10;

/// One user as people see them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Sample {
    /// The user.
    pub user_id: String,
    /// Their segment in the model.
    pub segment: String,
    /// Distinct products in their history.
    pub products: usize,
    /// What they did last, newest first.
    pub history: Vec<SampleEvent>,
    /// What the model recommends to them.
    pub recommended: Vec<SampleItem>,
}

/// All that a user did with one product.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleEvent {
    /// The last day they did any of it.
    pub date: String,
    /// How often each type of interaction, by its name.
    pub interactions: BTreeMap<String, u64>,
    /// The product.
    pub product: SampleProduct,
}

/// One place of a list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleItem {
    /// From 1.
    pub rank: usize,
    /// The product.
    pub product: SampleProduct,
    /// What the list is ordered by.
    pub score: f32,
    /// Where the item came from.
    pub reason: &'static str,
}

/// A product as people see it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SampleProduct {
    /// The product.
    pub product_id: String,
    /// Its name, if the catalogue has one.
    pub product_name: Option<String>,
    /// Its category, if the catalogue has one.
    pub category: Option<String>,
    /// Its price, if the catalogue has one.
    pub price: Option<f32>,
}

/// Which users, and how much of what they did.
#[derive(Debug, Clone, Copy)]
pub struct SampleOptions {
    /// Decides who is chosen.
    pub seed: u64,
    /// Users of each segment.
    pub per_segment: usize,
    /// Events from this moment on are not shown: the model does not know them.
    pub before_s: Option<i64>,
}

/// Users of each segment that has any, with their histories and the model's lists.
pub fn samples(model: &Model, shop: &Shop, options: SampleOptions) -> Vec<Sample> {
    let mut scratch = Scratch::default();
    let mut samples = Vec::new();
    for segment in model.users().segment_names() {
        for user in chosen(model, segment, options) {
            let user_id = model.users().id(user);
            samples.push(Sample {
                user_id: user_id.to_owned(),
                segment: segment.clone(),
                products: model.history().seen(user).len(),
                history: history(model, shop, user_id, options.before_s),
                recommended: recommended(model, user_id, &mut scratch),
            });
        }
    }
    samples
}

/// The users of a segment with the smallest hashes.
fn chosen(model: &Model, segment: &str, options: SampleOptions) -> Vec<UserRow> {
    let users = model.users();
    let members = (0..users.len() as u32)
        .map(UserRow)
        .filter(|row| users.segment(*row) == segment);
    let mut hashed: Vec<([u8; 32], UserRow)> = members
        .map(|row| {
            let hash = Sha256::new()
                .chain_update(options.seed.to_be_bytes())
                .chain_update(users.id(row));
            (hash.finalize().into(), row)
        })
        .collect();
    hashed.sort_unstable_by_key(|(hash, _)| *hash);
    hashed
        .into_iter()
        .take(options.per_segment)
        .map(|(_, row)| row)
        .collect()
}

fn recommended(model: &Model, user_id: &str, scratch: &mut Scratch) -> Vec<SampleItem> {
    let query = Query {
        user_id,
        n: RECOMMENDED_SHOWN,
        strategy: Strategy::Collaborative,
        ..Query::default()
    };
    let answer = model.recommend(&query, scratch);
    let items = answer.map(|answer| answer.items).unwrap_or_default();
    let shown = items.iter().enumerate().map(|(at, item)| SampleItem {
        rank: at + 1,
        product: product(model, item.product),
        score: item.score,
        reason: item.reason.as_str(),
    });
    shown.collect()
}

fn product(model: &Model, row: ProductRow) -> SampleProduct {
    let products = model.products();
    SampleProduct {
        product_id: products.id(row).to_owned(),
        product_name: products.name(row).map(str::to_owned),
        category: products.category(row).map(str::to_owned),
        price: products.price(row),
    }
}

/// The last products of a user with all that they did with each.
fn history(model: &Model, shop: &Shop, user_id: &str, before_s: Option<i64>) -> Vec<SampleEvent> {
    let Some(user) = shop.users.find(user_id) else {
        return Vec::new();
    };
    let mut by_product: BTreeMap<u32, (i64, BTreeMap<String, u64>)> = BTreeMap::new();
    let known = |at_s: i64| before_s.is_none_or(|before_s| at_s < before_s);
    let theirs = shop
        .events
        .iter()
        .filter(|event| event.user == user && known(event.at_s));
    for event in theirs {
        let (last_s, kinds) = by_product.entry(event.product).or_default();
        *last_s = event.at_s.max(*last_s);
        *kinds
            .entry(shop.kinds.text(event.kind).to_owned())
            .or_default() += 1;
    }
    let known = by_product
        .into_iter()
        .filter_map(|(number, (last_s, interactions))| {
            let row = model.products().find(shop.products.text(number))?;
            Some((last_s, row, interactions))
        });
    let mut known: Vec<_> = known.collect();
    known.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(&b.1)));
    let shown = known.into_iter().take(HISTORY_SHOWN);
    shown
        .map(|(last_s, row, interactions)| SampleEvent {
            date: date(last_s),
            interactions,
            product: product(model, row),
        })
        .collect()
}
