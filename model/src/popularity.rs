//! Products in order of popularity: the answer for unknown users.

use crate::{Breathe, pace, topk};

/// Rows sorted between two calls of `breathe`; their keys are 64 KiB.
const RUN_LEN: usize = 8 << 10;

/// Rows by popularity descending, then row ascending. O(n log n).
pub(crate) fn order(popularity: &[f32], breathe: Breathe<'_>) -> Vec<u32> {
    // Complemented, so that ascending keys are the wanted order.
    let keys = popularity
        .iter()
        .zip(0..)
        .map(|(score, row)| !topk::key(*score, row))
        .collect();
    let keys = pace::sorted(keys, RUN_LEN, u64::cmp, breathe);
    keys.into_iter().map(|key| key as u32).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn best_first_and_equals_by_row() {
        let order = order(&[1.0, 0.0, 3.0, 1.0, 0.0], &mut |_| {});
        assert_eq!(order, [2, 0, 3, 1, 4]);
        assert!(super::order(&[], &mut |_| {}).is_empty());
    }

    #[test]
    fn more_products_than_one_run_are_one_order() {
        let count = 5 * RUN_LEN / 2;
        let scores: Vec<f32> = (0..count).map(|row| (row * 7919 % 1000) as f32).collect();
        let order = order(&scores, &mut |bytes| assert!(bytes <= 128 << 10));
        let mut expected: Vec<u32> = (0..count as u32).collect();
        expected.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
        assert!(order == expected);
    }
}
