//! The user of a query: recent products and ALS factors, stored or folded in.

use super::Model;
use crate::{
    Query, Reason,
    fold_in::{FoldIn, Weights},
    ids::{ProductRow, UserRow},
};

/// Working memory.
#[derive(Clone, Debug, Default)]
pub(super) struct PersonScratch {
    /// Products that the query names as recent and the model knows, newest first, repeats kept.
    pub(super) named: Vec<u32>,
    /// Those of them that the user had, and not only looked at.
    pub(super) had: Vec<u32>,
    /// What the content score is the sum over: distinct products with embeddings, newest first.
    pub(super) recents: Vec<u32>,
    /// What the sequence side follows: distinct products, newest first.
    pub(super) followed: Vec<u32>,
}

/// ALS factors of the person, and where they are from.
#[derive(Clone, Copy, Debug)]
pub(super) struct Taste<'a> {
    pub(super) factors: &'a [f32],
    pub(super) reason: Reason,
}

impl Model {
    /// Finds the named recent products; returns how many the model does not know.
    pub(super) fn name_recents(&self, query: &Query<'_>, scratch: &mut PersonScratch) -> usize {
        let ids = query.recent_product_ids;
        scratch.named.clear();
        let rows = ids.iter().filter_map(|id| self.products.find(id));
        scratch.named.extend(rows.map(|product| product.0));
        scratch.had.clear();
        let had = ids.iter().filter(|id| !query.browsed.contains(id));
        let rows = had.filter_map(|id| self.products.find(id));
        scratch.had.extend(rows.map(|product| product.0));
        ids.len() - scratch.named.len()
    }

    /// Chooses the products that content similarity is measured against: those named in the query,
    /// or else those of the history. At most `scoring.recents` that have an embedding.
    pub(super) fn choose_recents(
        &self,
        query: &Query<'_>,
        user: Option<UserRow>,
        scratch: &mut PersonScratch,
    ) {
        let PersonScratch { named, recents, .. } = scratch;
        recents.clear();
        let Some(content) = &self.content else {
            return;
        };
        let limit = self.parameters.scoring.recents.max(1);
        let has_content = |row: &&u32| content.group(ProductRow(**row)).is_some();
        let rows = self.newest_first(query, user, named);
        take_distinct(rows.filter(has_content), limit, recents);
    }

    /// Chooses the products that the sequence side follows, from the same as
    /// [`Self::choose_recents`] and at most as many as its parameters say.
    pub(super) fn choose_followed(
        &self,
        query: &Query<'_>,
        user: Option<UserRow>,
        scratch: &mut PersonScratch,
    ) {
        let PersonScratch {
            named, followed, ..
        } = scratch;
        followed.clear();
        let Some(sequence) = &self.parameters.sides.sequence else {
            return;
        };
        let rows = self.newest_first(query, user, named);
        take_distinct(rows, sequence.recents, followed);
    }

    /// The products that the query names; where it names none, or wants them filled up, those of the history.
    fn newest_first<'a>(
        &'a self,
        query: &Query<'_>,
        user: Option<UserRow>,
        named: &'a [u32],
    ) -> impl Iterator<Item = &'a u32> {
        let is_filled = query.recent_product_ids.is_empty() || query.fill_from_history;
        let history = user.filter(|_| is_filled);
        let history = history.map_or(&[][..], |user| self.history.recent.of(user));
        named.iter().chain(history)
    }

    /// The stored factors of a known user; else, or where these are all zero, factors folded in
    /// from the products named. `None` where that gives nothing, or zeros.
    pub(super) fn taste<'a>(
        &'a self,
        user: Option<UserRow>,
        named: &[u32],
        fold_in: &'a mut FoldIn,
    ) -> Option<Taste<'a>> {
        let is_something = |factors: &&[f32]| factors.iter().any(|x| *x != 0.0);
        let stored = user.map(|user| self.als.user(user)).filter(is_something);
        if let Some(factors) = stored {
            return Some(Taste {
                factors,
                reason: Reason::Collaborative,
            });
        }
        let weights = Weights {
            regularization: self.parameters.als.regularization,
            confidence: self.parameters.als.confidence,
            value: self.fold_in_value,
        };
        let folded = fold_in
            .solve(&self.als, weights, named)
            .filter(is_something);
        folded.map(|factors| Taste {
            factors,
            reason: Reason::FoldIn,
        })
    }
}

/// Adds rows that are not there yet, up to a limit.
fn take_distinct<'a>(rows: impl Iterator<Item = &'a u32>, limit: usize, taken: &mut Vec<u32>) {
    for row in rows {
        if taken.len() == limit {
            break;
        }
        if !taken.contains(row) {
            taken.push(*row);
        }
    }
}
