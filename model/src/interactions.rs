//! Input of a fit: events between users and products, with their ids sorted into rows.
//!
//! The batch side reads files, maps columns and weighs interaction types; here an event is four
//! plain values. Times are data, never a clock.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

/// Most numbers in an embedding of the shop's own. Chosen: what the largest sentence encoders in
/// use return.
pub const EMBEDDING_DIMENSIONS_MAX: usize = 4096;

/// One interaction.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Event {
    /// Row in [`Interactions::users`].
    pub user: u32,
    /// Row in [`Interactions::products`].
    pub product: u32,
    /// Interaction value, above zero; a fit sums repeated events.
    pub value: f32,
    /// Unix time in seconds, or the position among the user's events where
    /// [`Interactions::has_times`] is false.
    pub at_s: i64,
}

/// What the catalogue says about a product; everything but the id may be unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ProductInfo {
    /// Product id, 1 to 256 bytes.
    pub id: String,
    /// Name as people read it.
    pub name: Option<String>,
    /// Category.
    pub category: Option<String>,
    /// Brand.
    pub brand: Option<String>,
    /// Description; used for content embeddings, not stored in the product table.
    pub description: Option<String>,
    /// Price in the shop's currency, not negative.
    pub price: Option<f32>,
    /// The shop's own embedding, of 1 to [`EMBEDDING_DIMENSIONS_MAX`] numbers, as many for every
    /// product. If any product has one, none is made from texts.
    pub embedding: Option<Arc<[f32]>>,
}

/// Events sorted by (user, time, product), over sorted, unique ids.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Interactions {
    users: Vec<String>,
    products: Vec<String>,
    /// Per product: whether the catalogue lists it, so that a cut keeps it.
    catalogued: Vec<bool>,
    events: Vec<Event>,
    /// Whether the events' times are positions.
    is_untimed: bool,
}

impl Interactions {
    /// User ids in ascending bytewise order; only users with events occur.
    #[must_use]
    pub fn users(&self) -> &[String] {
        &self.users
    }

    /// Product ids in ascending bytewise order, those of the catalogue without events included.
    #[must_use]
    pub fn products(&self) -> &[String] {
        &self.products
    }

    /// Events sorted by user, time, product and value.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// Whether the events have times; else theirs are positions, which give an order and no decay.
    #[must_use]
    pub fn has_times(&self) -> bool {
        !self.is_untimed
    }

    /// The events before `cut_s` (Unix seconds). Drops users without such an event, and products
    /// without one that the catalogue does not list; renumbers the rows.
    #[must_use]
    pub fn before(&self, cut_s: i64) -> Self {
        let kept = || self.events.iter().filter(|event| event.at_s < cut_s);
        let mut user_stays = vec![false; self.users.len()];
        let mut product_stays = self.catalogued.clone();
        for event in kept() {
            user_stays[event.user as usize] = true;
            product_stays[event.product as usize] = true;
        }
        let (users, user_rows) = renumber(&self.users, &user_stays);
        let (products, product_rows) = renumber(&self.products, &product_stays);
        let catalogued = self.catalogued.iter().zip(&product_stays);
        // Rows keep their relative order, so the events stay sorted.
        let events = kept().map(|event| Event {
            user: user_rows[event.user as usize],
            product: product_rows[event.product as usize],
            ..*event
        });
        Self {
            events: events.collect(),
            catalogued: catalogued
                .filter(|(_, stays)| **stays)
                .map(|(c, _)| *c)
                .collect(),
            users,
            products,
            is_untimed: self.is_untimed,
        }
    }
}

fn renumber(ids: &[String], stays: &[bool]) -> (Vec<String>, Vec<u32>) {
    let mut rows = Vec::with_capacity(ids.len());
    let mut kept = Vec::new();
    for (id, &stays) in ids.iter().zip(stays) {
        rows.push(kept.len() as u32);
        if stays {
            kept.push(id.clone());
        }
    }
    (kept, rows)
}

/// Collects events and catalogue in any order. Cost: one hash lookup per id and event; sorting
/// happens in [`Self::build`].
#[derive(Debug, Default)]
pub struct InteractionsBuilder {
    // The maps only number ids by first occurrence; their iteration order reaches nothing.
    users: HashMap<String, u32>,
    products: HashMap<String, u32>,
    catalogued: BTreeSet<u32>,
    events: Vec<Event>,
    is_untimed: bool,
}

impl InteractionsBuilder {
    /// Nothing collected yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds one event. The fit validates ids and values and names them in its error.
    pub fn add(&mut self, user: &str, product: &str, value: f32, at_s: i64) {
        let user = number(&mut self.users, user);
        let product = number(&mut self.products, product);
        self.events.push(Event {
            user,
            product,
            value,
            at_s,
        });
    }

    /// Names a product of the catalogue, with or without events.
    pub fn add_product(&mut self, id: &str) {
        let product = number(&mut self.products, id);
        self.catalogued.insert(product);
    }

    /// Says that the events have no times: theirs are positions among their user's events.
    pub fn without_times(&mut self) {
        self.is_untimed = true;
    }

    /// Number of events so far.
    #[must_use]
    pub fn events(&self) -> usize {
        self.events.len()
    }

    /// Sorts everything; the result does not depend on the order of the calls before.
    #[must_use]
    pub fn build(self) -> Interactions {
        let (users, user_rows) = sort_ids(self.users);
        let (products, product_rows) = sort_ids(self.products);
        let mut catalogued = vec![false; products.len()];
        for product in self.catalogued {
            catalogued[product_rows[product as usize] as usize] = true;
        }
        let mut events = self.events;
        for event in &mut events {
            event.user = user_rows[event.user as usize];
            event.product = product_rows[event.product as usize];
        }
        // The value's bits break the last tie: equal in all keys means equal.
        events.sort_unstable_by_key(|e| (e.user, e.at_s, e.product, e.value.to_bits()));
        Interactions {
            users,
            products,
            catalogued,
            events,
            is_untimed: self.is_untimed,
        }
    }
}

fn number(rows: &mut HashMap<String, u32>, id: &str) -> u32 {
    if let Some(&row) = rows.get(id) {
        return row;
    }
    let row = u32::try_from(rows.len()).expect("fewer than 2^32 distinct ids fit in memory");
    rows.insert(id.to_owned(), row);
    row
}

/// Sorted ids, and for each number given so far its sorted row.
fn sort_ids(numbered: HashMap<String, u32>) -> (Vec<String>, Vec<u32>) {
    let mut pairs: Vec<(String, u32)> = numbered.into_iter().collect();
    pairs.sort_unstable();
    let mut rows = vec![0; pairs.len()];
    for (row, (_, number)) in pairs.iter().enumerate() {
        rows[*number as usize] = row as u32;
    }
    (pairs.into_iter().map(|(id, _)| id).collect(), rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn cut_keeps_the_catalogue_and_renumbers_the_rest() {
        let mut builder = InteractionsBuilder::new();
        builder.add("v", "p3", 1.0, 5);
        builder.add("u", "p2", 1.0, 20);
        builder.add("v", "p4", 2.0, 10);
        builder.add_product("p1");
        let before = builder.build().before(10);
        assert_eq!(before.users(), ["v"]);
        assert_eq!(before.products(), ["p1", "p3"]);
        assert_eq!(
            before.events(),
            [Event {
                user: 0,
                product: 1,
                value: 1.0,
                at_s: 5
            }]
        );
        assert_eq!(before.before(0).products(), ["p1"]);
    }

    proptest! {
        #[test]
        fn order_of_adding_does_not_matter(
            mut events in proptest::collection::vec((0u8..9, 0u8..9, 1u8..4, 0i64..5), 0..40),
            turn in 0usize..40,
        ) {
            let build = |events: &[(u8, u8, u8, i64)]| {
                let mut builder = InteractionsBuilder::new();
                for (user, product, value, at_s) in events {
                    builder.add(&user.to_string(), &product.to_string(), f32::from(*value), *at_s);
                }
                builder.build()
            };
            let first = build(&events);
            let len = events.len();
            events.rotate_left(if len == 0 { 0 } else { turn % len });
            events.reverse();
            prop_assert_eq!(first, build(&events));
        }
    }
}
