//! The exact scan: products in order of norm, stopped by the Cauchy–Schwarz bound.
//!
//! No inner product exceeds |query| × |row|. Rows are visited by descending norm, so as soon as
//! that bound falls below the n-th best score so far, nothing further down can enter (Teflioudi,
//! Gemulla and Mykytiuk, "LEMP", SIGMOD 2015, use the same order). ALS norms are skewed, as
//! popularity is, and the scan usually sees a few percent of the catalogue; where norms are equal
//! it sees everything and is a plain scan. Either way the result is that of the plain scan, to
//! the bit.
//!
//! The rows are kept a second time, in order of norm and in panels of 16 (see
//! [`crate::dot::panel_scores_on`]). Gathering rows through `order` from the matrix instead would
//! save that memory and was measured 3 to 5 times slower (`benches/scan.rs`).

use super::{Search, SearchScratch};
use crate::{
    Breathe, Matrix,
    column::Column,
    dot::{panel_line, panel_scores_on},
    lanes::{CpuPath, LANES, Line},
};

/// Panels scored between two looks at the bound. Chosen: 64 rows, so that a call costs little
/// beside its work and few rows past the stop are scored.
const PANELS_AT_ONCE: usize = 4;

/// What computed scores and stored norms may exceed their true values by, relatively: 68 rounded
/// operations at 1024 factors are 4e-6, stored norms are checked to [`NORM_TOLERANCE`].
const BOUND_MARGIN: f64 = 1.0 + 1e-4;

/// The same in absolute terms, for products that underflow: 1024 of them lose at most 2e-42.
const BOUND_UNDERFLOW: f64 = 1e-40;

/// How far a stored norm may lie from the norm of its row, relatively.
pub(crate) const NORM_TOLERANCE: f64 = 1e-5;

/// The columns of the part `als_index.safetensors`, and the rows in their order.
#[derive(Clone, Debug)]
pub(crate) struct Exact {
    /// A permutation of the rows: norm descending, then row ascending.
    pub(crate) order: Column<u32>,
    /// Euclidean norms in that order.
    pub(crate) norms: Column<f32>,
    panels: Vec<Line>,
    /// Lines of a padded query.
    lines: usize,
    cols: usize,
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
        let (cols, lines) = (rows.cols(), rows.cols().div_ceil(LANES));
        let mut panels = vec![Line::ZERO; lines * LANES * order.as_slice().len().div_ceil(LANES)];
        let mut since = 0;
        for (panel, order) in panels
            .chunks_mut((lines * LANES).max(1))
            .zip(order.as_slice().chunks(LANES))
        {
            for (lane, row) in order.iter().enumerate() {
                for (element, x) in rows.row(*row as usize).iter().enumerate() {
                    panel[panel_line(element, lines)].0[lane] = *x;
                }
            }
            since += size_of_val(panel);
            if since >= 256 << 10 {
                breathe(std::mem::take(&mut since));
            }
        }
        breathe(since);
        Self {
            order,
            norms,
            panels,
            lines,
            cols,
        }
    }

    /// Leaves the best rows in `scratch`.
    pub(super) fn search(
        &self,
        path: CpuPath,
        search: &Search<'_>,
        admits: &impl Fn(u32) -> bool,
        scratch: &mut SearchScratch,
    ) {
        assert_eq!(
            search.query.len(),
            self.cols,
            "the query has the length of a row"
        );
        scratch.top.start(search.n);
        scratch.scored = 0;
        scratch.query.clear();
        scratch.query.resize(self.lines, Line::ZERO);
        bytemuck::cast_slice_mut::<Line, f32>(&mut scratch.query)[..self.cols]
            .copy_from_slice(search.query);
        scratch.scores.resize(PANELS_AT_ONCE, Line::ZERO);

        let query_norm = norm(search.query);
        let order = self.order.as_slice();
        let mut bar = scratch.top.bar();
        for (block, order) in order.chunks(PANELS_AT_ONCE * LANES).enumerate() {
            let start = block * PANELS_AT_ONCE;
            let longest = f64::from(self.norms.as_slice()[start * LANES]);
            let bound = query_norm * longest * BOUND_MARGIN + BOUND_UNDERFLOW;
            // A row that only reaches the bar may still win its tie, so the stop is strict.
            if bound < f64::from(bar) {
                break;
            }
            let panels = order.len().div_ceil(LANES);
            let lines = self.lines * LANES;
            let scores = &mut scratch.scores[..panels];
            let rows = &self.panels[start * lines..][..panels * lines];
            panel_scores_on(path, &scratch.query, rows, scores);
            scratch.scored += order.len();
            for (scores, order) in scratch.scores.iter().zip(order.chunks(LANES)) {
                if !reaches(scores, bar) {
                    continue;
                }
                for (score, row) in scores.0.iter().zip(order) {
                    if *score >= bar && admits(*row) {
                        scratch.top.offer(*score, *row);
                        bar = scratch.top.bar();
                    }
                }
            }
        }
        scratch.top.finish(&mut scratch.ranked);
    }

    pub(super) fn bytes(&self) -> usize {
        self.order.as_bytes().len() + self.norms.as_bytes().len() + size_of_val(&self.panels[..])
    }
}

/// Whether any of 16 scores reaches the bar; without an early exit, so that it compiles to
/// vector comparisons.
fn reaches(scores: &Line, bar: f32) -> bool {
    scores
        .0
        .iter()
        .fold(false, |any, score| any | (*score >= bar))
}

/// Euclidean norm in f64: no row of f32 can overflow it or vanish in it. Eight partial sums in
/// fixed order, plain multiplications and additions, so every CPU computes the same.
pub(crate) fn norm(row: &[f32]) -> f64 {
    let mut sums = [0.0f64; 8];
    for chunk in row.chunks(sums.len()) {
        for (sum, x) in sums.iter_mut().zip(chunk) {
            *sum += f64::from(*x) * f64::from(*x);
        }
    }
    sums.iter().sum::<f64>().sqrt()
}
