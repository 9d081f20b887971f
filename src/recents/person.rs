//! One person's recent products.

use super::RecentEvent;
use std::sync::Arc;

/// Products of one person.
const PRODUCTS_MAX: usize = 20;
/// What a person costs beside ids: the handle, the cache's own bytes, and what the allocator adds.
const PERSON_BYTES: usize = 160;
/// What a product costs beside its id: the entry, two counters, and what the allocator adds.
const PRODUCT_BYTES: usize = size_of::<RecentProduct>() + 32;

/// A user's id or a session's, which never meet.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct PersonKey(Box<str>);

impl PersonKey {
    /// The user, or else the session.
    pub(super) fn of(user_id: &str, session_id: &str) -> Option<Self> {
        match (user_id, session_id) {
            ("", "") => None,
            ("", session) => Some(Self(format!("s{session}").into())),
            (user, _) => Some(Self(format!("u{user}").into())),
        }
    }

    pub(super) fn bytes(&self) -> usize {
        self.0.len()
    }
}

/// A product that a person was seen with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RecentProduct {
    /// Its id.
    pub id: Arc<str>,
    /// When last, in microseconds since 1970.
    pub at: i64,
    /// Whether the person has it, and did not only look at it.
    pub is_bought: bool,
}

/// What a person was last seen with.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Person {
    /// Distinct, newest first, at most 20.
    pub products: Vec<RecentProduct>,
    /// When the last event came, in microseconds since 1970.
    pub(super) written_at: i64,
}

impl Person {
    /// `known` with one event more. Events may come in any order: what happened last is first.
    pub(super) fn with(known: Option<&Self>, event: &RecentEvent<'_>, now: i64) -> Self {
        let mut products = known.map_or_else(Vec::new, |known| known.products.clone());
        let mut product = RecentProduct {
            id: event.product_id.into(),
            at: event.occurred_at,
            is_bought: event.is_bought,
        };
        if let Some(same) = products.iter().position(|one| *one.id == *product.id) {
            let same = products.remove(same);
            product.at = product.at.max(same.at);
            product.is_bought |= same.is_bought;
        }
        let later = products.iter().take_while(|one| one.at > product.at);
        let position = later.count();
        products.insert(position, product);
        products.truncate(PRODUCTS_MAX);
        Self {
            products,
            written_at: now,
        }
    }

    pub(super) fn bytes(&self) -> usize {
        let products = self.products.iter();
        let products = products.map(|one| PRODUCT_BYTES + one.id.len());
        PERSON_BYTES + products.sum::<usize>()
    }
}
