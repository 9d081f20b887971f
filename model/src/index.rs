//! Finding the rows with the greatest inner product, by the plan of the version.
//!
//! A plan is chosen when an index is built and named in its card; callers only see
//! [`ItemIndex::search`] and [`ItemIndex::search_among`]. This module must not know what a query
//! vector stands for, nor why a row is ineligible.

mod choose;
mod codes;
mod exact;
mod graph;

pub use self::choose::Build;
pub(crate) use self::{
    codes::norm,
    exact::{Exact, NORM_TOLERANCE},
    graph::{EF_RANGE, Graph, NO_EDGE, STRIDE, build::Metric},
};
use self::{exact::ExactScratch, graph::GraphScratch};
use crate::{
    Clock, IndexCard, IndexChoice, Matrix, Retrieval, RetrievalPlan,
    dot::listed_scores_on,
    lanes::{CpuPath, int8::prefetch},
    topk::{Scored, TopK},
};

/// An index over the rows of one matrix.
#[derive(Clone, Debug)]
pub struct ItemIndex {
    rows: Matrix,
    /// Answers what the graph does not.
    exact: Exact,
    graph: Option<Graph>,
    card: IndexCard,
}

/// A search for the rows with the greatest inner products.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// Vector of the matrix's row length.
    pub query: &'a [f32],
    /// Rows requested.
    pub n: usize,
    /// Upper bound of eligible rows; decides between graph and scan.
    pub eligible_max: usize,
}

/// Rows that a search found and their scores, best first.
pub type Found<'s> = std::iter::Map<std::slice::Iter<'s, Scored>, fn(&'s Scored) -> (u32, f32)>;

/// Working memory of searches; it grows with the longest `n` and dimension asked for.
#[derive(Clone, Debug, Default)]
pub struct SearchScratch {
    exact: ExactScratch,
    graph: GraphScratch,
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

    /// Indexes `rows` by the plan chosen or, under `auto`, by the one that measures better with
    /// rows as queries; [`Self::card`] holds the measurements.
    #[must_use]
    pub fn build(rows: &Matrix, choice: IndexChoice, clock: Option<Clock>) -> Self {
        let build = Build {
            choice,
            clock,
            queries: None,
        };
        build.index(rows)
    }

    /// The same index whose graph, if it has one, keeps `ef` nodes in a search for 10: for benches
    /// that sweep it.
    #[must_use]
    pub fn with_ef(mut self, ef: usize) -> Self {
        let ef = ef.clamp(*EF_RANGE.start(), *EF_RANGE.end());
        if let (Some(graph), Some(card)) = (&mut self.graph, &mut self.card.graph) {
            graph.ef = ef;
            card.ef_search = ef;
        }
        self
    }

    /// Assembles what was built or decoded.
    pub(crate) fn new(rows: &Matrix, exact: Exact, graph: Option<Graph>, card: IndexCard) -> Self {
        Self {
            rows: rows.clone(),
            exact,
            graph,
            card,
        }
    }

    /// The rows with the greatest inner products among those eligible: min(n, eligible) of them,
    /// best first and among equals the lower row first. No allocation once `scratch` has grown.
    ///
    /// # Panics
    /// If the query has not the length of a row.
    pub fn search<'s>(
        &self,
        search: &Search<'_>,
        is_eligible: impl Fn(u32) -> bool,
        scratch: &'s mut SearchScratch,
    ) -> Found<'s> {
        self.search_on(CpuPath::detected(), search, is_eligible, scratch)
    }

    /// [`Self::search`] on a chosen path.
    pub(crate) fn search_on<'s>(
        &self,
        path: CpuPath,
        search: &Search<'_>,
        is_eligible: impl Fn(u32) -> bool,
        scratch: &'s mut SearchScratch,
    ) -> Found<'s> {
        assert_eq!(
            search.query.len(),
            self.rows.cols(),
            "the query has the length of a row"
        );
        if let Some(graph) = &self.graph
            && graph.suits(search, self.rows.rows())
        {
            let about = (&self.rows, &self.exact, search);
            if graph.search(path, about, &is_eligible, scratch) {
                scratch.plan = Some(RetrievalPlan::Hnsw);
                return scratch.found();
            }
        }
        let about = (&self.rows, search);
        self.exact.search(path, about, &is_eligible, scratch);
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
        is_eligible: impl Fn(u32) -> bool,
        scratch: &'s mut SearchScratch,
    ) -> Found<'s> {
        scratch.top.start(search.n);
        scratch.scored = 0;
        let mut batch = [0u32; LISTED_AT_ONCE];
        let mut scores = [0.0f32; LISTED_AT_ONCE];
        let mut eligible = rows.iter().copied().filter(|row| is_eligible(*row));
        loop {
            let mut count = 0;
            for (slot, row) in batch.iter_mut().zip(eligible.by_ref()) {
                prefetch(self.rows.row(row as usize));
                *slot = row;
                count += 1;
            }
            let (batch, scores) = (&batch[..count], &mut scores[..count]);
            let listed = (self.rows.as_slice(), batch);
            listed_scores_on(CpuPath::detected(), search.query, listed, scores);
            scratch.scored += count;
            for (score, row) in scores.iter().zip(batch) {
                if *score >= scratch.top.bar() {
                    scratch.top.offer(*score, *row);
                }
            }
            if count < LISTED_AT_ONCE {
                break;
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
        &self.exact
    }

    /// The graph's columns, for encoding.
    pub(crate) fn as_graph(&self) -> Option<&Graph> {
        self.graph.as_ref()
    }

    /// Bytes held beside the matrix.
    pub(crate) fn bytes(&self) -> usize {
        self.exact.bytes() + self.graph.as_ref().map_or(0, Graph::bytes)
    }
}

/// Listed rows that are prefetched before the first of them is needed. Chosen: as many rows of 64
/// factors as a core's line buffers hold, several times over.
const LISTED_AT_ONCE: usize = 32;

#[cfg(test)]
mod tests;
