//! One half of an alternation: every row of one side solved against the other side.
//!
//! A row's observations are its pairs, with `c = 1 + confidence × value` (see
//! [`crate::normal::RowSolver`]). A row is one task, so threads change nothing. Where f32 runs
//! out of digits the row is solved again in f64 (see [`crate::normal::robust`]) and counted.
//!
//! Measured on UCI Online Retail, 64 factors, 15 alternations: f32 and f64 throughout end at
//! losses 4e-8 apart (relative) at confidence 1 and 3e-8 at 40, with equal precision@10; f32
//! needs f64 for no row there and takes a fifth of the time.

use std::sync::atomic::{AtomicUsize, Ordering};

use rayon::prelude::*;

use super::{
    factors::Factors,
    gram::Gram,
    pairs::{Pairs, ROWS_PER_TASK},
};
use crate::{
    lanes::{CpuPath, Line},
    normal::{RowSolver, is_usable, robust},
};

/// What a row is solved against.
pub(super) struct System<'a> {
    pub(super) path: CpuPath,
    /// The other side.
    pub(super) factors: &'a Factors,
    /// Gram matrix of the other side.
    pub(super) gram: &'a Gram,
    pub(super) regularization: f32,
    pub(super) confidence: f32,
}

/// Solved rows.
pub(super) struct Solved {
    pub(super) factors: Factors,
    /// Rows that needed f64.
    pub(super) double_precision: usize,
    /// First row whose factors are no usable numbers.
    pub(super) diverged: Option<usize>,
}

impl System<'_> {
    /// Solves every row of `pairs`; rows without observations become exactly zero. Must run
    /// inside the pool that it is to use.
    pub(super) fn solve(&self, pairs: &Pairs) -> Solved {
        let stride = self.factors.stride;
        let mut solved = Factors::zeros(pairs.rows(), self.factors.len);
        let regularized = self.gram.regularized(self.regularization);
        let (double_precision, diverged) = (AtomicUsize::new(0), AtomicUsize::new(usize::MAX));
        let tasks = solved
            .lines
            .par_chunks_mut(ROWS_PER_TASK.get() * stride)
            .enumerate();
        tasks.for_each_init(
            || {
                let mut solver = RowSolver::default();
                solver.start(self.factors.len);
                solver
            },
            |solver, (task, out)| {
                for (at, out) in out.chunks_exact_mut(stride).enumerate() {
                    let row = task * ROWS_PER_TASK.get() + at;
                    if pairs.count(row) == 0 {
                        continue;
                    }
                    if !self.solve_row(pairs, row, &regularized, (solver, &mut *out)) {
                        double_precision.fetch_add(1, Ordering::Relaxed);
                        self.solve_row_f64(pairs, row, out);
                    }
                    if !is_usable(out) {
                        diverged.fetch_min(row, Ordering::Relaxed);
                    }
                }
            },
        );
        Solved {
            factors: solved,
            double_precision: double_precision.into_inner(),
            diverged: Some(diverged.into_inner()).filter(|row| *row != usize::MAX),
        }
    }

    fn solve_row(
        &self,
        pairs: &Pairs,
        row: usize,
        regularized: &[Line],
        (solver, out): (&mut RowSolver, &mut [Line]),
    ) -> bool {
        solver.matrix_mut().copy_from_slice(regularized);
        let observations = pairs.row(row).map(|(col, value)| {
            let factors: &[f32] = bytemuck::cast_slice(self.factors.row(col as usize));
            (factors, self.confidence * value)
        });
        solver.solve(self.path, observations, out)
    }

    fn solve_row_f64(&self, pairs: &Pairs, row: usize, out: &mut [Line]) {
        let len = self.factors.len;
        let mut system = robust::System::new(self.gram.exact(), len, self.regularization);
        for (col, value) in pairs.row(row) {
            let factors: &[f32] = bytemuck::cast_slice(self.factors.row(col as usize));
            system.add(
                &factors[..len],
                f64::from(self.confidence) * f64::from(value),
            );
        }
        let out: &mut [f32] = bytemuck::cast_slice_mut(out);
        out.fill(0.0);
        for (out, x) in out.iter_mut().zip(system.solve()) {
            *out = x as f32;
        }
    }
}
