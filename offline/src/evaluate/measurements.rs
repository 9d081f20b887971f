//! The lists of one ranker: scores per user, and how often each product was recommended.

use std::collections::BTreeMap;

use hotshelf_model::metrics::{hit_at_k, ndcg_at_k, precision_at_k, recall_at_k};
use hotshelf_model::{Fallbacks, Model};

use super::report::{LongTail, METRICS, Scores};

/// A user to evaluate on.
pub(super) struct EvaluatedUser {
    /// Index in the model's segment names.
    pub(super) segment: usize,
    /// Relevant products: ascending rows.
    pub(super) relevant: Vec<u32>,
}

/// Measurements of one ranker.
pub(super) struct Measurements {
    pub(super) ranker: &'static str,
    /// By evaluated user.
    pub(super) scores: Vec<[f64; METRICS]>,
    /// By segment, then by product row: how many lists contain the product.
    recommended: Vec<Vec<u32>>,
    pub(super) fallbacks: BTreeMap<&'static str, usize>,
}

impl Measurements {
    pub(super) fn new(ranker: &'static str, model: &Model) -> Self {
        let segments = model.users().segment_names().len();
        Self {
            ranker,
            scores: Vec::new(),
            recommended: vec![vec![0; model.products().len()]; segments],
            fallbacks: BTreeMap::new(),
        }
    }

    /// Adds the list of one user, at most k products.
    pub(super) fn add(&mut self, user: &EvaluatedUser, list: &[u32], k: usize) {
        let relevant = &user.relevant;
        let scores = [
            precision_at_k(list, relevant, k),
            recall_at_k(list, relevant, k),
            ndcg_at_k(list, relevant, k),
            hit_at_k(list, relevant, k),
        ];
        // The gain of an empty list is an empty sum, which is -0.
        self.scores.push(scores.map(|score| score + 0.0));
        for row in list {
            self.recommended[user.segment][*row as usize] += 1;
        }
    }

    pub(super) fn count_fallbacks(&mut self, fallbacks: Fallbacks) {
        for fallback in fallbacks.iter() {
            *self.fallbacks.entry(fallback.as_str()).or_default() += 1;
        }
    }

    /// Means over some users, and the catalogue coverage of some segments.
    pub(super) fn means(&self, users: &[usize], segments: &[usize]) -> Scores {
        let mean = |metric: usize| {
            let scores = users.iter().map(|user| self.scores[*user][metric]);
            scores.fold(0.0, |sum, score| sum + score) / users.len().max(1) as f64
        };
        Scores {
            ranker: self.ranker,
            precision: mean(0),
            recall: mean(1),
            ndcg: mean(2),
            hit_rate: mean(3),
            coverage: self.coverage(segments),
            difference: None,
        }
    }

    fn coverage(&self, segments: &[usize]) -> f64 {
        let products = self.recommended.first().map_or(0, Vec::len);
        let is_recommended = |row: &usize| segments.iter().any(|s| self.recommended[*s][*row] > 0);
        (0..products).filter(is_recommended).count() as f64 / products.max(1) as f64
    }

    /// How the slots of all lists are distributed over popular and rare products.
    pub(super) fn long_tail(&self, model: &Model) -> LongTail {
        let has_events = |row: &usize| {
            model
                .products()
                .popularity(hotshelf_model::ProductRow(*row as u32))
                > 0.0
        };
        let by_popularity: Vec<usize> = model.popular().map(|product| product.index()).collect();
        let with_events = by_popularity.iter().filter(|row| has_events(row)).count();
        let lists = |row: usize| {
            self.recommended
                .iter()
                .map(|segment| u64::from(segment[row]))
                .sum::<u64>()
        };
        let all: u64 = by_popularity.iter().map(|row| lists(*row)).sum();
        let share = |rows: &[usize]| {
            let slots: u64 = rows.iter().map(|row| lists(*row)).sum();
            slots as f64 / all.max(1) as f64
        };
        let edge = |tenth: usize| tenth * with_events / 10;
        LongTail {
            ranker: self.ranker,
            tenths: std::array::from_fn(|at| share(&by_popularity[edge(at)..edge(at + 1)])),
            without_events: share(&by_popularity[with_events..]),
        }
    }
}
