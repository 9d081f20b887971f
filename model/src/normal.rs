//! The normal equations of one row, as kernels over lanes.
//!
//! A symmetric matrix is kept as its upper triangle, row-major in whole lines: row `i` is `stride`
//! lines, of which those from line `i / 16` on are used, and within the first of these the lanes
//! from the diagonal on. Every number is a chain of fused multiply-adds in one order, so all paths
//! agree.

pub(crate) mod robust;
mod row;

pub(crate) use self::row::RowSolver;

use crate::{
    FACTOR_NORM_MAX,
    index::norm,
    lanes::{Kernel, LANES, Lanes, Line},
};

/// Whether factors that were solved may be kept: finite, and short enough that no score overflows.
pub(crate) fn is_usable(row: &[Line]) -> bool {
    // Written so that NaN fails, too.
    norm(bytemuck::cast_slice(row)) <= f64::from(FACTOR_NORM_MAX)
}

/// Matrix rows that accumulate side by side. Chosen: eight independent chains hide the latency of
/// a multiply-add on AVX-512; they are all sixteen registers of AVX2.
const TILE: usize = 8;

/// A pivot below this share of its diagonal element is rounding noise: a few hundred times the
/// unit roundoff of f32.
const PIVOT_MIN: f32 = 2e-5;

/// Adds `Σ scaledᵢ rowᵢᵀ` to the upper triangle of `matrix`.
pub(crate) struct AddOuterProducts<'a> {
    pub(crate) matrix: &'a mut [Line],
    pub(crate) stride: usize,
    /// Rows of the matrix in use.
    pub(crate) len: usize,
    pub(crate) scaled: &'a [Line],
    pub(crate) rows: &'a [Line],
}

impl Kernel for AddOuterProducts<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let stride = self.stride;
        let tiles = self
            .matrix
            .chunks_exact_mut(TILE * stride)
            .take(self.len.div_ceil(TILE));
        for (tile, tile_rows) in tiles.enumerate() {
            let (line, half) = (tile * TILE / LANES, tile % (LANES / TILE));
            for col in line..stride {
                let mut acc = [lanes.splat(0.0); TILE];
                for (row, acc) in acc.iter_mut().enumerate() {
                    *acc = lanes.load(&tile_rows[row * stride + col].0);
                }
                let pairs = self
                    .rows
                    .chunks_exact(stride)
                    .zip(self.scaled.chunks_exact(stride));
                for (row, scaled) in pairs {
                    let row = lanes.load(&row[col].0);
                    let scaled: &[f32; TILE] = &scaled[line].0.as_chunks().0[half];
                    for (acc, x) in acc.iter_mut().zip(scaled) {
                        *acc = lanes.fma(lanes.splat(*x), row, *acc);
                    }
                }
                for (row, acc) in acc.iter().enumerate() {
                    lanes.store(*acc, &mut tile_rows[row * stride + col].0);
                }
            }
        }
    }
}

/// Writes `scale × row` to `scaled` and adds `weight × row` to `right`.
pub(crate) struct ScaleRow<'a> {
    pub(crate) row: &'a [Line],
    pub(crate) scale: f32,
    pub(crate) scaled: &'a mut [Line],
    pub(crate) weight: f32,
    pub(crate) right: &'a mut [Line],
}

impl Kernel for ScaleRow<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let (scale, weight) = (lanes.splat(self.scale), lanes.splat(self.weight));
        for ((row, scaled), right) in self.row.iter().zip(self.scaled).zip(self.right) {
            let row = lanes.load(&row.0);
            lanes.store(lanes.fma(scale, row, lanes.splat(0.0)), &mut scaled.0);
            lanes.store(lanes.fma(weight, row, lanes.load(&right.0)), &mut right.0);
        }
    }
}

/// Solves `matrix × solution = right` by Cholesky, destroying `matrix` and `right`; false where a
/// pivot is too small for f32. F³/6 multiply-adds.
pub(crate) struct Solve<'a> {
    pub(crate) matrix: &'a mut [Line],
    /// Order of the system; rows and columns from here on are padding.
    pub(crate) len: usize,
    pub(crate) right: &'a mut [Line],
    /// Working memory of the length of `right`.
    pub(crate) middle: &'a mut [Line],
    /// The answer, of the length of `right`.
    pub(crate) solution: &'a mut [Line],
}

impl Kernel for Solve<'_> {
    type Output = bool;

    #[inline(always)]
    fn run<L: Lanes>(mut self, lanes: L) -> bool {
        self.factorize(lanes) && {
            self.substitute(lanes);
            true
        }
    }
}

/// Row `i` is one from lane `i` on and zero before.
const UPPER: [[f32; LANES]; LANES] = {
    let mut mask = [[0.0; LANES]; LANES];
    let mut at = 0;
    while at < LANES * LANES {
        if at % LANES >= at / LANES {
            mask[at / LANES][at % LANES] = 1.0;
        }
        at += 1;
    }
    mask
};

impl Solve<'_> {
    /// `matrix` becomes U with `UᵀU` = matrix, zero left of the diagonal; the diagonal itself is
    /// kept inverted, as it is only ever divided by. Right-looking, so that every update is a
    /// contiguous row.
    #[inline(always)]
    fn factorize<L: Lanes>(&mut self, lanes: L) -> bool {
        let stride = self.right.len();
        for pivot in 0..self.len {
            let diagonal = self.matrix[pivot * stride + pivot / LANES].0[pivot % LANES];
            self.middle[pivot / LANES].0[pivot % LANES] = diagonal;
        }
        for pivot in 0..self.len {
            let (above, below) = self.matrix.split_at_mut((pivot + 1) * stride);
            let row = &mut above[pivot * stride..];
            let (line, lane) = (pivot / LANES, pivot % LANES);
            let square = row[line].0[lane];
            // Written so that NaN fails, too.
            let is_sound = square > self.middle[line].0[lane] * PIVOT_MIN && square.is_normal();
            if !is_sound {
                return false;
            }
            let inverse = 1.0 / square.sqrt();
            let (scale, zero) = (lanes.splat(inverse), lanes.splat(0.0));
            let first = lanes.fma(scale, lanes.load(&UPPER[lane]), zero);
            lanes.store(
                lanes.fma(first, lanes.load(&row[line].0), zero),
                &mut row[line].0,
            );
            for rest in &mut row[line + 1..] {
                lanes.store(lanes.fma(scale, lanes.load(&rest.0), zero), &mut rest.0);
            }
            for (lower, target) in (pivot + 1..self.len).zip(below.chunks_exact_mut(stride)) {
                let line = lower / LANES;
                let x = lanes.splat(-row[line].0[lower % LANES]);
                for (row, target) in row[line..].iter().zip(&mut target[line..]) {
                    let updated = lanes.fma(x, lanes.load(&row.0), lanes.load(&target.0));
                    lanes.store(updated, &mut target.0);
                }
            }
            row[line].0[lane] = inverse;
        }
        true
    }

    /// `Uᵀ middle = right`, then `U solution = middle`.
    #[inline(always)]
    fn substitute<L: Lanes>(&mut self, lanes: L) {
        let stride = self.right.len();
        for pivot in 0..self.len {
            let row = &self.matrix[pivot * stride..][..stride];
            let (line, lane) = (pivot / LANES, pivot % LANES);
            let z = self.right[line].0[lane] * row[line].0[lane];
            self.middle[line].0[lane] = z;
            let x = lanes.splat(-z);
            for (row, right) in row[line..].iter().zip(&mut self.right[line..]) {
                let updated = lanes.fma(x, lanes.load(&row.0), lanes.load(&right.0));
                lanes.store(updated, &mut right.0);
            }
        }
        self.solution.fill(Line::ZERO);
        for pivot in (0..self.len).rev() {
            let row = &self.matrix[pivot * stride..][..stride];
            let (line, lane) = (pivot / LANES, pivot % LANES);
            // Numbers at the pivot and left of it meet zeros of `solution`.
            let mut acc = lanes.splat(0.0);
            for (row, solution) in row[line..].iter().zip(&self.solution[line..]) {
                acc = lanes.fma(lanes.load(&row.0), lanes.load(&solution.0), acc);
            }
            let rest = self.middle[line].0[lane] - lanes.sum(acc);
            self.solution[line].0[lane] = rest * row[line].0[lane];
        }
    }
}
