//! The graph plan: a navigable small world over the rows, searched from the most promising start.
//!
//! Rows are nodes; each has up to [`STRIDE`] edges, laid out flat. A search keeps the best `ef`
//! nodes it has seen, looks at the neighbours of the best one not yet looked at, and ends when all
//! have been (Malkov and Yashunin, "Efficient and robust approximate nearest neighbor search using
//! Hierarchical Navigable Small World graphs", TPAMI 2018, algorithm 2, on layer 0). In place of
//! the descent through upper layers, the codes of the [`SEEDS`] longest rows are scanned and the
//! best of them are the start: a few hundred bytes' products cost less than one cache miss, and
//! where norms differ the longest rows are where answers are.
//!
//! Rows of zeros are no nodes: they score zero with everything and no walk would find them.

pub(super) mod build;
mod repair;

use super::{Search, SearchScratch, exact::Exact};
use crate::{
    Matrix,
    column::Column,
    dot::listed_scores_on,
    lanes::{CpuPath, int8::prefetch},
};

/// Most edges of a node. Inherited from the paper's advice: twice M = 16.
pub(crate) const STRIDE: usize = 32;

/// Stands where a node has fewer edges than [`STRIDE`].
pub(crate) const NO_EDGE: u32 = u32::MAX;

/// Neighbours searched for when a node is inserted or repaired. Chosen: the least that the paper's
/// experiments use, because building is what costs.
pub(in crate::index) const EF_CONSTRUCTION: usize = 100;

/// Bounds of the nodes kept by a search.
pub(crate) const EF_RANGE: std::ops::RangeInclusive<usize> = 8..=4096;

/// A graph answers if at least one row in so many is eligible.
const ELIGIBLE_SHARE: usize = 2;

/// Longest rows that a search begins with, by their codes.
pub(super) const SEEDS: usize = 256;

/// The columns of an index part under plan `hnsw`.
#[derive(Clone, Debug)]
pub(crate) struct Graph {
    /// Node from which a walk visits all others.
    pub(crate) entry: u32,
    /// Nodes kept by a search for 10.
    pub(crate) ef: usize,
    /// `[rows × STRIDE]`: the neighbours of each row, then [`NO_EDGE`].
    pub(crate) edges: Column<u32>,
}

/// Working memory of searches in a graph.
#[derive(Clone, Debug, Default)]
pub(super) struct GraphScratch {
    /// Per row: the last search that saw it.
    seen: Vec<u32>,
    epoch: u32,
    pool: Pool,
}

impl Graph {
    /// The edges of a row.
    fn neighbours(&self, row: u32) -> &[u32] {
        let edges = &self.edges.as_slice()[row as usize * STRIDE..][..STRIDE];
        let count = edges.iter().position(|edge| *edge == NO_EDGE);
        &edges[..count.unwrap_or(STRIDE)]
    }

    /// Nodes kept by a search: for more rows than ten, as many more as keep recall what it was
    /// (measured: twice the rows beyond ten), and more as fewer of them are eligible.
    fn ef_for(&self, search: &Search<'_>, rows: usize) -> usize {
        let ef = self.ef + 2 * search.n.saturating_sub(10);
        let eligible = search.eligible_max.clamp(1, rows.max(1));
        (ef * rows).div_ceil(eligible)
    }

    /// Whether a search is for the graph: most rows are eligible, and few are wanted. Measured on
    /// 100,000 rows with mild norms: for 100 rows the exact scan is 1.9 times as fast.
    pub(super) fn suits(&self, search: &Search<'_>, rows: usize) -> bool {
        (1..=self.ef).contains(&search.n) && search.eligible_max >= rows.div_ceil(ELIGIBLE_SHARE)
    }

    /// Leaves the best eligible rows it visits in `scratch`; false where these are fewer than
    /// wanted. Costs about 12 rows scored for each of `ef` nodes looked at.
    pub(super) fn search(
        &self,
        path: CpuPath,
        (rows, exact, search): (&Matrix, &Exact, &Search<'_>),
        is_eligible: &impl Fn(u32) -> bool,
        scratch: &mut SearchScratch,
    ) -> bool {
        let ef = self.ef_for(search, rows.rows());
        let graph = &mut scratch.graph;
        graph.start(rows.rows(), ef);
        let seeds = exact.seeds(path, (search.query, SEEDS), &mut scratch.exact);
        let start = seeds.iter().map(|seed| seed.1);
        scratch.scored = self.walk(path, (rows, search.query), start, graph);
        scratch.top.start(search.n);
        for Node { score, row, .. } in &graph.pool.nodes {
            if is_eligible(*row) {
                scratch.top.offer(*score, *row);
            }
        }
        let found = scratch.top.len();
        scratch.top.finish(&mut scratch.ranked);
        found == search.n
    }

    /// Fills the pool from `start` and the entry; returns the rows scored.
    pub(super) fn walk(
        &self,
        path: CpuPath,
        (rows, query): (&Matrix, &[f32]),
        start: impl Iterator<Item = u32>,
        scratch: &mut GraphScratch,
    ) -> usize {
        let GraphScratch { seen, epoch, pool } = scratch;
        let mut scored = 0;
        let mut fresh = [0u32; STRIDE];
        let mut scores = [0.0f32; STRIDE];
        let mut look = |batch: &mut dyn Iterator<Item = u32>, pool: &mut Pool| {
            let mut count = 0;
            for row in batch {
                let seen = &mut seen[row as usize];
                if *seen != *epoch {
                    *seen = *epoch;
                    prefetch(rows.row(row as usize));
                    fresh[count] = row;
                    count += 1;
                }
            }
            let (fresh, scores) = (&fresh[..count], &mut scores[..count]);
            listed_scores_on(path, query, (rows.as_slice(), fresh), scores);
            for (score, row) in scores.iter().zip(fresh) {
                pool.offer(*score, *row);
            }
            scored += count;
        };
        look(&mut start.chain([self.entry]).take(STRIDE), pool);
        while let Some(row) = pool.next() {
            look(&mut self.neighbours(row).iter().copied(), pool);
        }
        scored
    }

    pub(super) fn bytes(&self) -> usize {
        self.edges.as_bytes().len()
    }
}

impl GraphScratch {
    /// Begins a search among `rows` rows that keeps `ef`.
    pub(super) fn start(&mut self, rows: usize, ef: usize) {
        // Another index may have used it: what was seen there is seen no longer.
        if self.seen.len() < rows {
            self.seen.resize(rows, 0);
        }
        self.epoch = self.epoch.wrapping_add(1);
        if self.epoch == 0 {
            self.seen.fill(0);
            self.epoch = 1;
        }
        self.pool.start(ef);
    }

    /// What the search came by, best first.
    pub(super) fn found(&self) -> impl Iterator<Item = u32> {
        self.pool.nodes.iter().map(|node| node.row)
    }
}

/// A node that a search keeps.
#[derive(Clone, Copy, Debug)]
struct Node {
    score: f32,
    row: u32,
    /// Whether its neighbours were looked at.
    is_done: bool,
}

/// The best nodes seen, best first. One sorted list serves as both heaps of the paper: it is short,
/// and moving its tail costs less than two heaps.
#[derive(Clone, Debug, Default)]
struct Pool {
    nodes: Vec<Node>,
    ef: usize,
    /// Every node before this one is done.
    next: usize,
}

impl Pool {
    fn start(&mut self, ef: usize) {
        self.nodes.clear();
        self.nodes.reserve(ef);
        self.ef = ef;
        self.next = 0;
    }

    fn offer(&mut self, score: f32, row: u32) {
        if self.nodes.len() == self.ef {
            if self.nodes.last().is_none_or(|worst| score <= worst.score) {
                return;
            }
            self.nodes.pop();
        }
        let at = self.nodes.partition_point(|node| node.score >= score);
        self.nodes.insert(
            at,
            Node {
                score,
                row,
                is_done: false,
            },
        );
        self.next = self.next.min(at);
    }

    /// The best node not yet looked at.
    fn next(&mut self) -> Option<u32> {
        while let Some(node) = self.nodes.get_mut(self.next) {
            self.next += 1;
            if !node.is_done {
                node.is_done = true;
                return Some(node.row);
            }
        }
        None
    }
}
