//! Finding the products with the greatest inner product, by the plan of the version.
//!
//! A plan is chosen when a version is packed and named in its card; callers only see
//! [`ItemIndex::search`]. There is one plan so far, the exact scan; a graph or a scan over int8
//! codes is another variant of `Plan` with its own working memory inside [`SearchScratch`], and
//! changes no caller. This module must not know what a query vector stands for.

mod exact;

pub(crate) use self::exact::{Exact, NORM_TOLERANCE, norm};
use crate::{
    Matrix,
    lanes::{CpuPath, Line},
    topk::{Scored, TopK},
};

/// An index over the rows of one matrix.
#[derive(Clone, Debug)]
pub struct ItemIndex {
    plan: Plan,
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
    /// Rows that must not come back.
    pub excluded: &'a RowSet,
}

/// Working memory of searches; it grows with the longest `n` and dimension asked for.
#[derive(Clone, Debug, Default)]
pub struct SearchScratch {
    query: Vec<Line>,
    scores: Vec<Line>,
    top: TopK,
    ranked: Vec<Scored>,
    scored: usize,
}

impl SearchScratch {
    /// Rows that the last search computed a score for.
    #[must_use]
    pub fn scored(&self) -> usize {
        self.scored
    }
}

impl ItemIndex {
    /// Indexes `rows` for the exact plan: sorts by norm and keeps a copy in that order, so it
    /// takes the memory of the matrix once more.
    #[must_use]
    pub fn exact(rows: &Matrix) -> Self {
        Self::from_exact(Exact::build(rows))
    }

    pub(crate) fn from_exact(exact: Exact) -> Self {
        Self {
            plan: Plan::Exact(exact),
        }
    }

    /// The rows with the greatest inner products, at most `n` and never one of `excluded`, best
    /// first and among equals the lower row first. No allocation once `scratch` has grown.
    ///
    /// # Panics
    /// If the query has not the length of a row.
    pub fn search<'s>(
        &self,
        search: &Search<'_>,
        scratch: &'s mut SearchScratch,
    ) -> impl ExactSizeIterator<Item = (u32, f32)> + use<'s> {
        self.search_on(CpuPath::detected(), search, scratch)
    }

    /// [`Self::search`] on a chosen path.
    pub(crate) fn search_on<'s>(
        &self,
        path: CpuPath,
        search: &Search<'_>,
        scratch: &'s mut SearchScratch,
    ) -> impl ExactSizeIterator<Item = (u32, f32)> + use<'s> {
        match &self.plan {
            Plan::Exact(exact) => exact.search(path, search, scratch),
        }
        scratch
            .ranked
            .iter()
            .map(|scored| (scored.row(), scored.score()))
    }

    /// The plan's name in cards.
    #[must_use]
    pub fn plan(&self) -> &'static str {
        match &self.plan {
            Plan::Exact(_) => "exact",
        }
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

/// A set of rows that is emptied in O(1): a row is in it where its mark is that of the current
/// round.
#[derive(Clone, Debug, Default)]
pub struct RowSet {
    round: u32,
    marks: Vec<u32>,
}

impl RowSet {
    /// Empties the set and makes room for rows below `rows`; allocates only when it grows.
    pub fn start(&mut self, rows: usize) {
        if self.round == u32::MAX {
            self.marks.fill(0);
            self.round = 0;
        }
        self.round += 1;
        if self.marks.len() < rows {
            self.marks.resize(rows, 0);
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If the row is not below what [`Self::start`] made room for.
    pub fn insert(&mut self, row: u32) {
        self.marks[row as usize] = self.round;
    }

    /// Whether the row is in the set.
    #[must_use]
    pub fn contains(&self, row: u32) -> bool {
        // A mark left by an earlier round is smaller; round 0 is before the first start.
        self.marks
            .get(row as usize)
            .is_some_and(|mark| *mark == self.round && self.round > 0)
    }
}

#[cfg(test)]
mod tests;
