//! Alternating least squares for implicit feedback: Hu, Koren and Volinsky, "Collaborative
//! Filtering for Implicit Feedback Datasets", ICDM 2008.
//!
//! The objective is `Σ cᵤᵢ (pᵤᵢ − xᵤ·yᵢ)² + λ (Σ|xᵤ|² + Σ|yᵢ|²)` over *all* pairs, with p = 1 and
//! c = 1 + confidence × value where there are interactions, else p = 0 and c = 1. Each half of an
//! alternation minimises it exactly for one side, so it never rises. After the last alternation
//! the users are solved once more: stored user factors are then exactly what folding in the same
//! interactions against the stored product factors gives.

use std::num::NonZeroUsize;

use rayon::{ThreadPool, prelude::*};

use super::{
    FitError, FitStep,
    factors::Factors,
    gram::Gram,
    pairs::Pairs,
    rows::{Solved, System},
};
use crate::{
    Clock,
    dot::dot_on,
    lanes::{CpuPath, Line},
    params::AlsParams,
};

/// Users whose loss is summed before it joins the total; fixed, so that threads change nothing.
const LOSS_CHUNK_ROWS: usize = 256;

/// Fitted factors of both sides.
#[derive(Debug)]
pub(super) struct Fitted {
    pub(super) users: Factors,
    pub(super) products: Factors,
    /// `YᵀY` of the products, `[F×F]`.
    pub(super) gram: Vec<f32>,
}

/// Threads and CPU path of a fit; neither changes the result.
#[derive(Clone, Copy, Debug)]
pub(super) struct Machine {
    pub(super) threads: NonZeroUsize,
    pub(super) path: CpuPath,
    pub(super) clock: Option<Clock>,
}

impl Machine {
    /// A pool of its own: rayon's global one belongs to no single fit.
    pub(super) fn pool(self) -> Result<ThreadPool, FitError> {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(self.threads.get())
            .thread_name(|thread| format!("fit-{thread}"));
        Ok(pool.build()?)
    }
}

/// A fit in progress.
struct Als<'a> {
    params: &'a AlsParams,
    path: CpuPath,
    pool: ThreadPool,
    by_user: &'a Pairs,
}

/// Fits both sides; reports every alternation with its loss.
pub(super) fn fit(
    (by_user, by_product): (&Pairs, &Pairs),
    params: &AlsParams,
    machine: Machine,
    progress: &mut dyn FnMut(FitStep),
) -> Result<Fitted, FitError> {
    let als = Als {
        params,
        path: machine.path,
        pool: machine.pool()?,
        by_user,
    };
    let is_used: Vec<bool> = (0..by_product.rows())
        .map(|product| by_product.count(product) > 0)
        .collect();
    let mut products = Factors::random(&is_used, params.factors, params.seed);
    let mut gram = als.gram(&products);
    for done in 1..=params.iterations {
        let users = als.solve("user", by_user, &products, &gram)?;
        let users_gram = als.gram(&users.factors);
        let solved = als.solve("product", by_product, &users.factors, &users_gram)?;
        products = solved.factors;
        gram = als.gram(&products);
        progress(FitStep::Iteration {
            done,
            of: params.iterations,
            loss: als.loss((&users.factors, &users_gram), (&products, &gram)),
            double_precision: users.double_precision + solved.double_precision,
        });
    }
    let users = als.solve("user", by_user, &products, &gram)?.factors;
    Ok(Fitted {
        users,
        products,
        gram: gram.rounded(),
    })
}

impl Als<'_> {
    fn gram(&self, factors: &Factors) -> Gram {
        self.pool.install(|| Gram::of(self.path, factors))
    }

    fn solve(
        &self,
        kind: &'static str,
        pairs: &Pairs,
        factors: &Factors,
        gram: &Gram,
    ) -> Result<Solved, FitError> {
        let system = System {
            path: self.path,
            factors,
            gram,
            regularization: self.params.regularization,
            confidence: self.params.confidence,
        };
        let solved = self.pool.install(|| system.solve(pairs));
        match solved.diverged {
            Some(row) => Err(FitError::Diverged { kind, row }),
            None => Ok(solved),
        }
    }

    /// The objective. Pairs without interactions are never visited: their squared scores are the
    /// product of both Gram matrices, minus those of the pairs with interactions.
    fn loss(&self, users: (&Factors, &Gram), products: (&Factors, &Gram)) -> f64 {
        let chunks = self.by_user.rows().div_ceil(LOSS_CHUNK_ROWS);
        let observed: Vec<f64> = self.pool.install(|| {
            let chunks = (0..chunks).into_par_iter();
            chunks
                .map(|chunk| self.observed_loss(chunk, users.0, products.0))
                .collect()
        });
        observed.iter().sum::<f64>()
            + users.1.squared_scores(products.1)
            + f64::from(self.params.regularization) * (users.1.trace() + products.1.trace())
    }

    fn observed_loss(&self, chunk: usize, users: &Factors, products: &Factors) -> f64 {
        let start = chunk * LOSS_CHUNK_ROWS;
        let mut loss = 0.0;
        for user in start..(start + LOSS_CHUNK_ROWS).min(self.by_user.rows()) {
            let factors = numbers(users.row(user));
            for (product, value) in self.by_user.row(user) {
                let score = dot_on(self.path, factors, numbers(products.row(product as usize)));
                let score = f64::from(score);
                let weight = 1.0 + f64::from(self.params.confidence) * f64::from(value);
                loss += weight * (1.0 - score) * (1.0 - score) - score * score;
            }
        }
        loss
    }
}

fn numbers(row: &[Line]) -> &[f32] {
    bytemuck::cast_slice(row)
}
