//! A shop in memory: its events in the order of reading, and its catalogue.
//!
//! `ingest` makes it, everything else reads it. Ids are numbered by first occurrence;
//! [`Shop::interactions`] sorts them for the model. An event takes 24 bytes, and 4 more where
//! product attributes are read from events. Attributes are aggregated over the events that a fit
//! knows, never over others: a label of held-out rows would tell an evaluation what it has to predict.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use hotshelf_model::{Interactions, InteractionsBuilder, ProductInfo};

use crate::attributes::{Attributes, ObservedAttributes};
use crate::interner::Interner;

/// A shop's events and catalogue.
#[derive(Debug)]
pub struct Shop {
    /// Name of the shop.
    pub name: String,
    pub(crate) users: Interner,
    pub(crate) products: Interner,
    /// Interaction types that occur, by number.
    pub(crate) kinds: Interner,
    pub(crate) events: Vec<ShopEvent>,
    /// Attributes in the rows of events, if the mapping reads them there.
    pub(crate) observed: ObservedAttributes,
    /// Products of the catalogue's files by id; None without such files.
    pub(crate) listed: Option<BTreeMap<String, Attributes>>,
    /// The shop's own embeddings by product id.
    pub(crate) embeddings: HashMap<String, Arc<[f32]>>,
    /// Distinct sessions, if the mapping names a column for them.
    pub sessions: Option<u64>,
    /// Whether events have times; else each has its position in the files in place of one.
    pub(crate) has_times: bool,
    /// Index of the first event of the test files, if the split is given by files.
    pub(crate) test_from: Option<usize>,
}

/// The period that an event belongs to; each is held out from those before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Period {
    Past,
    /// Parameters are tuned on it.
    Validation,
    /// Models are judged by it.
    Test,
}

/// The events that a fit may use; by default all.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Known<'a> {
    /// By event its period, and the first period that is not known.
    periods: Option<(&'a [Period], Period)>,
    /// By user of the shop: whether they are in; None for everybody.
    users: Option<&'a [bool]>,
}

impl<'a> Known<'a> {
    /// The events of the periods before `held_out`.
    pub(crate) fn before(periods: &'a [Period], held_out: Period) -> Self {
        Self {
            periods: Some((periods, held_out)),
            users: None,
        }
    }

    /// The same of some users alone.
    pub(crate) fn of(self, users: &'a [bool]) -> Self {
        Self {
            users: Some(users),
            ..self
        }
    }

    /// Whether something is held out.
    pub(crate) fn is_past(self) -> bool {
        self.periods.is_some()
    }

    fn has(self, (at, event): (usize, &ShopEvent)) -> bool {
        let in_time = self
            .periods
            .is_none_or(|(periods, held_out)| periods[at] < held_out);
        in_time && self.users.is_none_or(|users| users[event.user as usize])
    }
}

/// One event; user, product and kind are numbers in the shop's id tables.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ShopEvent {
    pub(crate) user: u32,
    pub(crate) product: u32,
    pub(crate) at_s: i64,
    pub(crate) value: f32,
    pub(crate) kind: u32,
}

impl Shop {
    /// Rows of the interaction table.
    pub fn events_len(&self) -> usize {
        self.events.len()
    }

    /// Distinct users with at least one event.
    pub fn users_len(&self) -> usize {
        self.users.len()
    }

    /// Distinct products with at least one event.
    pub fn products_len(&self) -> usize {
        self.products.len()
    }

    /// Distinct pairs of user and product.
    pub fn pairs_len(&self) -> usize {
        let mut pairs: Vec<(u32, u32)> = self.events.iter().map(|e| (e.user, e.product)).collect();
        pairs.sort_unstable();
        pairs.dedup();
        pairs.len()
    }

    /// First and last moment of any event, None in a shop without events or without times.
    pub fn period_s(&self) -> Option<(i64, i64)> {
        if !self.has_times {
            return None;
        }
        let times = || self.events.iter().map(|event| event.at_s);
        Some((times().min()?, times().max()?))
    }

    /// Ids of the products of events and catalogue files together.
    pub(crate) fn product_ids(&self) -> BTreeSet<&str> {
        let listed = self.listed.iter().flat_map(BTreeMap::keys);
        let listed = listed.map(String::as_str);
        listed.chain(self.ids_with_events()).collect()
    }

    /// Ids of the products with events.
    pub(crate) fn ids_with_events(&self) -> impl Iterator<Item = &str> {
        (0..self.products.len() as u32).map(|number| self.products.text(number))
    }

    /// Input of a fit: the known events, and products.
    ///
    /// A catalogue in files is known in full at any time. Products known from events alone exist
    /// from their first event on, so a cut omits later ones.
    pub(crate) fn interactions(&self, known: Known<'_>) -> Interactions {
        let mut builder = InteractionsBuilder::new();
        for id in self.listed.iter().flat_map(BTreeMap::keys) {
            builder.add_product(id);
        }
        for (_, event) in self.known_events(known) {
            let (user, product) = (
                self.users.text(event.user),
                self.products.text(event.product),
            );
            builder.add(user, product, event.value, event.at_s);
        }
        if !self.has_times {
            builder.without_times();
        }
        builder.build()
    }

    /// Products sorted by id, with everything that the known events tell of them: what the
    /// catalogue's files say, and what they leave empty as the rows of those events have it. Rows
    /// that are held out change nothing here.
    pub(crate) fn catalogue(&self, known: Known<'_>) -> Vec<ProductInfo> {
        let events = self.known_events(known);
        let rows = events.map(|(at, event)| (event.product, at));
        let mut merged = self.listed.clone().unwrap_or_default();
        for (number, observed) in self.observed.by_product(rows) {
            let id = self.products.text(number).to_owned();
            merged.entry(id).or_default().fill(observed);
        }
        let with_events: HashSet<u32> = self.known_events(known).map(|(_, e)| e.product).collect();
        for number in with_events {
            merged
                .entry(self.products.text(number).to_owned())
                .or_default();
        }
        let products = merged.into_iter().map(|(id, attributes)| ProductInfo {
            embedding: self.embeddings.get(&id).cloned(),
            ..attributes.into_product(id)
        });
        products.collect()
    }

    /// The known events with their indexes.
    pub(crate) fn known_events<'s>(
        &'s self,
        known: Known<'s>,
    ) -> impl Iterator<Item = (usize, &'s ShopEvent)> {
        let events = self.events.iter().enumerate();
        events.filter(move |event| known.has(*event))
    }
}
