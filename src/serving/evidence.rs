//! What a request is evidence for, when the arms of a rollout are compared.
//!
//! Decided before the request is answered, from the request and from what all arms know, so the result does not
//! depend on the arm. Any caller can request a product that only one version knows, or filter out every
//! product; such a request says nothing about a version.

use super::filter::ProductFilter;
use crate::guardrails::{People, Scope};
use crate::lifecycle::LiveArm;
use hotshelf_model::Model;

/// A request as the guardrails see it.
pub(super) trait Judged {
    /// The key that chose the arm, and under which a person counts once.
    fn split_key(&self) -> &str;

    /// What the request is evidence for between these arms.
    fn scope(&self, arms: Arms<'_>) -> Scope;
}

/// The arms that are compared, and who counts.
#[derive(Clone, Copy)]
pub(super) struct Arms<'a> {
    pub(super) arms: &'a [LiveArm],
    pub(super) people: People,
}

impl Arms<'_> {
    /// Whether every arm's version has content.
    pub(super) fn have_content(self) -> bool {
        self.all(|model| model.content().is_some())
    }

    /// Whether every arm's version has transitions.
    pub(super) fn have_transitions(self) -> bool {
        self.all(|model| model.transitions().is_some())
    }

    /// Whether every arm's version knows the product.
    pub(super) fn know_product(self, id: &str) -> bool {
        self.all(|model| model.products().find(id).is_some())
    }

    /// Whether this person counts at all.
    pub(super) fn count_person(self, user_id: &str) -> bool {
        match self.people {
            People::All => true,
            People::Known => self.all(|model| model.users().find(user_id).is_some()),
        }
    }

    /// Whether all arms know the person, or none does.
    pub(super) fn agree_on_person(self, user_id: &str) -> bool {
        user_id.is_empty() || self.agree(|model| model.users().find(user_id).is_some())
    }

    /// Whether all arms know the same of these products.
    pub(super) fn agree_on_products(self, ids: &[String]) -> bool {
        let mut ids = ids.iter();
        ids.all(|id| self.agree(|model| model.products().find(id).is_some()))
    }

    fn all(self, holds: impl Fn(&Model) -> bool) -> bool {
        self.arms.iter().all(|arm| holds(&arm.loaded.model))
    }

    fn agree(self, holds: impl Fn(&Model) -> bool) -> bool {
        let mut arms = self.arms.iter().map(|arm| holds(&arm.loaded.model));
        let first = arms.next();
        arms.all(|one| Some(one) == first)
    }
}

/// Whether a filter can leave an answer empty, or short of scored products.
pub(super) fn is_filtered(filter: &ProductFilter) -> bool {
    *filter != ProductFilter::default()
}
