//! A shop in memory: its events in the order of reading, and its catalogue.
//!
//! `ingest` makes it, everything else reads it. Ids are numbered by first occurrence;
//! [`Shop::interactions`] sorts them for the model. An event takes 24 bytes.

use std::collections::HashMap;
use std::sync::Arc;

use hotshelf_model::{Interactions, InteractionsBuilder, ProductInfo};

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
    /// Products sorted by id: those that events name and those that only the catalogue has.
    pub(crate) catalogue: Vec<ProductInfo>,
    /// Whether products come from catalogue files, too.
    pub(crate) has_catalogue_files: bool,
    /// Distinct sessions, if the mapping names a column for them.
    pub sessions: Option<u64>,
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

/// Distinct texts, numbered by first occurrence.
#[derive(Debug, Default)]
pub(crate) struct Interner {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Interner {
    /// The number of a text; a new one for a new text.
    pub(crate) fn intern(&mut self, text: &str) -> u32 {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        let number = self.texts.len() as u32;
        let text: Arc<str> = text.into();
        self.texts.push(Arc::clone(&text));
        self.numbers.insert(text, number);
        number
    }

    pub(crate) fn find(&self, text: &str) -> Option<u32> {
        self.numbers.get(text).copied()
    }

    pub(crate) fn text(&self, number: u32) -> &str {
        &self.texts[number as usize]
    }

    pub(crate) fn len(&self) -> usize {
        self.texts.len()
    }
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

    /// First and last moment of any event, None in a shop without any.
    pub fn period_s(&self) -> Option<(i64, i64)> {
        let times = || self.events.iter().map(|event| event.at_s);
        Some((times().min()?, times().max()?))
    }

    /// Input of a fit: events before `cut_s` (all of them if None), and products.
    ///
    /// A catalogue in files is known in full at any time. Products known from events alone exist
    /// from their first event on, so a cut omits later ones.
    pub(crate) fn interactions(&self, cut_s: Option<i64>) -> Interactions {
        let mut builder = InteractionsBuilder::new();
        if self.has_catalogue_files {
            for product in &self.catalogue {
                builder.add_product(&product.id);
            }
        }
        let before = |event: &&ShopEvent| cut_s.is_none_or(|cut| event.at_s < cut);
        for event in self.events.iter().filter(before) {
            let (user, product) = (
                self.users.text(event.user),
                self.products.text(event.product),
            );
            builder.add(user, product, event.value, event.at_s);
        }
        builder.build()
    }
}
