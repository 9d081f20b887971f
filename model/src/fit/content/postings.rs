//! Inner products of one row with all rows where most numbers are zero.
//!
//! Rows of TF-IDF have some eight terms of five hundred. Column by column, the rows that have one
//! stand in a list, as in an inverted file (Zobel and Moffat, "Inverted files for text search
//! engines", 2006), and only products of two numbers that are not zero are computed. What the one
//! dot product would add beside them are zeros, so every lane holds the same bits and so does the
//! sum.

use std::ops::Range;

use crate::{
    Matrix,
    lanes::{CpuPath, Kernel, LANES, Lanes, Line, run},
};

/// Rows of one stripe. Chosen: their sums take 32 KiB and stay in a first-level cache.
const STRIPE_ROWS: usize = 512;

/// The numbers of a stripe of rows that are not zero, by column.
pub(super) struct Postings {
    /// Column `c` has the entries `offsets[c]..offsets[c + 1]`, rows ascending.
    offsets: Vec<u32>,
    /// Rows within the stripe, and their numbers.
    entries: Vec<(u32, f32)>,
    /// Rows of the matrix.
    pub(super) rows: Range<usize>,
}

impl Postings {
    /// All stripes of a matrix: 8 bytes a number that is not zero, and 4 a stripe and column.
    pub(super) fn of(matrix: &Matrix) -> Vec<Self> {
        let starts = (0..matrix.rows()).step_by(STRIPE_ROWS);
        starts
            .map(|start| Self::of_stripe(matrix, start..matrix.rows().min(start + STRIPE_ROWS)))
            .collect()
    }

    fn of_stripe(matrix: &Matrix, rows: Range<usize>) -> Self {
        let each = |visit: &mut dyn FnMut(u32, usize, f32)| {
            for (row, number) in rows.clone().zip(0..) {
                numbers(matrix.row(row)).for_each(|(column, x)| visit(number, column as usize, x));
            }
        };
        let mut offsets = vec![0; matrix.cols() + 1];
        each(&mut |_, column, _| offsets[column + 1] += 1);
        for at in 1..offsets.len() {
            offsets[at] += offsets[at - 1];
        }
        let mut next = offsets.clone();
        let mut entries = vec![(0, 0.0); next[matrix.cols()] as usize];
        each(&mut |row, column, x| {
            entries[next[column] as usize] = (row, x);
            next[column] += 1;
        });
        Self {
            offsets,
            entries,
            rows,
        }
    }

    /// What `scores_into` over the rows of the stripe leaves in `out`, to the bit; `query` as
    /// [`numbers`] of its row.
    pub(super) fn scores_into(
        &self,
        path: CpuPath,
        query: &[(u32, f32)],
        (sums, out): (&mut Vec<Line>, &mut Vec<f32>),
    ) {
        sums.clear();
        sums.resize(self.rows.len(), Line::ZERO);
        out.resize(self.rows.len(), 0.0);
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

/// The numbers of a row that are not zero, by column.
pub(super) fn numbers(row: &[f32]) -> impl Iterator<Item = (u32, f32)> {
    let numbered = (0u32..).zip(row.iter().copied());
    numbered.filter(|(_, x)| *x != 0.0)
}

/// Multiply-adds of all rows with all rows over postings.
pub(super) fn products(matrix: &Matrix) -> u64 {
    let mut counts = vec![0u64; matrix.cols()];
    for row in 0..matrix.rows() {
        numbers(matrix.row(row)).for_each(|(column, _)| counts[column as usize] += 1);
    }
    counts
        .iter()
        .map(|count| count.saturating_mul(*count))
        .fold(0, u64::saturating_add)
}

struct Scores<'a> {
    postings: &'a Postings,
    query: &'a [(u32, f32)],
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
        for (column, x) in self.query {
            let (column, lane) = (*column as usize, *column as usize % LANES);
            for (row, y) in &entries[offsets[column] as usize..offsets[column + 1] as usize] {
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
            (cols, rows) in (1usize..40).prop_flat_map(|cols| {
                let row = proptest::collection::vec(number(), cols);
                (Just(cols), proptest::collection::vec(row, 1..30))
            }),
        ) {
            let matrix = Matrix::from_vec(rows.concat(), cols).unwrap();
            let stripes = Postings::of(&matrix);
            let (mut sums, mut out) = (Vec::new(), Vec::new());
            for path in CpuPath::available() {
                for query in 0..matrix.rows() {
                    let query = matrix.row(query);
                    let listed: Vec<(u32, f32)> = numbers(query).collect();
                    for stripe in &stripes {
                        stripe.scores_into(path, &listed, (&mut sums, &mut out));
                        let rows = stripe.rows.clone().map(|row| matrix.row(row));
                        let expected = rows.map(|row| (dot_on(path, query, row) + 0.0).to_bits());
                        let found = out.iter().map(|score| (score + 0.0).to_bits());
                        prop_assert!(found.eq(expected));
                    }
                }
            }
        }
    }

    #[test]
    fn stripes_cover_all_rows() {
        let count = 2 * STRIPE_ROWS + 1;
        let matrix = Matrix::from_vec((0..count).map(|row| row as f32).collect(), 1).unwrap();
        let (mut sums, mut out, mut all) = (Vec::new(), Vec::new(), Vec::new());
        for stripe in Postings::of(&matrix) {
            assert_eq!(stripe.rows.start, all.len());
            stripe.scores_into(CpuPath::detected(), &[(0, 2.0)], (&mut sums, &mut out));
            all.extend_from_slice(&out);
        }
        let expected: Vec<f32> = (0..count).map(|row| row as f32 * 2.0).collect();
        assert_eq!(all, expected);
    }

    #[test]
    fn work_is_the_sum_of_squared_columns() {
        let matrix = Matrix::from_vec(vec![1.0, 0.0, 2.0, 0.0, 3.0, 4.0], 2).unwrap();
        // The columns hold three numbers and one.
        assert_eq!(products(&matrix), 9 + 1);
    }
}
