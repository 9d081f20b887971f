//! The lists that are compared: the model's strategies, and what needs no model to speak of.

use hotshelf_model::{Fallback, Fallbacks, Model, Query, QueryError, Scratch, Strategy, UserRow};

use crate::mapping::{EvaluationPlan, Seen};

/// Everything is compared with this one.
pub(super) const BASELINE: &str = "most_popular";

/// Makes the list of one user: rows of the model, best first, at most k.
pub(super) trait Ranker {
    fn name(&self) -> &'static str;
    /// Returns what was given up on the way.
    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>) -> Fallbacks;
}

/// The model, asked as the server asks it.
pub(super) struct Asked<'m> {
    model: &'m Model,
    strategy: Strategy,
    k: usize,
    include_seen: bool,
    scratch: Scratch,
}

impl<'m> Asked<'m> {
    /// Err with the reason where the model cannot serve the strategy to anybody. Whether it can
    /// is read off an answer rather than off its parts, so that it holds for what is served.
    pub(super) fn new(
        model: &'m Model,
        plan: &EvaluationPlan,
        strategy: Strategy,
    ) -> Result<Self, QueryError> {
        let mut ranker = Self {
            model,
            strategy,
            k: plan.k,
            include_seen: plan.seen == Seen::Included,
            scratch: Scratch::default(),
        };
        if !model.users().is_empty() {
            let fallbacks = ranker.ask(UserRow(0), &mut Vec::new())?;
            if fallbacks.contains(Fallback::NoContentParts) {
                return Err(QueryError::NeedsContent);
            }
        }
        Ok(ranker)
    }

    fn ask(&mut self, user: UserRow, list: &mut Vec<u32>) -> Result<Fallbacks, QueryError> {
        let query = Query {
            user_id: self.model.users().id(user),
            n: self.k,
            strategy: self.strategy,
            include_seen: self.include_seen,
            ..Query::default()
        };
        let answer = self.model.recommend(&query, &mut self.scratch)?;
        list.extend(answer.items.iter().map(|item| item.product.0));
        Ok(answer.fallbacks)
    }
}

impl Ranker for Asked<'_> {
    fn name(&self) -> &'static str {
        self.strategy.as_str()
    }

    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>) -> Fallbacks {
        list.clear();
        self.ask(user, list)
            .expect("a strategy that the model answered once is answered for every user")
    }
}

/// What sold best in the past; what the user had is left out if `excluded`.
pub(super) struct MostPopular<'m> {
    model: &'m Model,
    by_popularity: Vec<u32>,
    k: usize,
    include_seen: bool,
}

impl<'m> MostPopular<'m> {
    pub(super) fn new(model: &'m Model, plan: &EvaluationPlan) -> Self {
        Self {
            model,
            by_popularity: model.popular().map(|product| product.0).collect(),
            k: plan.k,
            include_seen: plan.seen == Seen::Included,
        }
    }
}

impl Ranker for MostPopular<'_> {
    fn name(&self) -> &'static str {
        BASELINE
    }

    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>) -> Fallbacks {
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
        Fallbacks::default()
    }
}
