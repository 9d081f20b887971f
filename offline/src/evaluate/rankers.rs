//! The lists that are compared.

use hotshelf_model::{Model, Query, Scratch, Strategy, UserRow};

use super::Ranker;
use crate::mapping::{EvaluationPlan, Seen};

/// The model, asked as the server asks it.
pub(super) struct Collaborative<'m> {
    model: &'m Model,
    k: usize,
    include_seen: bool,
    scratch: Scratch,
}

impl<'m> Collaborative<'m> {
    pub(super) fn new(model: &'m Model, plan: &EvaluationPlan) -> Self {
        let include_seen = plan.seen == Seen::Included;
        Self {
            model,
            k: plan.k,
            include_seen,
            scratch: Scratch::default(),
        }
    }
}

impl Ranker for Collaborative<'_> {
    fn name(&self) -> &'static str {
        Strategy::Collaborative.as_str()
    }

    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>) {
        list.clear();
        let query = Query {
            user_id: self.model.users().id(user),
            n: self.k,
            strategy: Strategy::Collaborative,
            include_seen: self.include_seen,
            ..Query::default()
        };
        // A strategy that the model cannot serve is an empty list, which scores zero.
        if let Ok(answer) = self.model.recommend(&query, &mut self.scratch) {
            list.extend(answer.items.iter().map(|item| item.product.0));
        }
    }
}

/// The same list for everybody, seen products aside; equal popularity by row, as the model does.
pub(super) struct MostPopular<'m> {
    model: &'m Model,
    by_popularity: Vec<u32>,
    k: usize,
    include_seen: bool,
}

impl<'m> MostPopular<'m> {
    pub(super) fn new(model: &'m Model, plan: &EvaluationPlan) -> Self {
        let products = model.products();
        let mut by_popularity: Vec<u32> = (0..products.len() as u32).collect();
        let popularity = |row: u32| products.popularity(hotshelf_model::ProductRow(row));
        by_popularity.sort_by(|a, b| popularity(*b).total_cmp(&popularity(*a)).then(a.cmp(b)));
        Self {
            model,
            by_popularity,
            k: plan.k,
            include_seen: plan.seen == Seen::Included,
        }
    }
}

impl Ranker for MostPopular<'_> {
    fn name(&self) -> &'static str {
        "most_popular"
    }

    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>) {
        list.clear();
        let seen = if self.include_seen {
            &[]
        } else {
            self.model.history().seen(user)
        };
        let new = self
            .by_popularity
            .iter()
            .filter(|row| seen.binary_search(row).is_err());
        list.extend(new.take(self.k));
    }
}
