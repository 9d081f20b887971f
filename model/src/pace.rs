//! Splits the work of a loader into short steps, with a call of `breathe` between them.

use std::cmp::Ordering;

use crate::Breathe;

/// Bytes between two calls of `breathe`.
const BREATH_BYTES: usize = 64 << 10;

/// Counts bytes and calls `breathe` for every 64 KiB of them.
pub(crate) struct Pace<'b> {
    breathe: Breathe<'b>,
    since: usize,
}

impl<'b> Pace<'b> {
    pub(crate) fn new(breathe: Breathe<'b>) -> Self {
        Self { breathe, since: 0 }
    }

    /// Records that `bytes` have been processed.
    pub(crate) fn did(&mut self, bytes: usize) {
        self.since += bytes;
        if self.since >= BREATH_BYTES {
            (self.breathe)(std::mem::take(&mut self.since));
        }
    }
}

/// The items in order, equal ones in any. O(n log n): sorts runs of `run_len` and merges them
/// pairwise, with calls of `breathe` in between. Memory: the items once more.
pub(crate) fn sorted<T: Copy>(
    mut items: Vec<T>,
    run_len: usize,
    order: impl Fn(&T, &T) -> Ordering,
    breathe: Breathe<'_>,
) -> Vec<T> {
    for run in items.chunks_mut(run_len) {
        run.sort_unstable_by(&order);
        breathe(size_of_val(run));
    }
    let mut pace = Pace::new(breathe);
    let mut merged = Vec::with_capacity(items.len());
    let mut width = run_len;
    while width < items.len() {
        for pair in items.chunks(2 * width) {
            let (mut left, mut right) = pair.split_at(width.min(pair.len()));
            while let (Some(l), Some(r)) = (left.first(), right.first()) {
                let from = match order(l, r) {
                    Ordering::Greater => &mut right,
                    _ => &mut left,
                };
                merged.push(from[0]);
                *from = &from[1..];
                pace.did(size_of::<T>());
            }
            merged.extend_from_slice(left);
            merged.extend_from_slice(right);
        }
        std::mem::swap(&mut items, &mut merged);
        merged.clear();
        width *= 2;
    }
    items
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn merged_runs_are_one_sorted_order(
            items in proptest::collection::vec(0u32..50, 0..200),
            run_len in 1usize..40,
        ) {
            let mut expected = items.clone();
            expected.sort_unstable();
            prop_assert_eq!(sorted(items, run_len, u32::cmp, &mut |_| {}), expected);
        }
    }

    #[test]
    fn long_sort_pauses_at_least_once_per_128_kib() {
        let items: Vec<u64> = (0..400_000u64).map(|x| x * 7919 % 1_000_003).collect();
        let (mut breaths, mut longest) = (0, 0);
        let done = sorted(items, 8 << 10, u64::cmp, &mut |bytes| {
            breaths += 1;
            longest = longest.max(bytes);
        });
        assert!(done.is_sorted());
        assert!(breaths > 100 && longest <= 128 << 10, "{breaths} {longest}");
    }
}
