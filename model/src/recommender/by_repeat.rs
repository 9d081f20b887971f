//! The repeat side: what a person had before, by decayed frequency.

use super::eligibility::Eligibility;
use crate::{
    History, Retrieval, RetrievalPlan, frequencies::Frequencies, ids::UserRow, topk::TopK,
};

/// What a known person had.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByRepeat<'a> {
    pub(super) history: &'a History,
    pub(super) frequencies: &'a Frequencies,
    pub(super) user: UserRow,
}

impl ByRepeat<'_> {
    /// Offers what the person had and may have again.
    pub(super) fn retrieve(&self, eligibility: &Eligibility<'_>, top: &mut TopK) -> Retrieval {
        let pairs = self.history.seen_range(self.user);
        let seen = self.history.seen(self.user);
        let mut scored = 0;
        for (row, pair) in seen.iter().zip(pairs) {
            if !eligibility.is_eligible(*row) {
                continue;
            }
            scored += 1;
            let score = self.frequencies.score(pair);
            if score > 0.0 {
                top.offer(score, *row);
            }
        }
        Retrieval {
            plan: RetrievalPlan::History,
            scored,
        }
    }

    /// The score of a product, 0 for one that the person never had. O(log seen).
    pub(super) fn score(&self, row: u32) -> f32 {
        match self.history.seen(self.user).binary_search(&row) {
            Ok(at) => self
                .frequencies
                .score(self.history.seen_range(self.user).start + at),
            Err(_) => 0.0,
        }
    }
}
