//! The blend of all sides: candidates of each, every side's score of all of them, one order.
//!
//! ```text
//!  collaborative ─┐
//!  content ───────┤
//!  sequence ──────┼▶ candidates ─▶ five raw scores of each ─▶ each ÷ its greatest ─▶ Σ weight × score
//!  repeat ────────┤
//!  trend ─────────┘
//! ```
//!
//! A side without weight, or with nothing to say about the person, is not asked. Blending computes in f64,
//! as the hybrid does. [`Candidates`] are the same computation taken apart, for a search over weights: what
//! they rank by some weights is what the model answers by them.

use std::cmp::Ordering;

use super::{
    Model, Sides,
    blend::{CANDIDATES_MIN, CANDIDATES_PER_ITEM, SidesScratch, divisor, nearest_finite},
    by_content::ContentScratch,
    by_sequence::SequenceScratch,
    by_trend,
    eligibility::Eligibility,
};
use crate::{
    Trace,
    dot::dot,
    ids::ProductRow,
    query::{Item, Reason},
    row_map::RowMap,
    side::{PerSide, Side, Weights},
    topk::{Scored, TopK},
};

/// Working memory: 16 bytes a product, and the candidates.
#[derive(Clone, Debug, Default)]
pub(super) struct BlendedScratch {
    /// Where a product stands among the candidates.
    places: RowMap<u32>,
    sequence: SequenceScratch,
    top: TopK,
    found: Vec<Scored>,
    candidates: Vec<Candidate>,
    ranked: Vec<Ranked>,
}

/// A product that some side retrieved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The product.
    pub product: ProductRow,
    /// Raw scores; `None` where the side had nothing to say about the person, or no embedding.
    pub scores: PerSide<Option<f32>>,
    /// One bit for each side that retrieved it.
    found_by: u8,
}

/// What all sides of a model retrieved for one query, with every side's score of each: all that a
/// blend by any weights needs. Some 50 bytes for each of 30 to 150 candidates.
#[derive(Clone, Debug, PartialEq)]
pub struct Candidates(Vec<Candidate>);

/// A candidate's blended score.
#[derive(Clone, Copy, Debug)]
struct Ranked {
    at: u32,
    row: u32,
    score: f64,
}

impl Candidates {
    pub(super) fn of(work: &BlendedScratch) -> Self {
        Self(work.candidates.clone())
    }

    /// The candidates, in no particular order.
    #[must_use]
    pub fn as_slice(&self) -> &[Candidate] {
        &self.0
    }

    /// The best n by these weights, best first, with their blended scores: what the model answers by
    /// them, before it fills up with popular products. Candidates that only sides without weight
    /// retrieved do not count.
    #[must_use]
    pub fn ranked_by(&self, weights: &Weights, n: usize) -> Vec<(ProductRow, f32)> {
        let mut ranked = Vec::with_capacity(self.0.len());
        rank(&self.0, &usable(weights), n, &mut ranked);
        let ranked = ranked.into_iter();
        ranked
            .map(|ranked| (ProductRow(ranked.row), nearest_finite(ranked.score)))
            .collect()
    }
}

impl Model {
    /// The best n of all candidates by these weights, and how the candidates were found.
    pub(super) fn rank_blended(
        &self,
        (sides, weights, n): (&Sides<'_>, &Weights, usize),
        eligibility: &Eligibility<'_>,
        (work, blended): (&mut SidesScratch, &mut BlendedScratch),
    ) -> (Vec<Item>, Trace) {
        let trace = self.find_candidates((sides, n), eligibility, (work, &mut *blended));
        let BlendedScratch {
            candidates, ranked, ..
        } = blended;
        let divisors = rank(candidates, weights, n, ranked);
        let items = ranked.iter().map(|ranked| {
            let candidate = &candidates[ranked.at as usize];
            let shares = shares(candidate, weights, &divisors);
            let of_factors = sides.taste.map(|taste| taste.reason);
            Item {
                product: candidate.product,
                score: nearest_finite(ranked.score),
                reason: reason(candidate, &shares, of_factors),
                scores: candidate.scores,
                shares: PerSide::from_fn(|side| nearest_finite(*shares.get(side))),
            }
        });
        (items.collect(), trace)
    }

    /// Leaves the candidates of every side that is there, scored by all of them, in `work`.
    pub(super) fn find_candidates(
        &self,
        (sides, n): (&Sides<'_>, usize),
        eligibility: &Eligibility<'_>,
        (work, blended): (&mut SidesScratch, &mut BlendedScratch),
    ) -> Trace {
        let most = n.saturating_mul(CANDIDATES_PER_ITEM).max(CANDIDATES_MIN);
        let trace = self.retrieve((sides, [n, most]), eligibility, (&mut *work, &mut *blended));
        self.score(sides, (&mut work.content, blended));
        trace
    }

    fn retrieve(
        &self,
        (sides, [n, most]): (&Sides<'_>, [usize; 2]),
        eligibility: &Eligibility<'_>,
        (work, blended): (&mut SidesScratch, &mut BlendedScratch),
    ) -> Trace {
        let mut trace = Trace::default();
        let products = self.products.len();
        let SidesScratch {
            search,
            ranked,
            content,
            ..
        } = work;
        blended.places.start(products);
        blended.candidates.clear();
        if let Some(taste) = sides.taste {
            let wanted = (taste.factors, most);
            trace.collaborative = Some(self.rank_by_factors(wanted, eligibility, (search, ranked)));
            for found in ranked.iter() {
                blended.add(Side::Collaborative, *found);
            }
        }
        if let Some(by_content) = sides.content {
            by_content.aim(sides.recents, content);
            let wanted = (sides.recents, [n, most]);
            trace.content = Some(by_content.retrieve_candidates(wanted, eligibility, content));
            for found in content.ranked() {
                blended.add(Side::Content, found);
            }
        }
        if let Some(by_sequence) = sides.sequence {
            let (top, sequence) = (&mut blended.top, &mut blended.sequence);
            top.start(most);
            trace.sequence = Some(by_sequence.retrieve(products, eligibility, (top, sequence)));
            blended.add_found(Side::Sequence);
        }
        if let Some(by_repeat) = sides.repeat {
            blended.top.start(most);
            trace.repeat = Some(by_repeat.retrieve(eligibility, &mut blended.top));
            blended.add_found(Side::Repeat);
        }
        if let Some(trend) = sides.trend {
            blended.top.start(most);
            trace.trend = Some(by_trend::retrieve(
                (trend, most),
                eligibility,
                &mut blended.top,
            ));
            blended.add_found(Side::Trend);
        }
        trace
    }

    /// Fills in the scores of the sides that did not retrieve a candidate; computed afresh they are
    /// the same to the bit.
    fn score(
        &self,
        sides: &Sides<'_>,
        (content, blended): (&mut ContentScratch, &mut BlendedScratch),
    ) {
        let BlendedScratch {
            candidates,
            sequence,
            ..
        } = blended;
        if let Some(by_content) = sides.content {
            let missing = |candidate: &Candidate| {
                candidate.scores.content.is_none() && by_content.has_embedding(candidate.product.0)
            };
            let rows = candidates.iter().filter(|candidate| missing(candidate));
            let rows = rows.map(|candidate| candidate.product.0);
            let scores = by_content.scores(rows, content);
            let unscored = candidates.iter_mut().filter(|candidate| missing(candidate));
            for (candidate, score) in unscored.zip(scores) {
                candidate.scores.content = Some(*score);
            }
        }
        for candidate in candidates {
            let row = candidate.product.0;
            let scores = &mut candidate.scores;
            if let Some(taste) = sides.taste {
                let score = || dot(taste.factors, self.als.product(candidate.product)) + 0.0;
                scores.collaborative.get_or_insert_with(score);
            }
            if sides.sequence.is_some() {
                scores.sequence.get_or_insert_with(|| sequence.score(row));
            }
            if let Some(by_repeat) = sides.repeat {
                scores.repeat.get_or_insert_with(|| by_repeat.score(row));
            }
            if let Some(trend) = sides.trend {
                scores
                    .trend
                    .get_or_insert_with(|| trend.score(candidate.product));
            }
        }
    }
}

impl BlendedScratch {
    /// Adds what the side left in `top`.
    fn add_found(&mut self, side: Side) {
        let mut found = std::mem::take(&mut self.found);
        self.top.finish(&mut found);
        for scored in &found {
            self.add(side, (scored.row(), scored.score()));
        }
        self.found = found;
    }

    /// Adds a candidate, or marks it where another side retrieved it already.
    fn add(&mut self, side: Side, (row, score): (u32, f32)) {
        let at = self.places.get(row).unwrap_or_else(|| {
            let at = self.candidates.len() as u32;
            self.places.set(row, at);
            self.candidates.push(Candidate {
                product: ProductRow(row),
                scores: PerSide::default(),
                found_by: 0,
            });
            at
        });
        let candidate = &mut self.candidates[at as usize];
        candidate.found_by |= bit(side);
        *candidate.scores.get_mut(side) = Some(score);
    }
}

/// The weights, with 0 for what is no weight.
pub(super) fn usable(weights: &Weights) -> Weights {
    Weights::from_fn(|side| {
        let weight = *weights.get(side);
        // Within f32, so that no blend of finite scores leaves f64.
        if weight.is_finite() {
            weight.clamp(0.0, f32::MAX.into())
        } else {
            0.0
        }
    })
}

fn bit(side: Side) -> u8 {
    1 << side as u8
}

/// Leaves the best n candidates of the sides that have weight in `ranked`; returns what each side's
/// scores were divided by.
fn rank(
    candidates: &[Candidate],
    weights: &Weights,
    n: usize,
    ranked: &mut Vec<Ranked>,
) -> PerSide<f64> {
    let weighted = weights.iter().filter(|(_, weight)| **weight > 0.0);
    let asked = weighted.fold(0, |asked, (side, _)| asked | bit(side));
    let counts = |candidate: &&Candidate| candidate.found_by & asked != 0;
    let counted = || candidates.iter().filter(counts);
    let divisors = PerSide::from_fn(|side| match asked & bit(side) {
        0 => 1.0,
        _ => divisor(counted().map(|candidate| candidate.scores.get(side).unwrap_or(0.0))),
    });
    ranked.clear();
    let counted = candidates
        .iter()
        .zip(0..)
        .filter(|(candidate, _)| counts(candidate));
    ranked.extend(counted.map(|(candidate, at)| {
        Ranked {
            at,
            row: candidate.product.0,
            // Adding +0 makes equals of both zeros.
            score: shares(candidate, weights, &divisors)
                .iter()
                .map(|(_, share)| share)
                .sum::<f64>()
                + 0.0,
        }
    }));
    let order = |a: &Ranked, b: &Ranked| -> Ordering {
        b.score.total_cmp(&a.score).then(a.row.cmp(&b.row))
    };
    if n < ranked.len() {
        ranked.select_nth_unstable_by(n, order);
        ranked.truncate(n);
    }
    ranked.sort_unstable_by(order);
    divisors
}

/// What each side adds to a candidate's score.
fn shares(candidate: &Candidate, weights: &Weights, divisors: &PerSide<f64>) -> PerSide<f64> {
    PerSide::from_fn(|side| match *weights.get(side) {
        0.0 => 0.0,
        weight => {
            let score = f64::from(candidate.scores.get(side).unwrap_or(0.0));
            weight * (score / divisors.get(side)) + 0.0
        }
    })
}

/// The side that adds most to the score or, where none adds anything, the first that retrieved it.
fn reason(candidate: &Candidate, shares: &PerSide<f64>, of_factors: Option<Reason>) -> Reason {
    let above_zero = shares.iter().filter(|(_, share)| **share > 0.0);
    let greatest = above_zero.reduce(|best, other| if other.1 > best.1 { other } else { best });
    let found = Side::ALL
        .into_iter()
        .find(|side| candidate.found_by & bit(*side) != 0);
    match greatest.map(|(side, _)| side).or(found) {
        None | Some(Side::Collaborative) => of_factors.unwrap_or(Reason::Collaborative),
        Some(Side::Content) => Reason::Content,
        Some(Side::Sequence) => Reason::Sequence,
        Some(Side::Repeat) => Reason::Repeat,
        Some(Side::Trend) => Reason::Trend,
    }
}
