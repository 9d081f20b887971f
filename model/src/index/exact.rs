//! The exact scan: products in order of norm, stopped by the Cauchy–Schwarz bound.
//!
//! No inner product exceeds |query| × |row|. Rows are visited by descending norm, so as soon as
//! that bound falls below the n-th best score so far, nothing further down can enter (Teflioudi,
//! Gemulla and Mykytiuk, "LEMP", SIGMOD 2015, use the same order). ALS norms are skewed, as
//! popularity is, and the scan usually sees a few percent of the catalogue; where norms are equal
//! it sees everything.
//!
//! ```text
//!  codes in norm order ─▶ lower and upper bound of each score
//!      lower bounds ─▶ the n-th best of them is the bar
//!      upper bounds ─▶ rows that reach the bar ─▶ the one dot product ─▶ the best n
//! ```
//!
//! What is read of every visited row are its byte codes (see [`super::codes`]); the matrix itself
//! only for the few rows whose upper bound reaches the bar in the end. As the bounds are proven,
//! the result is that of the plain scan, to the bit. Memory beside the matrix: a quarter of it,
//! and 16 bytes a row.

use super::{
    Search, SearchScratch,
    codes::{Codes, PANELS_AT_ONCE, QueryCodes, norm},
};
use crate::{
    Breathe, Matrix,
    column::Column,
    dot::dot_on,
    lanes::{CpuPath, LANES, int8::prefetch},
    topk::TopK,
};

/// How far a stored norm may lie from the norm of its row, relatively.
pub(crate) const NORM_TOLERANCE: f64 = 1e-5;

/// The columns of the part `als_index.safetensors`, and the rows in their order as codes.
#[derive(Clone, Debug)]
pub(crate) struct Exact {
    /// A permutation of the rows: norm descending, then row ascending.
    pub(crate) order: Column<u32>,
    /// Euclidean norms in that order.
    pub(crate) norms: Column<f32>,
    codes: Codes,
}

/// Working memory of the exact scan.
#[derive(Clone, Debug, Default)]
pub(super) struct ExactScratch {
    query: QueryCodes,
    /// The best lower bounds so far; the least of them is the bar.
    lower: TopK,
    /// Admitted rows with the upper bounds of their scores.
    candidates: Vec<(f32, u32)>,
}

impl Exact {
    /// Sorts the rows of a matrix.
    pub(crate) fn build(rows: &Matrix) -> Self {
        let norms: Vec<f32> = (0..rows.rows())
            .map(|row| norm(rows.row(row)) as f32)
            .collect();
        let mut order: Vec<u32> = (0..rows.rows() as u32).collect();
        order.sort_unstable_by(|a, b| {
            norms[*b as usize]
                .total_cmp(&norms[*a as usize])
                .then(a.cmp(b))
        });
        let norms = order.iter().map(|row| norms[*row as usize]).collect();
        Self::new(
            rows,
            Column::from_vec(order),
            Column::from_vec(norms),
            &mut |_| {},
        )
    }

    /// Takes a permutation and norms that were computed here or checked by the decoder.
    pub(crate) fn new(
        rows: &Matrix,
        order: Column<u32>,
        norms: Column<f32>,
        breathe: Breathe<'_>,
    ) -> Self {
        let mut codes = Codes::with_capacity(rows.rows(), rows.cols());
        let mut since = 0;
        for order in order.as_slice().chunks(LANES) {
            codes.push_panel(order.iter().map(|row| rows.row(*row as usize)));
            since += order.len() * rows.cols() * size_of::<f32>();
            if since >= 64 << 10 {
                breathe(std::mem::take(&mut since));
            }
        }
        breathe(since);
        Self {
            order,
            norms,
            codes,
        }
    }

    /// Leaves the best rows in `scratch`.
    pub(super) fn search(
        &self,
        path: CpuPath,
        (rows, search): (&Matrix, &Search<'_>),
        is_eligible: &impl Fn(u32) -> bool,
        scratch: &mut SearchScratch,
    ) {
        assert_eq!(
            search.query.len(),
            rows.cols(),
            "the query has the length of a row"
        );
        scratch.top.start(search.n);
        scratch.scored = self.bound(path, search, is_eligible, &mut scratch.exact);
        let bar = scratch.exact.lower.bar();
        let candidates = &mut scratch.exact.candidates;
        candidates.retain(|(upper, _)| *upper >= bar);
        // Rows lie anywhere in memory: all are prefetched before the first is needed.
        for (_, row) in candidates.iter().take(PREFETCHED) {
            prefetch(rows.row(*row as usize));
        }
        for (at, (_, row)) in candidates.iter().enumerate() {
            if let Some((_, ahead)) = candidates.get(at + PREFETCHED) {
                prefetch(rows.row(*ahead as usize));
            }
            let score = dot_on(path, search.query, rows.row(*row as usize));
            if score >= scratch.top.bar() {
                scratch.top.offer(score, *row);
            }
        }
        scratch.top.finish(&mut scratch.ranked);
    }

    /// Collects every eligible row that may be among the best, returns the rows visited.
    fn bound(
        &self,
        path: CpuPath,
        search: &Search<'_>,
        is_eligible: &impl Fn(u32) -> bool,
        scratch: &mut ExactScratch,
    ) -> usize {
        let ExactScratch {
            query,
            lower,
            candidates,
        } = scratch;
        query.quantise(search.query);
        lower.start(search.n);
        candidates.clear();
        let norms = self.norms.as_slice();
        let blocks = self.order.as_slice().chunks(PANELS_AT_ONCE * LANES);
        let mut visited = 0;
        for (block, order) in blocks.enumerate() {
            let longest = norms[visited];
            let bar = lower.bar();
            // A row that only reaches the bar may still win its tie, so the stop is strict.
            if query.reach(longest) < f64::from(bar) {
                break;
            }
            let slack = query.slack(longest);
            let threshold = ((f64::from(bar) - slack) as f32).next_down();
            let scan = self
                .codes
                .scan(path, block * PANELS_AT_ONCE, query, threshold);
            for ((panel, order), sums) in order.chunks(LANES).enumerate().zip(&scan.sums) {
                let mut mask = scan.reaches[panel] & (u16::MAX >> (LANES - order.len()));
                while mask != 0 {
                    let lane = mask.trailing_zeros() as usize;
                    mask &= mask - 1;
                    let at = visited + panel * LANES + lane;
                    let [low, high] = self.codes.bounds(at, sums[lane], query, slack);
                    // Written so that NaN is looked at in full.
                    let is_out = high < lower.bar();
                    if !is_out && is_eligible(order[lane]) {
                        candidates.push((high, order[lane]));
                        lower.offer(low, order[lane]);
                    }
                }
            }
            visited += order.len();
        }
        visited
    }

    /// The rows that are not zeros, longest first.
    pub(crate) fn nonzero(&self) -> &[u32] {
        let count = self.norms.as_slice().partition_point(|norm| *norm > 0.0);
        &self.order.as_slice()[..count]
    }

    /// The most promising of the `among` longest rows that are not zeros, by their codes, best
    /// first.
    pub(super) fn seeds<'s>(
        &self,
        path: CpuPath,
        (query, among): (&[f32], usize),
        scratch: &'s mut ExactScratch,
    ) -> &'s [(f32, u32)] {
        scratch.query.quantise(query);
        scratch.candidates.clear();
        let nonzero = self.nonzero();
        let longest = nonzero[..among.min(nonzero.len())].chunks(PANELS_AT_ONCE * LANES);
        for (block, order) in longest.enumerate() {
            let start = block * PANELS_AT_ONCE;
            let scan = self.codes.scan(path, start, &scratch.query, f32::INFINITY);
            for (at, (row, sum)) in order.iter().zip(scan.sums.as_flattened()).enumerate() {
                let estimate = self.codes.estimate(start * LANES + at, *sum);
                scratch.candidates.push((estimate as f32, *row));
            }
        }
        let best = |a: &(f32, u32), b: &(f32, u32)| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1));
        let kept = SEEDS_KEPT.min(scratch.candidates.len());
        if kept < scratch.candidates.len() {
            scratch.candidates.select_nth_unstable_by(kept, best);
            scratch.candidates.truncate(kept);
        }
        scratch.candidates.sort_unstable_by(best);
        &scratch.candidates
    }

    pub(super) fn bytes(&self) -> usize {
        self.order.as_bytes().len() + self.norms.as_bytes().len() + self.codes.bytes()
    }
}

/// Rows that a graph search starts from.
const SEEDS_KEPT: usize = 8;

/// Rows asked for ahead of their use. Chosen: 16 of 256 bytes fill the line buffers of a core.
const PREFETCHED: usize = 16;
