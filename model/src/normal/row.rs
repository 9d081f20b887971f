//! One row of ALS solved against fixed rows of the other side.
//!
//! With observations `i` the factors solve `(G + λI + Σ (cᵢ − 1) yᵢyᵢᵀ) x = Σ cᵢ yᵢ`. The sums run
//! in f32 and in the order of the observations, so fitting and folding in agree.

use super::{AddOuterProducts, ScaleRow, Solve};
use crate::lanes::{CpuPath, LANES, Line, run};

/// Observations gathered before they are added to the matrix. Chosen: at 64 factors two such
/// batches are 32 KiB and stay in the first-level cache.
const BATCH: usize = 64;

/// Working memory of one row after the other; 4 × F² bytes and a little more.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSolver {
    /// Factors in use.
    len: usize,
    /// Lines of a padded row.
    stride: usize,
    matrix: Vec<Line>,
    right: Vec<Line>,
    middle: Vec<Line>,
    rows: Vec<Line>,
    scaled: Vec<Line>,
}

impl RowSolver {
    /// Makes room for rows of `len` factors; allocates only when it grows.
    pub(crate) fn start(&mut self, len: usize) {
        let stride = len.div_ceil(LANES);
        (self.len, self.stride) = (len, stride);
        self.matrix.resize(stride * LANES * stride, Line::ZERO);
        for lines in [&mut self.right, &mut self.middle] {
            lines.resize(stride, Line::ZERO);
        }
        for lines in [&mut self.rows, &mut self.scaled] {
            // A shorter row leaves numbers of a longer one behind, and padding must be zero.
            lines.clear();
            lines.resize(BATCH * stride, Line::ZERO);
        }
    }

    /// `G + λI` in padded lines, row-major; to be filled before every [`Self::solve`], which
    /// destroys it. Only the upper triangle is read.
    pub(crate) fn matrix_mut(&mut self) -> &mut [Line] {
        &mut self.matrix
    }

    /// Solves for one row into `out`, a padded row. An observation is a row of the other side,
    /// with or without padding, and its c − 1. False where f32 has not enough digits; `out` is
    /// then undefined. Costs F² / 2 multiply-adds an observation and F³ / 6 in the end.
    pub(crate) fn solve<'r>(
        &mut self,
        path: CpuPath,
        observations: impl Iterator<Item = (&'r [f32], f32)>,
        out: &mut [Line],
    ) -> bool {
        self.right.fill(Line::ZERO);
        let mut count = 0;
        for (row, scale) in observations {
            let lines = count * self.stride..(count + 1) * self.stride;
            let padded: &mut [f32] = bytemuck::cast_slice_mut(&mut self.rows[lines.clone()]);
            padded[..row.len()].copy_from_slice(row);
            run(
                path,
                ScaleRow {
                    row: &self.rows[lines.clone()],
                    scale,
                    scaled: &mut self.scaled[lines],
                    weight: 1.0 + scale,
                    right: &mut self.right,
                },
            );
            count += 1;
            if count == BATCH {
                self.add(path, count);
                count = 0;
            }
        }
        self.add(path, count);
        run(
            path,
            Solve {
                matrix: &mut self.matrix,
                len: self.len,
                right: &mut self.right,
                middle: &mut self.middle,
                solution: out,
            },
        )
    }

    /// Adds the first `count` gathered observations to the matrix.
    fn add(&mut self, path: CpuPath, count: usize) {
        let lines = count * self.stride;
        run(
            path,
            AddOuterProducts {
                matrix: &mut self.matrix,
                stride: self.stride,
                len: self.len,
                scaled: &self.scaled[..lines],
                rows: &self.rows[..lines],
            },
        );
    }
}
