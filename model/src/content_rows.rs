//! Content embeddings as scoring reads them: where most numbers are zero, only the others.
//!
//! TF-IDF rows have about ten numbers out of five hundred. Skipping zeros leaves the one dot
//! product as it is: a zero adds nothing to its lane, and the others keep lane and order. All
//! that may differ is the sign of a zero, and scores know no negative zero.

use crate::{
    Breathe, Matrix,
    dot::dot,
    lanes::{CpuPath, Kernel, LANES, Lanes, run},
    pace::Pace,
};

/// A sparse copy is kept where at most one number in so many is not zero. Chosen: a number by its
/// index costs a handful of numbers in a row, and the copy 6 bytes for the 4 that it doubles.
const SPARSE_FROM: usize = 8;

/// The numbers of a matrix that are not zero, row by row: 6 bytes each and 4 a row.
#[derive(Debug)]
struct Sparse {
    /// Row `r` has the numbers `offsets[r]..offsets[r + 1]`.
    offsets: Vec<u32>,
    cols: Vec<u16>,
    values: Vec<f32>,
}

/// Rows that are scored one by one.
#[derive(Debug)]
pub(crate) struct ContentRows {
    dense: Matrix,
    sparse: Option<Sparse>,
}

impl ContentRows {
    /// Counts and copies what is not zero, in two passes.
    pub(crate) fn new(dense: &Matrix, breathe: Breathe<'_>) -> Self {
        Self {
            sparse: Sparse::of(dense, breathe),
            dense: dense.clone(),
        }
    }

    /// Adds a row to a sum.
    pub(crate) fn add_to(&self, row: u32, sum: &mut [f32]) {
        for (sum, x) in sum.iter_mut().zip(self.dense.row(row as usize)) {
            *sum += x;
        }
    }

    /// Inner products of `query` with the listed rows, to the bit those of [`dot`] but for the
    /// sign of zero, which is always positive.
    pub(crate) fn scores(&self, query: &[f32], rows: &[u32], out: &mut Vec<f32>) {
        out.clear();
        match &self.sparse {
            Some(sparse) => run(
                CpuPath::detected(),
                SparseScores {
                    sparse,
                    query,
                    rows,
                    out,
                },
            ),
            None => {
                let scores = rows
                    .iter()
                    .map(|row| dot(query, self.dense.row(*row as usize)));
                out.extend(scores.map(|score| score + 0.0));
            }
        }
    }

    /// Bytes held beside the matrix.
    pub(crate) fn bytes(&self) -> usize {
        self.sparse.as_ref().map_or(0, |sparse| {
            size_of_val(&sparse.offsets[..])
                + size_of_val(&sparse.cols[..])
                + size_of_val(&sparse.values[..])
        })
    }
}

impl Sparse {
    /// `None` where a copy would not pay or its columns are too many to number.
    fn of(dense: &Matrix, breathe: Breathe<'_>) -> Option<Self> {
        let numbers = dense.as_slice();
        let mut pace = Pace::new(breathe);
        let mut count = 0;
        for some in numbers.chunks(16 << 10) {
            count += some.iter().filter(|x| **x != 0.0).count();
            pace.did(size_of_val(some));
        }
        let is_sparse = count <= numbers.len() / SPARSE_FROM;
        if !is_sparse || dense.cols() > 1 << 16 || count > u32::MAX as usize {
            return None;
        }
        let mut offsets = Vec::with_capacity(dense.rows() + 1);
        let (mut cols, mut values) = (Vec::with_capacity(count), Vec::with_capacity(count));
        offsets.push(0);
        for row in 0..dense.rows() {
            let row = dense.row(row);
            for (col, x) in row.iter().enumerate().filter(|(_, x)| **x != 0.0) {
                cols.push(col as u16);
                values.push(*x);
            }
            offsets.push(values.len() as u32);
            pace.did(size_of_val(row));
        }
        Some(Self {
            offsets,
            cols,
            values,
        })
    }
}

struct SparseScores<'a> {
    sparse: &'a Sparse,
    query: &'a [f32],
    rows: &'a [u32],
    out: &'a mut Vec<f32>,
}

impl Kernel for SparseScores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Sparse {
            offsets,
            cols,
            values,
        } = self.sparse;
        for row in self.rows {
            let range = offsets[*row as usize] as usize..offsets[*row as usize + 1] as usize;
            let mut sums = [0.0f32; LANES];
            for (col, value) in cols[range.clone()].iter().zip(&values[range]) {
                let col = usize::from(*col);
                let sum = &mut sums[col % LANES];
                *sum = self.query[col].mul_add(*value, *sum);
            }
            self.out.push(lanes.sum(lanes.load(&sums)) + 0.0);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn sparse_scores_are_the_one_dot_product(
            cols in 1usize..80,
            seed in proptest::collection::vec(
                prop_oneof![
                    30 => Just(0.0f32), 1 => Just(-0.0f32), 3 => -2.0f32..2.0,
                    1 => (0u32..0x0080_0000).prop_map(|bits| -f32::from_bits(bits)),
                ], 1..900),
            query in proptest::collection::vec(
                prop_oneof![Just(0.0f32), Just(-0.0f32), -3.0f32..3.0, -1e-30f32..1e-30], 80),
        ) {
            let rows = seed.len() / cols;
            let matrix = Matrix::from_vec(seed[..rows * cols].to_vec(), cols).unwrap();
            let kept = ContentRows::new(&matrix, &mut |_| {});
            let all: Vec<u32> = (0..rows as u32).collect();
            let mut scores = Vec::new();
            kept.scores(&query[..cols], &all, &mut scores);
            for (row, score) in scores.iter().enumerate() {
                let expected = dot(&query[..cols], matrix.row(row)) + 0.0;
                prop_assert_eq!(score.to_bits(), expected.to_bits(), "row {}", row);
            }
        }
    }

    #[test]
    fn sparse_copy_is_kept_of_sparse_rows_alone() {
        let mut numbers = vec![0.0; 64];
        numbers[5] = 1.0;
        let sparse = Matrix::from_vec(numbers, 32).unwrap();
        assert!(ContentRows::new(&sparse, &mut |_| {}).bytes() > 0);
        let full = Matrix::from_vec(vec![0.5; 64], 32).unwrap();
        assert_eq!(ContentRows::new(&full, &mut |_| {}).bytes(), 0);
    }
}
