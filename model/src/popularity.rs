//! Products in order of popularity, the answer to users nothing is known about.

use crate::{Breathe, topk};

/// Rows sorted between two breaths; their keys are one MiB.
const RUN_LEN: usize = 128 << 10;

/// Rows by popularity descending, then row ascending. O(n log n): sorts runs and merges them
/// pairwise, so that `breathe` is heard in between.
pub(crate) fn order(popularity: &[f32], breathe: Breathe<'_>) -> Vec<u32> {
    // Complemented, so that ascending keys are the wanted order.
    let mut keys: Vec<u64> = popularity
        .iter()
        .zip(0..)
        .map(|(score, row)| !topk::key(*score, row))
        .collect();
    for run in keys.chunks_mut(RUN_LEN) {
        run.sort_unstable();
        breathe(size_of_val(run));
    }
    let mut merged = Vec::with_capacity(keys.len());
    let mut width = RUN_LEN;
    while width < keys.len() {
        for pair in keys.chunks(2 * width) {
            let (left, right) = pair.split_at(width.min(pair.len()));
            merge(left, right, &mut merged, breathe);
        }
        std::mem::swap(&mut keys, &mut merged);
        merged.clear();
        width *= 2;
    }
    keys.into_iter().map(|key| key as u32).collect()
}

fn merge<'k>(
    mut left: &'k [u64],
    mut right: &'k [u64],
    merged: &mut Vec<u64>,
    breathe: Breathe<'_>,
) {
    let mut since = 0;
    while let (Some(l), Some(r)) = (left.first(), right.first()) {
        let from = if l <= r { &mut left } else { &mut right };
        merged.push(from[0]);
        *from = &from[1..];
        since += 1;
        if since == RUN_LEN {
            breathe(std::mem::take(&mut since) * size_of::<u64>());
        }
    }
    merged.extend_from_slice(left);
    merged.extend_from_slice(right);
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
    fn merged_runs_are_one_sorted_order() {
        let count = 5 * RUN_LEN / 2;
        let scores: Vec<f32> = (0..count).map(|row| (row * 7919 % 1000) as f32).collect();
        let order = order(&scores, &mut |bytes| assert!(bytes <= 1 << 20));
        let mut expected: Vec<u32> = (0..count as u32).collect();
        expected.sort_by(|a, b| scores[*b as usize].total_cmp(&scores[*a as usize]));
        assert!(order == expected);
    }
}
