//! The Gram matrix of one side, summed the same way whatever the threads.

use rayon::prelude::*;

use super::factors::Factors;
use crate::{
    lanes::{CpuPath, LANES, Line, run},
    normal::AddOuterProducts,
};

/// Fewest rows of a partial sum, and most partial sums: together they depend on the number of
/// rows alone, and bound the memory of the partial sums to 64 matrices.
const CHUNK_ROWS_MIN: usize = 512;
const CHUNKS_MAX: usize = 64;

/// `FᵀF` of factors F.
pub(super) struct Gram {
    /// Upper triangle in f64, row-major `[len × len]`; the rest mirrors it.
    exact: Vec<f64>,
    len: usize,
    stride: usize,
}

impl Gram {
    /// Partial sums in f32 over fixed chunks of rows, added in their order in f64. Must run
    /// inside the pool that it is to use.
    pub(super) fn of(path: CpuPath, factors: &Factors) -> Self {
        let (len, stride) = (factors.len, factors.stride);
        let chunk_rows = factors.rows().div_ceil(CHUNKS_MAX).max(CHUNK_ROWS_MIN);
        let partial: Vec<Vec<Line>> = factors
            .lines
            .par_chunks(chunk_rows * stride)
            .map(|rows| {
                let mut matrix = vec![Line::ZERO; stride * LANES * stride];
                run(
                    path,
                    AddOuterProducts {
                        matrix: &mut matrix,
                        stride,
                        len,
                        scaled: rows,
                        rows,
                    },
                );
                matrix
            })
            .collect();
        let mut exact = vec![0.0; len * len];
        for matrix in &partial {
            let numbers: &[f32] = bytemuck::cast_slice(matrix);
            for (row, sums) in exact.chunks_exact_mut(len).enumerate() {
                let numbers = &numbers[row * stride * LANES..];
                for col in row..len {
                    sums[col] += f64::from(numbers[col]);
                }
            }
        }
        for row in 0..len {
            for col in 0..row {
                exact[row * len + col] = exact[col * len + row];
            }
        }
        Self { exact, len, stride }
    }

    /// Row-major `[len × len]`.
    pub(super) fn exact(&self) -> &[f64] {
        &self.exact
    }

    /// The same, rounded.
    pub(super) fn rounded(&self) -> Vec<f32> {
        self.exact.iter().map(|x| *x as f32).collect()
    }

    /// G + λI in padded lines.
    pub(super) fn regularized(&self, lambda: f32) -> Vec<Line> {
        let mut matrix = vec![Line::ZERO; self.stride * LANES * self.stride];
        let numbers: &mut [f32] = bytemuck::cast_slice_mut(&mut matrix);
        for (row, sums) in self.exact.chunks_exact(self.len).enumerate() {
            let numbers = &mut numbers[row * self.stride * LANES..];
            for (col, sum) in sums.iter().enumerate() {
                let ridge = if col == row { f64::from(lambda) } else { 0.0 };
                numbers[col] = (sum + ridge) as f32;
            }
        }
        matrix
    }

    /// Sum of squared norms of all rows.
    pub(super) fn trace(&self) -> f64 {
        (0..self.len).map(|at| self.exact[at * self.len + at]).sum()
    }

    /// Sum of squared inner products of every row of one side with every row of the other.
    pub(super) fn squared_scores(&self, other: &Self) -> f64 {
        self.exact
            .iter()
            .zip(&other.exact)
            .map(|(a, b)| a * b)
            .sum()
    }
}
