//! Finding the rows with the greatest inner product, by the plan of the version.
//!
//! A plan is chosen when an index is built and named in its card; callers only see
//! [`ItemIndex::search`] and [`ItemIndex::search_among`]. This module must not know what a query
//! vector stands for, nor why a row is not admitted.

mod codes;
mod exact;

use self::exact::ExactScratch;
pub(crate) use self::exact::{Exact, NORM_TOLERANCE, norm};
use crate::{
    Clock, IndexCard, IndexChoice, Matrix, Retrieval, RetrievalPlan,
    dot::scores_into_on,
    lanes::CpuPath,
    topk::{Scored, TopK},
};

/// An index over the rows of one matrix.
#[derive(Clone, Debug)]
pub struct ItemIndex {
    rows: Matrix,
    plan: Plan,
    card: IndexCard,
}

/// How an index searches.
#[derive(Clone, Debug)]
enum Plan {
    /// Every row that could matter, in order of norm.
    Exact(Exact),
}

/// What is searched for.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Vector of the matrix's row length.
    pub query: &'a [f32],
    /// Rows wanted.
    pub n: usize,
    /// At most so many rows are admitted; decides between graph and scan, and may be too high.
    pub admitted_max: usize,
}

/// Rows that a search found and their scores, best first.
pub type Found<'s> = std::iter::Map<std::slice::Iter<'s, Scored>, fn(&'s Scored) -> (u32, f32)>;

/// Working memory of searches; it grows with the longest `n` and dimension asked for.
#[derive(Clone, Debug, Default)]
pub struct SearchScratch {
    exact: ExactScratch,
    top: TopK,
    ranked: Vec<Scored>,
    scored: usize,
    plan: Option<RetrievalPlan>,
}

impl SearchScratch {
    /// How the last search went.
    #[must_use]
    pub fn retrieval(&self) -> Retrieval {
        Retrieval {
            plan: self.plan.unwrap_or(RetrievalPlan::Exact),
            scored: self.scored,
        }
    }

    fn found(&self) -> Found<'_> {
        self.ranked
            .iter()
            .map(|scored| (scored.row(), scored.score()))
    }
}

impl ItemIndex {
    /// Indexes `rows` for the exact plan.
    #[must_use]
    pub fn exact(rows: &Matrix) -> Self {
        Self::build(rows, IndexChoice::Exact, None)
    }

    /// Indexes `rows` by the plan chosen or, where that is left to the index, by the one that
    /// measures better; what was measured stands in [`Self::card`].
    #[must_use]
    pub fn build(rows: &Matrix, choice: IndexChoice, clock: Option<Clock>) -> Self {
        let _ = (choice, clock);
        let card = IndexCard {
            plan: "exact".to_owned(),
            recall_at_10: Some(1.0),
            queries_per_s: None,
        };
        Self::from_exact(rows, Exact::build(rows), card)
    }

    pub(crate) fn from_exact(rows: &Matrix, exact: Exact, card: IndexCard) -> Self {
        Self {
            rows: rows.clone(),
            plan: Plan::Exact(exact),
            card,
        }
    }

    /// The rows with the greatest inner products among those admitted: min(n, admitted) of them,
    /// best first and among equals the lower row first. No allocation once `scratch` has grown.
    ///
    /// # Panics
    /// If the query has not the length of a row.
    pub fn search<'s>(
        &self,
        search: &Search<'_>,
        admits: impl Fn(u32) -> bool,
        scratch: &'s mut SearchScratch,
    ) -> Found<'s> {
        self.search_on(CpuPath::detected(), search, admits, scratch)
    }

    /// [`Self::search`] on a chosen path.
    pub(crate) fn search_on<'s>(
        &self,
        path: CpuPath,
        search: &Search<'_>,
        admits: impl Fn(u32) -> bool,
        scratch: &'s mut SearchScratch,
    ) -> Found<'s> {
        match &self.plan {
            Plan::Exact(exact) => exact.search(path, (&self.rows, search), &admits, scratch),
        }
        scratch.plan = Some(RetrievalPlan::Exact);
        scratch.found()
    }

    /// The same among the listed rows alone, each of them scored: for filters that few rows pass.
    ///
    /// # Panics
    /// If the query has not the length of a row, or a listed row does not exist.
    pub fn search_among<'s>(
        &self,
        search: &Search<'_>,
        rows: &[u32],
        admits: impl Fn(u32) -> bool,
        scratch: &'s mut SearchScratch,
    ) -> Found<'s> {
        scratch.top.start(search.n);
        scratch.scored = 0;
        for row in rows.iter().copied().filter(|row| admits(*row)) {
            let mut score = [0.0];
            let numbers = self.rows.row(row as usize);
            scores_into_on(CpuPath::detected(), search.query, numbers, &mut score);
            scratch.scored += 1;
            if score[0] >= scratch.top.bar() {
                scratch.top.offer(score[0], row);
            }
        }
        scratch.top.finish(&mut scratch.ranked);
        scratch.plan = Some(RetrievalPlan::Matches);
        scratch.found()
    }

    /// The rows that are indexed.
    #[must_use]
    pub fn rows(&self) -> &Matrix {
        &self.rows
    }

    /// The plan, and what was measured of it.
    #[must_use]
    pub fn card(&self) -> &IndexCard {
        &self.card
    }

    /// The exact plan's columns, for encoding.
    pub(crate) fn as_exact(&self) -> &Exact {
        match &self.plan {
            Plan::Exact(exact) => exact,
        }
    }

    /// Bytes held beside the matrix.
    pub(crate) fn bytes(&self) -> usize {
        match &self.plan {
            Plan::Exact(exact) => exact.bytes(),
        }
    }
}

#[cfg(test)]
mod tests;
