//! What every model has to beat: popularity, recent popularity, a person's own habit, item-kNN.
//!
//! All of them know what the fit knows and nothing else.

mod habit;
mod item_knn;
mod popularity;

use hotshelf_model::{Model, UserRow};

use super::rankers::Ranker;
use crate::shop::{Known, Shop};
pub(super) use habit::PersonalFrequency;
pub(super) use item_knn::{ItemKnn, NEIGHBOURS, Weighting};
pub(super) use popularity::{MostPopular, recently_popular};

/// One known event, in the model's rows.
#[derive(Debug, Clone, Copy)]
struct PastEvent {
    user: UserRow,
    product: u32,
    at_s: i64,
    value: f32,
}

/// The events that a model was fitted on, in the order of the files.
pub(super) struct Past {
    events: Vec<PastEvent>,
    last_s: i64,
}

impl Past {
    pub(super) fn of(model: &Model, shop: &Shop, known: Known<'_>) -> Self {
        let users: Vec<Option<UserRow>> = (0..shop.users.len() as u32)
            .map(|user| model.users().find(shop.users.text(user)))
            .collect();
        let products: Vec<Option<u32>> = (0..shop.products.len() as u32)
            .map(|product| model.products().find(shop.products.text(product)))
            .map(|row| row.map(|row| row.0))
            .collect();
        let events = shop.known_events(known).filter_map(|(_, event)| {
            Some(PastEvent {
                user: users[event.user as usize]?,
                product: products[event.product as usize]?,
                at_s: event.at_s,
                value: event.value,
            })
        });
        let events: Vec<PastEvent> = events.collect();
        Self {
            last_s: events.iter().map(|event| event.at_s).max().unwrap_or(0),
            events,
        }
    }
}

/// All baselines that make sense for these data, in the order of every table.
pub(super) fn baselines<'m>(
    model: &'m Model,
    shop: &Shop,
    (known, include_seen): (Known<'_>, bool),
) -> Vec<Box<dyn Ranker + 'm>> {
    let past = Past::of(model, shop, known);
    let mut baselines: Vec<Box<dyn Ranker + 'm>> =
        vec![Box::new(MostPopular::new(model, include_seen))];
    if shop.has_times {
        baselines.push(Box::new(recently_popular(model, &past, include_seen)));
    }
    if include_seen {
        baselines.push(Box::new(PersonalFrequency::new(model, &past)));
    }
    for weighting in [Weighting::Binary, Weighting::Bm25] {
        baselines.push(Box::new(ItemKnn::new(model, weighting, include_seen)));
    }
    baselines
}

/// Appends products in the given order that are not in the list yet, up to k.
fn fill(list: &mut Vec<u32>, k: usize, order: &[u32], skip: &[u32]) {
    let own = list.len();
    for row in order {
        if list.len() >= k {
            break;
        }
        if skip.binary_search(row).is_err() && !list[..own].contains(row) {
            list.push(*row);
        }
    }
}
