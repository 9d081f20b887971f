//! Samples for people to look at: a few users with history and list, a few products with
//! neighbours.
//!
//! A hash of seed and id chooses them: the same on every machine, and the same after a retraining
//! as long as the user stays in their segment and the product in its popularity band.

mod products;

use std::collections::BTreeMap;

use hotshelf_model::{Model, PerSide, ProductRow, Query, Scratch, Side, UserRow};
pub(crate) use products::{ProductSample, product_samples};
use serde::{Serialize, Serializer};

use crate::draw::seeded_hash;
use crate::shop::{Known, Shop};
use crate::time_format::date;

/// Products of a user's history that are shown.
const HISTORY_SHOWN: usize = 8;
/// Recommended products that are shown.
const RECOMMENDED_SHOWN: usize = 10;

/// One user with history and list.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Sample {
    /// The user.
    pub(crate) user_id: String,
    /// Their segment in the model.
    pub(crate) segment: String,
    /// Distinct products in their history.
    pub(crate) products: usize,
    /// Their last products, newest first.
    pub(crate) history: Vec<SampleEvent>,
    /// The strategy that answered: the default one, or what it fell back to.
    pub(crate) strategy: &'static str,
    /// Fallbacks of the list.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) fallbacks: Vec<&'static str>,
    /// What the model recommends to them.
    pub(crate) recommended: Vec<SampleItem>,
}

/// All interactions of a user with one product.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SampleEvent {
    /// Day of the last one; empty where events have no times.
    pub(crate) date: String,
    /// Number of interactions by type.
    pub(crate) interactions: BTreeMap<String, u64>,
    /// The product.
    pub(crate) product: SampleProduct,
}

/// One recommended product.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SampleItem {
    /// From 1.
    pub(crate) rank: usize,
    /// The product.
    pub(crate) product: SampleProduct,
    /// What the list is ordered by.
    pub(crate) score: f32,
    /// Source of the item.
    pub(crate) reason: &'static str,
    /// The raw collaborative score, if one was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) collaborative: Option<f32>,
    /// The raw content score, if one was computed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) content: Option<f32>,
    /// What each side adds to the score, sides that add nothing omitted.
    #[serde(skip_serializing_if = "Vec::is_empty", serialize_with = "by_side")]
    pub(crate) shares: Vec<(Side, f32)>,
}

/// A product with its attributes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct SampleProduct {
    /// The product.
    pub(crate) product_id: String,
    /// Its name, if the catalogue has one.
    pub(crate) product_name: Option<String>,
    /// Its category, if the catalogue has one.
    pub(crate) category: Option<String>,
    /// Its price, if the catalogue has one.
    pub(crate) price: Option<f32>,
}

/// Which users and products to sample, and which events to show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct SampleOptions<'a> {
    /// Seed of the choice.
    pub(crate) seed: u64,
    /// Users of each segment, and products of each popularity band.
    pub(crate) each: usize,
    /// The events that the model knows; others are not shown.
    pub(crate) known: Known<'a>,
}

/// Users of each segment that has any, with their histories and the model's lists.
pub(crate) fn samples(model: &Model, shop: &Shop, options: SampleOptions<'_>) -> Vec<Sample> {
    let mut scratch = Scratch::default();
    let mut samples = Vec::new();
    let users = model.users();
    for segment in users.segment_names() {
        let all_users = (0..users.len() as u32).map(UserRow);
        let members = all_users.filter(|row| users.segment(*row) == segment);
        for user in first_by_hash(members.collect(), options, |row| users.id(*row)) {
            samples.push(Sample {
                history: history(model, shop, users.id(user), options.known),
                ..sample(model, user, &mut scratch)
            });
        }
    }
    samples
}

/// The candidates with the smallest hashes of seed and id.
fn first_by_hash<'a, T>(
    candidates: Vec<T>,
    options: SampleOptions<'_>,
    id: impl Fn(&T) -> &'a str,
) -> impl Iterator<Item = T> {
    let mut hashed: Vec<([u8; 32], T)> = candidates
        .into_iter()
        .map(|candidate| (seeded_hash(options.seed, id(&candidate)), candidate))
        .collect();
    hashed.sort_unstable_by_key(|(hash, _)| *hash);
    hashed.into_iter().take(options.each).map(|(_, one)| one)
}

/// A user's list as the server answers a default query.
fn sample(model: &Model, user: UserRow, scratch: &mut Scratch) -> Sample {
    let user_id = model.users().id(user);
    let defaults = model.defaults();
    let query = Query {
        user_id,
        n: RECOMMENDED_SHOWN,
        strategy: defaults.strategy,
        include_seen: defaults.include_seen,
        ..Query::default()
    };
    let answer = model.recommend(&query, scratch);
    let answer = answer.expect("the default strategy is never refused");
    let shown = answer
        .items
        .iter()
        .enumerate()
        .map(|(at, item)| SampleItem {
            rank: at + 1,
            product: product(model, item.product),
            score: item.score,
            reason: item.reason.as_str(),
            collaborative: item.scores.collaborative,
            content: item.scores.content,
            shares: shares(&item.shares),
        });
    Sample {
        user_id: user_id.to_owned(),
        segment: model.users().segment(user).to_owned(),
        products: model.history().seen(user).len(),
        history: Vec::new(),
        strategy: answer.strategy.as_str(),
        fallbacks: answer.fallbacks.iter().map(|f| f.as_str()).collect(),
        recommended: shown.collect(),
    }
}

/// The sides that add something to a score.
fn shares(all: &PerSide<f32>) -> Vec<(Side, f32)> {
    let all = all.iter().map(|(side, share)| (side, *share));
    all.filter(|(_, share)| *share != 0.0).collect()
}

/// As an object with the sides for keys.
fn by_side<S: Serializer>(shares: &[(Side, f32)], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_map(shares.iter().map(|(side, share)| (side.as_str(), share)))
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

/// The last products of a user with all interactions.
fn history(model: &Model, shop: &Shop, user_id: &str, known: Known<'_>) -> Vec<SampleEvent> {
    let Some(user) = shop.users.find(user_id) else {
        return Vec::new();
    };
    let mut by_product: BTreeMap<u32, (i64, BTreeMap<String, u64>)> = BTreeMap::new();
    let known = shop.known_events(known).map(|(_, event)| event);
    for event in known.filter(|event| event.user == user) {
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
            date: if shop.has_times {
                date(last_s)
            } else {
                String::new()
            },
            interactions,
            product: product(model, row),
        })
        .collect()
}
