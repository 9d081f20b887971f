//! Distinct user-product pairs with their summed values, from either side.

use std::num::NonZeroUsize;

use crate::interactions::Event;

/// A sparse matrix by rows; columns of a row ascend.
#[derive(Clone, Debug)]
pub(super) struct Pairs {
    /// Row `r` is `cols[offsets[r]..offsets[r + 1]]`.
    pub(super) offsets: Vec<usize>,
    pub(super) cols: Vec<u32>,
    pub(super) values: Vec<f32>,
}

impl Pairs {
    /// Sums repeated events of a user and a product, in f64 and in the order of the events, which
    /// are sorted by user.
    pub(super) fn from_events(events: &[Event], users: usize) -> Self {
        let mut pairs = Self {
            offsets: vec![0],
            cols: Vec::new(),
            values: Vec::new(),
        };
        let mut of_user: Vec<(u32, f32)> = Vec::new();
        let mut rest = events;
        for user in 0..users as u32 {
            let count = rest.iter().take_while(|event| event.user == user).count();
            of_user.clear();
            of_user.extend(
                rest[..count]
                    .iter()
                    .map(|event| (event.product, event.value)),
            );
            rest = &rest[count..];
            // Stable: equal products stay in the order of time, so the sum is one fixed sum.
            of_user.sort_by_key(|(product, _)| *product);
            for same in of_user.chunk_by(|a, b| a.0 == b.0) {
                pairs.cols.push(same[0].0);
                pairs
                    .values
                    .push(same.iter().map(|(_, value)| f64::from(*value)).sum::<f64>() as f32);
            }
            pairs.offsets.push(pairs.cols.len());
        }
        pairs
    }

    /// The same pairs by column.
    pub(super) fn transposed(&self, cols: usize) -> Self {
        let mut offsets = vec![0; cols + 1];
        for col in &self.cols {
            offsets[*col as usize + 1] += 1;
        }
        for col in 0..cols {
            offsets[col + 1] += offsets[col];
        }
        let mut next = offsets.clone();
        let (mut rows, mut values) = (vec![0; self.cols.len()], vec![0.0; self.cols.len()]);
        for row in 0..self.rows() {
            for (col, value) in self.row(row) {
                let at = &mut next[col as usize];
                rows[*at] = row as u32;
                values[*at] = value;
                *at += 1;
            }
        }
        Self {
            offsets,
            cols: rows,
            values,
        }
    }

    pub(super) fn rows(&self) -> usize {
        self.offsets.len() - 1
    }

    /// Columns and values of one row.
    pub(super) fn row(&self, row: usize) -> impl ExactSizeIterator<Item = (u32, f32)> + Clone {
        let range = self.offsets[row]..self.offsets[row + 1];
        self.cols[range.clone()]
            .iter()
            .copied()
            .zip(self.values[range].iter().copied())
    }

    /// How many columns a row has.
    pub(super) fn count(&self, row: usize) -> usize {
        self.offsets[row + 1] - self.offsets[row]
    }
}

/// Rows of one task: the same whatever the threads, small enough to even out heavy rows.
pub(super) const ROWS_PER_TASK: NonZeroUsize = NonZeroUsize::new(16).expect("16 is not zero");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repeated_events_are_summed_and_both_sides_agree() {
        let event = |user, product, value| Event {
            user,
            product,
            value,
            at_s: 0,
        };
        let events = [
            event(0, 2, 1.0),
            event(0, 0, 2.0),
            event(0, 2, 5.0),
            event(2, 2, 10.0),
        ];
        let pairs = Pairs::from_events(&events, 3);
        assert_eq!(pairs.row(0).collect::<Vec<_>>(), [(0, 2.0), (2, 6.0)]);
        assert_eq!(pairs.count(1), 0);
        let products = pairs.transposed(3);
        assert_eq!(products.row(2).collect::<Vec<_>>(), [(0, 6.0), (2, 10.0)]);
        assert_eq!(products.count(1), 0);
    }
}
