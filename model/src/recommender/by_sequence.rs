//! The sequence side: what people took next after a person's recent products.
//!
//! A product's score is the sum of its transitions from the recent products, of which each step back
//! counts `recent_decay` times the one before. The stored lists are merged; nothing else has a score.

use super::eligibility::Eligibility;
use crate::{
    Retrieval, RetrievalPlan, SequenceParams, Transitions, ids::ProductRow, row_map::RowMap,
    topk::TopK,
};

/// Working memory: 8 bytes a product, and the products on the lists.
#[derive(Clone, Debug, Default)]
pub(super) struct SequenceScratch {
    scores: RowMap<f32>,
    /// Rows that have a score.
    listed: Vec<u32>,
}

impl SequenceScratch {
    /// The score of a product, 0 for one that is on no list.
    pub(super) fn score(&self, row: u32) -> f32 {
        self.scores.get(row).unwrap_or(0.0)
    }
}

/// Transitions of a model, and the recent products that they lead from.
#[derive(Clone, Copy, Debug)]
pub(super) struct BySequence<'a> {
    pub(super) transitions: &'a Transitions,
    pub(super) params: &'a SequenceParams,
    /// Distinct product rows, newest first; at least one.
    pub(super) recents: &'a [u32],
}

impl BySequence<'_> {
    /// Scores every product on the lists of the recents and offers the eligible ones.
    pub(super) fn retrieve(
        &self,
        products: usize,
        eligibility: &Eligibility<'_>,
        (top, work): (&mut TopK, &mut SequenceScratch),
    ) -> Retrieval {
        let SequenceScratch { scores, listed } = work;
        scores.start(products);
        listed.clear();
        let mut weight = 1.0f32;
        for recent in self.recents {
            let (rows, transitions) = self.transitions.after(ProductRow(*recent));
            for (row, transition) in rows.iter().zip(transitions) {
                let added = weight * transition;
                match scores.get(*row) {
                    // Scores of a strange artifact may be as great as f32 holds.
                    Some(score) => scores.set(*row, (score + added).min(f32::MAX)),
                    None => {
                        scores.set(*row, added);
                        listed.push(*row);
                    }
                }
            }
            weight *= self.params.recent_decay;
        }
        for row in listed.iter().filter(|row| eligibility.is_eligible(**row)) {
            // A transition so rare and so far back that its product is 0 says nothing.
            let score = scores.get(*row).unwrap_or(0.0);
            if score > 0.0 {
                top.offer(score, *row);
            }
        }
        Retrieval {
            plan: RetrievalPlan::Transitions,
            scored: listed.len(),
        }
    }
}
