//! Cosines of ALS product factors, by a scan.
//!
//! The index over product factors ranks by inner product, which favours the popular; a cosine
//! needs each product's norm beside it.

use crate::{
    Breathe, Matrix, Retrieval, RetrievalPlan,
    dot::{dot, scores_into},
    index::norm,
    pace::Pace,
    topk::{Scored, TopK},
};

/// Rows scored between two looks at the bar. Chosen: their factors fit a first-level cache.
const ROWS_AT_ONCE: usize = 64;

/// One over the norm of each row, 0 where a row has no direction: 4 bytes a product.
#[derive(Debug)]
pub(crate) struct FactorCosines {
    inverse_norms: Vec<f32>,
}

/// Working memory.
#[derive(Clone, Debug, Default)]
pub(crate) struct CosineScratch {
    query: Vec<f32>,
    scores: Vec<f32>,
    top: TopK,
    pub(crate) ranked: Vec<Scored>,
}

/// A search for the `n` rows most similar to `row`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CosineQuery<'a> {
    pub(crate) row: u32,
    pub(crate) n: usize,
    /// The only rows to look at; `None`: all.
    pub(crate) among: Option<&'a [u32]>,
}

impl FactorCosines {
    /// One pass.
    pub(crate) fn new(factors: &Matrix, breathe: Breathe<'_>) -> Self {
        let mut pace = Pace::new(breathe);
        let inverse = |row: usize| {
            let row = factors.row(row);
            pace.did(size_of_val(row));
            let inverse = (1.0 / norm(row)) as f32;
            // A norm so small that its inverse overflows leaves no digits of a direction.
            if inverse.is_finite() { inverse } else { 0.0 }
        };
        Self {
            inverse_norms: (0..factors.rows()).map(inverse).collect(),
        }
    }

    /// Whether a row has a direction.
    pub(crate) fn has_direction(&self, row: u32) -> bool {
        self.inverse_norms[row as usize] > 0.0
    }

    /// Leaves the eligible rows of greatest cosine in `work.ranked`, rows without direction left
    /// out; 2 × F flops a row that is looked at.
    pub(crate) fn rank(
        &self,
        factors: &Matrix,
        alike: CosineQuery<'_>,
        is_eligible: impl Fn(u32) -> bool,
        work: &mut CosineScratch,
    ) -> Retrieval {
        let CosineScratch {
            query,
            scores,
            top,
            ranked,
        } = work;
        let row = factors.row(alike.row as usize);
        let length = norm(row);
        query.clear();
        query.extend(row.iter().map(|x| (f64::from(*x) / length) as f32));
        top.start(alike.n);
        let mut offer = |row: u32, score: f32| {
            let inverse = self.inverse_norms[row as usize];
            let cosine = score * inverse;
            if inverse > 0.0 && cosine >= top.bar() && is_eligible(row) {
                top.offer(cosine, row);
            }
        };
        let scored = match alike.among {
            Some(rows) => {
                for row in rows {
                    offer(*row, dot(query, factors.row(*row as usize)));
                }
                rows.len()
            }
            None => {
                let blocks = factors.as_slice().chunks(ROWS_AT_ONCE * factors.cols());
                for (block, rows) in blocks.enumerate() {
                    scores.resize(rows.len() / factors.cols(), 0.0);
                    scores_into(query, rows, scores);
                    let first = (block * ROWS_AT_ONCE) as u32;
                    for (score, row) in scores.iter().zip(first..) {
                        offer(row, *score);
                    }
                }
                factors.rows()
            }
        };
        top.finish(ranked);
        let plan = match alike.among {
            Some(_) => RetrievalPlan::Matches,
            None => RetrievalPlan::Exact,
        };
        Retrieval { plan, scored }
    }

    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.inverse_norms[..])
    }
}
