//! The users to evaluate on, and their relevant products.

use hotshelf_model::{Model, UserRow};

use crate::shop::Shop;
use crate::split::Relevant;

/// A user to evaluate on.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct EvaluatedUser {
    pub(crate) row: UserRow,
    /// Index in the model's segment names.
    pub(crate) segment: usize,
    /// Relevant products: ascending rows. Products that the model does not know have rows beyond the
    /// catalogue, which no list contains.
    pub(crate) relevant: Vec<u32>,
}

/// The users of a held-out period that a model can be evaluated on, and counts of the others.
#[derive(Debug, Default)]
pub(crate) struct Audience {
    pub(crate) users: Vec<EvaluatedUser>,
    /// Users with held-out events that the model does not know.
    pub(crate) without_past: usize,
    /// Users without a relevant held-out event.
    pub(crate) without_relevant: usize,
    relevant: usize,
    unknown: usize,
}

impl Audience {
    /// Looks up everybody who wants something, in the order of the shop's numbers. With
    /// `include_seen` products that a user had are relevant, too.
    pub(crate) fn of(model: &Model, shop: &Shop, wanted: &Relevant, include_seen: bool) -> Self {
        let mut audience = Self::default();
        for (user, products) in wanted {
            let Some(row) = model.users().find(shop.users.text(*user)) else {
                audience.without_past += 1;
                continue;
            };
            let catalogue = model.products().len() as u32;
            let mut relevant = Vec::with_capacity(products.len());
            let mut unknown = 0;
            for product in products {
                match model.products().find(shop.products.text(*product)) {
                    None => {
                        relevant.push(catalogue + unknown);
                        unknown += 1;
                    }
                    Some(product) if include_seen || !model.history().has_seen(row, product) => {
                        relevant.push(product.0);
                    }
                    Some(_) => {}
                }
            }
            if relevant.is_empty() {
                audience.without_relevant += 1;
                continue;
            }
            relevant.sort_unstable();
            audience.relevant += relevant.len();
            audience.unknown += unknown as usize;
            audience.users.push(EvaluatedUser {
                row,
                segment: segment_of(model, row),
                relevant,
            });
        }
        audience
    }

    /// Share of the relevant products that the model does not know.
    pub(crate) fn unknown_share(&self) -> f64 {
        self.unknown as f64 / self.relevant.max(1) as f64
    }
}

fn segment_of(model: &Model, user: UserRow) -> usize {
    let name = model.users().segment(user);
    let mut names = model.users().segment_names().iter();
    names
        .position(|segment| segment == name)
        .expect("a user's segment is one of the model's")
}
