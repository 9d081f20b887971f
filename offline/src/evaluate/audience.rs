//! The users to evaluate on, and their relevant products.

use hotshelf_model::{Model, UserRow};

use crate::mapping::SeenPolicy;
use crate::shop::Shop;

/// Finds users in the model with their relevant products; counts those that cannot be evaluated.
pub(super) struct Audience<'m> {
    model: &'m Model,
    shop: &'m Shop,
    seen: SeenPolicy,
    /// Users with held-out events that the model does not know.
    pub(super) without_past: usize,
    /// Users without a relevant held-out event.
    pub(super) without_relevant: usize,
    relevant: usize,
    unknown: usize,
}

impl<'m> Audience<'m> {
    pub(super) fn new(model: &'m Model, shop: &'m Shop, seen: SeenPolicy) -> Self {
        Self {
            model,
            shop,
            seen,
            without_past: 0,
            without_relevant: 0,
            relevant: 0,
            unknown: 0,
        }
    }

    /// The user's row and the ascending rows of their relevant products. Unknown products get rows
    /// beyond the catalogue, which no list contains.
    pub(super) fn relevant(&mut self, user: u32, products: &[u32]) -> Option<(UserRow, Vec<u32>)> {
        let Some(row) = self.model.users().find(self.shop.users.text(user)) else {
            self.without_past += 1;
            return None;
        };
        let catalogue = self.model.products().len() as u32;
        let mut relevant = Vec::with_capacity(products.len());
        let mut unknown = 0;
        for product in products {
            match self
                .model
                .products()
                .find(self.shop.products.text(*product))
            {
                None => {
                    relevant.push(catalogue + unknown);
                    unknown += 1;
                }
                Some(product) => {
                    let had = self.model.history().has_seen(row, product);
                    if !(had && self.seen == SeenPolicy::Excluded) {
                        relevant.push(product.0);
                    }
                }
            }
        }
        if relevant.is_empty() {
            self.without_relevant += 1;
            return None;
        }
        relevant.sort_unstable();
        self.relevant += relevant.len();
        self.unknown += unknown as usize;
        Some((row, relevant))
    }

    /// Share of the relevant products that the model does not know.
    pub(super) fn unknown_share(&self) -> f64 {
        self.unknown as f64 / self.relevant.max(1) as f64
    }
}
