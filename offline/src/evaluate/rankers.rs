//! The rankers compared: the model's strategies and most popular.

use hotshelf_model::{Fallback, Fallbacks, Model, Query, QueryError, Scratch, Strategy, UserRow};

use crate::mapping::{EvaluationPlan, SeenPolicy};

/// The ranker that all others are compared with.
pub(super) const BASELINE: &str = "most_popular";

/// Ranks products for one user: rows of the model, best first, at most k.
pub(super) trait Ranker {
    fn name(&self) -> &'static str;
    /// Returns the fallbacks taken.
    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>) -> Fallbacks;
}

/// A strategy of the model, queried as the server queries it.
pub(super) struct StrategyRanker<'m> {
    model: &'m Model,
    strategy: Strategy,
    k: usize,
    include_seen: bool,
    scratch: Scratch,
}

impl<'m> StrategyRanker<'m> {
    /// Errs if the model cannot serve the strategy to any user. An answer decides, not the parts,
    /// so that this holds for what is served.
    pub(super) fn new(
        model: &'m Model,
        plan: &EvaluationPlan,
        strategy: Strategy,
    ) -> Result<Self, QueryError> {
        let mut ranker = Self {
            model,
            strategy,
            k: plan.k,
            include_seen: plan.seen == SeenPolicy::Included,
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

impl Ranker for StrategyRanker<'_> {
    fn name(&self) -> &'static str {
        self.strategy.as_str()
    }

    fn rank(&mut self, user: UserRow, list: &mut Vec<u32>) -> Fallbacks {
        list.clear();
        self.ask(user, list)
            .expect("a strategy that the model answered once is answered for every user")
    }
}

/// The most popular products before the cut, without those that the user has if `excluded`.
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
            include_seen: plan.seen == SeenPolicy::Included,
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
