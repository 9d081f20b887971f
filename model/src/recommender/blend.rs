//! The hybrid: candidates of both sides, both scores of each, one order.
//!
//! ```text
//!  best by factors ─┐
//!                   ├▶ both raw scores of each ─▶ ÷ greatest ─▶ α × collaborative + (1 − α) × content
//!  best by content ─┘
//! ```
//!
//! Blending computes and compares in f64, where the quotients of different f32 scores differ: at
//! α 1 the order is exactly the collaborative one and at α 0 exactly that of content. A side
//! without weight retrieves no candidates, so this also holds for plans that are not exact.

use std::cmp::Ordering;

use super::{
    Model,
    by_content::{ByContent, ContentScratch},
    eligibility::Eligibility,
    person::Taste,
};
use crate::{
    Trace,
    dot::dot,
    ids::ProductRow,
    index::SearchScratch,
    query::{Item, Reason},
    row_set::RowSet,
    side::PerSide,
};

/// Candidates of each side: so many times n, and at least so many.
///
/// Measured over 20,000 products with skewed norms, 10 wanted, 50 seen: how much of the top 10 is
/// that of a blend of every product, and what the answer costs. More candidates mostly buy rows
/// that the index has to score.
///
/// | candidates | top 10 at α 0.7 | at α 0.3 | µs |
/// |---:|---:|---:|---:|
/// | 10 | 77 % | 79 % | 21 |
/// | 20 | 94 % | 84 % | 26 |
/// | 30 | 98 % | 85 % | 33 |
/// | 40 | 99 % | 85 % | 41 |
/// | 100 | 99.6 % | 87 % | 71 |
pub(super) const CANDIDATES_PER_ITEM: usize = 3;
pub(super) const CANDIDATES_MIN: usize = 30;

/// Working memory of both sides and the blend: 8 bytes a product, and the candidates.
#[derive(Clone, Debug, Default)]
pub(super) struct SidesScratch {
    pub(super) search: SearchScratch,
    /// Best by factors.
    pub(super) ranked: Vec<(u32, f32)>,
    /// Best by content.
    pub(super) content: ContentScratch,
    by_factors: RowSet,
    by_content: RowSet,
    candidates: Vec<Candidate>,
}

/// A candidate product.
#[derive(Clone, Copy, Debug)]
struct Candidate {
    row: u32,
    reason: Reason,
    collaborative: f32,
    /// `None` without embedding, which counts as 0.
    content: Option<f32>,
    /// What each adds to the blend.
    shares: [f64; 2],
    blended: f64,
}

/// Everything that makes a hybrid answer.
#[derive(Clone, Copy, Debug)]
pub(super) struct Hybrid<'a> {
    pub(super) n: usize,
    /// Weight of the collaborative score, 0 to 1.
    pub(super) alpha: f64,
    pub(super) taste: Taste<'a>,
    pub(super) by_content: ByContent<'a>,
    /// Product rows with embeddings, newest first.
    pub(super) recents: &'a [u32],
}

impl Model {
    /// The best n of all candidates, and how these were found. Fewer where content alone has
    /// weight and too few products have an embedding.
    pub(super) fn blend(
        &self,
        hybrid: &Hybrid<'_>,
        eligibility: &Eligibility<'_>,
        work: &mut SidesScratch,
    ) -> (Vec<Item>, Trace) {
        let trace = self.retrieve_candidates(hybrid, eligibility, work);
        self.score_candidates(hybrid, work);
        let candidates = &mut work.candidates;
        let collaborative = divisor(candidates.iter().map(|c| c.collaborative));
        let content = divisor(candidates.iter().map(|c| c.content.unwrap_or(0.0)));
        for candidate in candidates.iter_mut() {
            let [a, b] = [hybrid.alpha, 1.0 - hybrid.alpha];
            let content = f64::from(candidate.content.unwrap_or(0.0)) / content;
            // Adding +0 makes equals of both zeros.
            candidate.shares = [
                a * (f64::from(candidate.collaborative) / collaborative),
                b * content,
            ];
            let [collaborative, content] = candidate.shares;
            candidate.blended = collaborative + content + 0.0;
        }
        let order = |a: &Candidate, b: &Candidate| -> Ordering {
            b.blended.total_cmp(&a.blended).then(a.row.cmp(&b.row))
        };
        if hybrid.n < candidates.len() {
            candidates.select_nth_unstable_by(hybrid.n, order);
            candidates.truncate(hybrid.n);
        }
        candidates.sort_unstable_by(order);
        let items = candidates.iter().map(|candidate| Item {
            product: ProductRow(candidate.row),
            score: nearest_finite(candidate.blended),
            reason: candidate.reason,
            scores: PerSide {
                collaborative: Some(candidate.collaborative),
                content: candidate.content,
                ..PerSide::default()
            },
            shares: PerSide {
                collaborative: nearest_finite(candidate.shares[0]),
                content: nearest_finite(candidate.shares[1]),
                ..PerSide::default()
            },
        });
        (items.collect(), trace)
    }

    /// Retrieves candidates by each side that has weight. If one side decides alone, its best n are
    /// enough, and are the ones that its own strategy answers with.
    fn retrieve_candidates(
        &self,
        hybrid: &Hybrid<'_>,
        eligibility: &Eligibility<'_>,
        work: &mut SidesScratch,
    ) -> Trace {
        let n = hybrid.n;
        let most = n.saturating_mul(CANDIDATES_PER_ITEM).max(CANDIDATES_MIN);
        let mut trace = Trace::default();
        work.ranked.clear();
        if hybrid.alpha > 0.0 {
            let SidesScratch { search, ranked, .. } = work;
            let n = if hybrid.alpha < 1.0 { most } else { n };
            let wanted = (hybrid.taste.factors, n);
            trace.collaborative = Some(self.rank_by_factors(wanted, eligibility, (search, ranked)));
        }
        let (by_content, recents) = (hybrid.by_content, hybrid.recents);
        let content = &mut work.content;
        by_content.aim(recents, content);
        if hybrid.alpha == 0.0 {
            trace.content = Some(by_content.rank((recents, n), eligibility, content));
        } else if hybrid.alpha < 1.0 {
            let wanted = (recents, [n, most]);
            trace.content = Some(by_content.retrieve_candidates(wanted, eligibility, content));
        }
        trace
    }

    /// Both raw scores of every candidate; computed afresh where the other side retrieved it, which
    /// gives the same bits.
    fn score_candidates(&self, hybrid: &Hybrid<'_>, work: &mut SidesScratch) {
        let SidesScratch {
            ranked,
            content,
            by_factors,
            by_content,
            candidates,
            ..
        } = work;
        by_factors.start(self.products.len());
        by_content.start(self.products.len());
        ranked.iter().for_each(|(row, _)| by_factors.insert(*row));
        candidates.clear();
        for (row, score) in content.ranked() {
            by_content.insert(row);
            let factors = self.als.product(ProductRow(row));
            candidates.push(Candidate {
                row,
                reason: if by_factors.contains(row) {
                    Reason::Hybrid
                } else {
                    Reason::Content
                },
                collaborative: dot(hybrid.taste.factors, factors) + 0.0,
                content: Some(score),
                shares: [0.0; 2],
                blended: 0.0,
            });
        }
        let others = ranked.iter().filter(|(row, _)| !by_content.contains(*row));
        let listed = candidates.len();
        candidates.extend(others.map(|(row, score)| Candidate {
            row: *row,
            reason: hybrid.taste.reason,
            collaborative: *score,
            content: None,
            shares: [0.0; 2],
            blended: 0.0,
        }));
        let others = &mut candidates[listed..];
        let rows = others.iter().map(|candidate| candidate.row);
        let scores = hybrid.by_content.scores(rows, content);
        let embedded = others
            .iter_mut()
            .filter(|candidate| hybrid.by_content.has_embedding(candidate.row));
        for (candidate, score) in embedded.zip(scores) {
            candidate.content = Some(*score);
        }
    }
}

/// The nearest finite f32. A side whose greatest score is next to nothing divides its negative scores
/// out of f32's range; both scores are finite, and so is their blend in f64. Keeps the order.
pub(super) fn nearest_finite(blended: f64) -> f32 {
    blended.clamp(f32::MIN.into(), f32::MAX.into()) as f32
}

/// The greatest of some scores; where that is not above 0 the greatest magnitude, or 1.
pub(super) fn divisor(scores: impl Iterator<Item = f32>) -> f64 {
    let (greatest, magnitude) = scores.fold((0.0f32, 0.0f32), |(greatest, magnitude), score| {
        (greatest.max(score), magnitude.max(score.abs()))
    });
    match (greatest > 0.0, magnitude > 0.0) {
        (true, _) => f64::from(greatest),
        (false, true) => f64::from(magnitude),
        (false, false) => 1.0,
    }
}
