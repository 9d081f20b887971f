//! A shop in memory: its events in the order they were read, its catalogue, and what was counted
//! on the way.
//!
//! This is what `ingest` makes and everything else reads. Ids are numbered as they first occur;
//! the model's sorted numbering is made when [`Shop::interactions`] hands events over. An event
//! takes 24 bytes.

use std::collections::HashMap;
use std::sync::Arc;

use hotshelf_model::{Interactions, InteractionsBuilder, ProductInfo};

use crate::ingest::{EmbeddingsReport, SourceReport};

/// Everything that was read.
#[derive(Debug)]
pub struct Shop {
    /// What the shop is called.
    pub name: String,
    pub(crate) users: Names,
    pub(crate) products: Names,
    /// Interaction types that occur, by number.
    pub(crate) kinds: Names,
    pub(crate) events: Vec<ShopEvent>,
    /// Products sorted by id: those that events name and those that only the catalogue has.
    pub(crate) catalogue: Vec<ProductInfo>,
    /// Distinct sessions, if the mapping names a column for them.
    pub sessions: Option<u64>,
    /// Account of the events' files.
    pub events_report: SourceReport,
    /// Account of the catalogue's files, if it has any.
    pub catalogue_report: Option<SourceReport>,
    /// Account of the shop's own embeddings, if it brings any.
    pub embeddings_report: Option<EmbeddingsReport>,
}

/// One event; numbers are places in the shop's own name lists.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct ShopEvent {
    pub(crate) user: u32,
    pub(crate) product: u32,
    pub(crate) at_s: i64,
    pub(crate) value: f32,
    pub(crate) kind: u32,
}

/// Texts numbered as they first occur.
#[derive(Debug, Default)]
pub(crate) struct Names {
    texts: Vec<Arc<str>>,
    numbers: HashMap<Arc<str>, u32>,
}

impl Names {
    /// The number of a text, a new one if it never occurred.
    pub(crate) fn number(&mut self, text: &str) -> u32 {
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

    /// What a model is fitted on: events before `cut_s` (all of them if None), and products.
    ///
    /// A catalogue that stands in files of its own is known whole at any time. Products known
    /// from events alone exist from their first event on, so a cut leaves later ones out.
    pub(crate) fn interactions(&self, cut_s: Option<i64>) -> Interactions {
        let mut builder = InteractionsBuilder::new();
        if self.catalogue_report.is_some() {
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
