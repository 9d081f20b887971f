//! The best n of many scores, in one total order: score descending, then product row ascending.
//!
//! Score and row travel as one integer that sorts the same way, so that comparing is one machine
//! instruction and no rule about ties can be forgotten.

use std::{cmp::Reverse, collections::BinaryHeap};

/// Collects the best `n`; its memory is kept between uses.
#[derive(Clone, Debug, Default)]
pub(crate) struct TopK {
    n: usize,
    worst_first: BinaryHeap<Reverse<u64>>,
}

impl TopK {
    /// Forgets everything and collects the best `n` from now on.
    pub(crate) fn start(&mut self, n: usize) {
        self.n = n;
        self.worst_first.clear();
    }

    /// The score that a newcomer has to reach: less can never get in. Minus infinity while there
    /// is room, plus infinity for `n` = 0.
    pub(crate) fn bar(&self) -> f32 {
        if self.worst_first.len() < self.n {
            return f32::NEG_INFINITY;
        }
        self.worst_first
            .peek()
            .map_or(f32::INFINITY, |worst| score_of(worst.0))
    }

    /// Rows collected.
    pub(crate) fn len(&self) -> usize {
        self.worst_first.len()
    }

    /// Offers one row. O(log n) where it gets in, one comparison where not.
    pub(crate) fn offer(&mut self, score: f32, row: u32) {
        let key = key(score, row);
        if self.worst_first.len() < self.n {
            self.worst_first.push(Reverse(key));
        } else if let Some(mut worst) = self.worst_first.peek_mut()
            && key > worst.0
        {
            worst.0 = key;
        }
    }

    /// Writes what was collected into `ranked`, best first.
    pub(crate) fn finish(&mut self, ranked: &mut Vec<Scored>) {
        ranked.clear();
        ranked.extend(self.worst_first.drain().map(|worst| Scored(worst.0)));
        ranked.sort_unstable_by_key(|scored| Reverse(scored.0));
    }
}

/// A row with its score.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Scored(u64);

impl Scored {
    pub(crate) fn row(self) -> u32 {
        !(self.0 as u32)
    }

    /// The score offered, a negative zero as zero.
    pub(crate) fn score(self) -> f32 {
        score_of(self.0)
    }
}

/// Integer whose descending order is that of the answer.
pub(crate) fn key(score: f32, row: u32) -> u64 {
    debug_assert!(
        !score.is_nan(),
        "factors were checked, their products are numbers"
    );
    // Adding +0 turns -0 into +0: the two are equal scores and must tie.
    let bits = (score + 0.0).to_bits();
    let ordered = if bits >> 31 == 0 {
        bits | 1 << 31
    } else {
        !bits
    };
    u64::from(ordered) << 32 | u64::from(!row)
}

fn score_of(key: u64) -> f32 {
    let ordered = (key >> 32) as u32;
    f32::from_bits(if ordered >> 31 == 1 {
        ordered & !(1 << 31)
    } else {
        !ordered
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn best_n_of_a_full_sort(
            scores in proptest::collection::vec(
                prop_oneof![-3.0f32..3.0, Just(0.0), Just(-0.0), Just(1.0)], 0..80),
            n in 0usize..90,
        ) {
            let mut sorted: Vec<(f32, u32)> = scores.iter().copied().zip(0..).collect();
            sorted.sort_by(|a, b| b.0.partial_cmp(&a.0).expect("no NaN").then(a.1.cmp(&b.1)));
            sorted.truncate(n);
            let (mut top, mut ranked) = (TopK::default(), Vec::new());
            top.start(n);
            for (row, score) in scores.iter().enumerate() {
                let enters = *score >= top.bar();
                let before = top.worst_first.clone().into_sorted_vec();
                top.offer(*score, row as u32);
                prop_assert!(enters || before == top.worst_first.clone().into_sorted_vec());
            }
            top.finish(&mut ranked);
            let found: Vec<(f32, u32)> = ranked.iter().map(|s| (s.score(), s.row())).collect();
            prop_assert_eq!(found, sorted);
        }
    }
}
