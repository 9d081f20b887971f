//! One fit's candidates for every user of the validation period, and how well weights rank them.
//!
//! Candidates and their scores are computed once; a blend of them by other weights is a sum.

use hotshelf_model::metrics::ndcg_at_k;
use hotshelf_model::{Candidates, Model, Query, Scratch, Side, Weights};
use rayon::prelude::*;

use crate::evaluate::EvaluatedUser;

/// Weights of the collaborative score in the hybrid that are tried.
const ALPHAS: [f64; 8] = [0.7, 0.3, 0.5, 0.6, 0.8, 0.9, 0.95, 1.0];

pub(super) struct Validation {
    users: Vec<(Candidates, Vec<u32>)>,
    k: usize,
    /// Sides that have a score for anybody.
    pub(super) sides: Vec<Side>,
}

impl Validation {
    /// Runs on the pool that it is called in.
    pub(super) fn of(
        model: &Model,
        users: Vec<EvaluatedUser>,
        (k, include_seen): (usize, bool),
    ) -> Self {
        let candidates = |scratch: &mut Scratch, user: EvaluatedUser| {
            let query = Query {
                user_id: model.users().id(user.row),
                n: k,
                include_seen,
                ..Query::default()
            };
            (model.candidates(&query, scratch), user.relevant)
        };
        let users: Vec<(Candidates, Vec<u32>)> = users
            .into_par_iter()
            .map_init(Scratch::default, candidates)
            .collect();
        let scores = |side: Side| {
            let mut candidates = users
                .iter()
                .flat_map(|(candidates, _)| candidates.as_slice());
            candidates.any(|candidate| candidate.scores.get(side).is_some_and(|score| score > 0.0))
        };
        Self {
            sides: Side::ALL.into_iter().filter(|side| scores(*side)).collect(),
            users,
            k,
        }
    }

    /// Mean nDCG of the blend, to nine decimals.
    pub(super) fn ndcg(&self, weights: &Weights) -> f64 {
        let of_user = |(candidates, relevant): &(Candidates, Vec<u32>)| {
            let ranked = candidates.ranked_by(weights, self.k);
            let list: Vec<u32> = ranked.into_iter().map(|(product, _)| product.0).collect();
            ndcg_at_k(&list, relevant, self.k)
        };
        // Collected in the order of the users, so that the sum is one fixed sum.
        let scores: Vec<f64> = self.users.par_iter().map(of_user).collect();
        let mean = scores.iter().sum::<f64>() / scores.len().max(1) as f64;
        (mean * 1e9).round() / 1e9
    }

    /// The same of the hybrid.
    pub(super) fn hybrid(&self, alpha: f64) -> f64 {
        self.ndcg(&Weights {
            collaborative: alpha,
            content: 1.0 - alpha,
            ..Weights::default()
        })
    }

    /// The weight of the collaborative score with the greatest nDCG, the first tried among equals.
    pub(super) fn best_alpha(&self) -> f64 {
        let mut best = (ALPHAS[0], self.hybrid(ALPHAS[0]));
        for alpha in &ALPHAS[1..] {
            let found = self.hybrid(*alpha);
            if found > best.1 {
                best = (*alpha, found);
            }
        }
        best.0
    }
}
