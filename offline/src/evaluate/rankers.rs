//! What is compared: the trait of all rankers, and the model's strategies.

use hotshelf_model::{Fallback, Fallbacks, Model, Query, QueryError, Scratch, Strategy, UserRow};

/// Ranks products for one user: rows of the model, best first, at most k.
///
/// A ranker is shared by all threads; what a call needs to write stands in [`RankWork`].
pub(super) trait Ranker: Sync {
    fn name(&self) -> &'static str;
    /// Leaves the list in `work.list` and returns the fallbacks taken.
    fn rank(&self, user: UserRow, k: usize, work: &mut RankWork) -> Fallbacks;
}

/// One thread's working memory; what it held before never changes a list.
#[derive(Default)]
pub(super) struct RankWork {
    pub(super) list: Vec<u32>,
    pub(super) scratch: Scratch,
    /// By product; all zero between calls.
    pub(super) scores: Vec<f64>,
    /// Products with a score.
    pub(super) touched: Vec<u32>,
}

/// A strategy of a model, queried as the server queries it.
pub(super) struct StrategyRanker<'m> {
    model: &'m Model,
    name: &'static str,
    strategy: Strategy,
    include_seen: bool,
}

impl<'m> StrategyRanker<'m> {
    /// Errs if the model cannot serve the strategy to any user. An answer decides, not the parts,
    /// so that this holds for what is served.
    pub(super) fn new(
        model: &'m Model,
        (name, strategy): (&'static str, Strategy),
        include_seen: bool,
    ) -> Result<Self, String> {
        let ranker = Self::falling_back(model, (name, strategy), include_seen);
        if !model.users().is_empty() {
            let asked = ranker.ask(UserRow(0), 1, &mut RankWork::default());
            let fallbacks = asked.map_err(|why| why.to_string())?;
            if fallbacks.contains(Fallback::NoContentParts) {
                return Err(QueryError::NeedsContent.to_string());
            }
            if fallbacks.contains(Fallback::NoBlendWeights) {
                return Err("blended needs weights, which tuning finds".to_owned());
            }
        }
        Ok(ranker)
    }

    /// The same, whatever the model falls back to.
    pub(super) fn falling_back(
        model: &'m Model,
        (name, strategy): (&'static str, Strategy),
        include_seen: bool,
    ) -> Self {
        Self {
            model,
            name,
            strategy,
            include_seen,
        }
    }

    fn ask(&self, user: UserRow, k: usize, work: &mut RankWork) -> Result<Fallbacks, QueryError> {
        let query = Query {
            user_id: self.model.users().id(user),
            n: k,
            strategy: self.strategy,
            include_seen: self.include_seen,
            ..Query::default()
        };
        let answer = self.model.recommend(&query, &mut work.scratch)?;
        work.list.clear();
        let rows = answer.items.iter().map(|item| item.product.0);
        work.list.extend(rows);
        Ok(answer.fallbacks)
    }
}

impl Ranker for StrategyRanker<'_> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn rank(&self, user: UserRow, k: usize, work: &mut RankWork) -> Fallbacks {
        self.ask(user, k, work)
            .expect("a strategy that the model answers at all is answered for every user")
    }
}
