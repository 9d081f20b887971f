//! Inner products of one row with all rows where most numbers are zero.
//!
//! Rows of TF-IDF have some eight terms of five hundred. Column by column, the rows that have one
//! stand in a list, as in an inverted file (Zobel and Moffat, "Inverted files for text search
//! engines", 2006), and only products of two numbers that are not zero are computed. What the one
//! dot product would add beside them are zeros, so every lane holds the same bits and so does the
//! sum.

use crate::{
    Matrix,
    lanes::{CpuPath, Kernel, LANES, Lanes, Line, run},
};

/// The numbers of a matrix that are not zero, by column.
pub(super) struct Postings {
    /// Column `c` has the entries `offsets[c]..offsets[c + 1]`, rows ascending.
    offsets: Vec<usize>,
    entries: Vec<(u32, f32)>,
    rows: usize,
}

impl Postings {
    /// 8 bytes a number that is not zero.
    pub(super) fn of(matrix: &Matrix) -> Self {
        let mut offsets = vec![0; matrix.cols() + 1];
        each_number(matrix, |_, column, _| offsets[column + 1] += 1);
        for at in 1..offsets.len() {
            offsets[at] += offsets[at - 1];
        }
        let mut next = offsets.clone();
        let mut entries = vec![(0, 0.0); next[matrix.cols()]];
        each_number(matrix, |row, column, number| {
            entries[next[column]] = (row as u32, number);
            next[column] += 1;
        });
        Self {
            offsets,
            entries,
            rows: matrix.rows(),
        }
    }

    /// Multiply-adds of all rows with all rows.
    pub(super) fn products(&self) -> u64 {
        let lens = self
            .offsets
            .windows(2)
            .map(|pair| (pair[1] - pair[0]) as u64);
        lens.map(|len| len.saturating_mul(len))
            .fold(0, u64::saturating_add)
    }

    /// What `scores_into` over the whole matrix leaves in `out`, to the bit.
    pub(super) fn scores_into(
        &self,
        path: CpuPath,
        query: &[f32],
        (sums, out): (&mut Vec<Line>, &mut Vec<f32>),
    ) {
        sums.clear();
        sums.resize(self.rows, Line::ZERO);
        out.resize(self.rows, 0.0);
        let postings = self;
        run(
            path,
            Scores {
                postings,
                query,
                sums,
                out,
            },
        );
    }
}

fn each_number(matrix: &Matrix, mut visit: impl FnMut(usize, usize, f32)) {
    for row in 0..matrix.rows() {
        for (column, number) in matrix.row(row).iter().enumerate() {
            if *number != 0.0 {
                visit(row, column, *number);
            }
        }
    }
}

struct Scores<'a> {
    postings: &'a Postings,
    query: &'a [f32],
    sums: &'a mut [Line],
    out: &'a mut [f32],
}

impl Kernel for Scores<'_> {
    type Output = ();

    #[inline(always)]
    fn run<L: Lanes>(self, lanes: L) {
        let Postings {
            offsets, entries, ..
        } = self.postings;
        for (column, x) in self.query.iter().enumerate().filter(|(_, x)| **x != 0.0) {
            let lane = column % LANES;
            for (row, y) in &entries[offsets[column]..offsets[column + 1]] {
                let sum = &mut self.sums[*row as usize].0[lane];
                *sum = x.mul_add(*y, *sum);
            }
        }
        for (sum, out) in self.sums.iter().zip(self.out) {
            *out = lanes.sum(lanes.load(&sum.0));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::dot::dot_on;

    /// Mostly zeros, of both signs.
    fn number() -> impl Strategy<Value = f32> {
        prop_oneof![6 => Just(0.0f32), 1 => Just(-0.0), 3 => -1.0f32..1.0, 1 => Just(1e-30)]
    }

    proptest! {
        #[test]
        fn sums_over_postings_are_those_of_the_dot_product_to_the_bit(
            (cols, numbers) in (1usize..40).prop_flat_map(|cols| {
                let row = proptest::collection::vec(number(), cols);
                (Just(cols), proptest::collection::vec(row, 1..30))
            }),
        ) {
            let matrix = Matrix::from_vec(numbers.concat(), cols).unwrap();
            let postings = Postings::of(&matrix);
            let (mut sums, mut out) = (Vec::new(), Vec::new());
            for path in CpuPath::available() {
                for query in &numbers {
                    postings.scores_into(path, query, (&mut sums, &mut out));
                    let expected = numbers.iter().map(|row| (dot_on(path, query, row) + 0.0).to_bits());
                    let found = out.iter().map(|score| (score + 0.0).to_bits());
                    prop_assert!(found.eq(expected));
                }
            }
        }
    }

    #[test]
    fn work_is_the_sum_of_squared_columns() {
        let matrix = Matrix::from_vec(vec![1.0, 0.0, 2.0, 0.0, 3.0, 4.0], 2).unwrap();
        // The columns hold 1, 2, 3 and 4.
        assert_eq!(Postings::of(&matrix).products(), 9 + 1);
    }
}
