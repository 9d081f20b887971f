//! Fold-in: ALS factors for an unknown user, from the products in the query.
//!
//! The row solves the normal equations that fitting solves, with product factors and their Gram
//! matrix as stored, so it is what refitting that one row would give (Hu, Koren and Volinsky,
//! ICDM 2008, section 4).

use crate::{
    Als, ProductRow,
    lanes::{CpuPath, LANES, Line},
    normal::{RowSolver, is_usable, robust},
};

/// What an occurrence of a product weighs.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weights {
    /// λ of the fit.
    pub(crate) regularization: f32,
    /// Confidence of the fit: c = 1 + confidence × value.
    pub(crate) confidence: f32,
    /// Interaction value of one occurrence.
    pub(crate) value: f32,
}

/// Working memory, 4 × F² bytes and a little more, and the factors that came out last.
#[derive(Clone, Debug, Default)]
pub(crate) struct FoldIn {
    solver: RowSolver,
    factors: Vec<Line>,
    /// Distinct products that have factors, ascending, and c − 1 of each.
    observations: Vec<(u32, f32)>,
    rows: Vec<u32>,
}

impl FoldIn {
    /// Factors `[F]` of a user who interacted with `products`, each occurrence with
    /// `weights.value`; `None` if no product has factors, or the sums are not finite.
    /// Costs F² / 2 multiply-adds a distinct product and F³ / 6; allocates nothing once grown,
    /// except in the rare case that f32 has not enough digits.
    pub(crate) fn solve(
        &mut self,
        als: &Als,
        weights: Weights,
        products: &[u32],
    ) -> Option<&[f32]> {
        self.observe(als, weights, products);
        if self.observations.is_empty() {
            return None;
        }
        let len = als.factors();
        self.solver.start(len);
        self.factors.resize(len.div_ceil(LANES), Line::ZERO);
        let numbers: &mut [f32] = bytemuck::cast_slice_mut(self.solver.matrix_mut());
        numbers.fill(0.0);
        let rows = numbers.chunks_exact_mut(len.next_multiple_of(LANES));
        for (at, (numbers, gram)) in rows
            .zip(als.gram().as_slice().chunks_exact(len))
            .enumerate()
        {
            numbers[..len].copy_from_slice(gram);
            // Rounded once, as fitting does.
            numbers[at] = (f64::from(gram[at]) + f64::from(weights.regularization)) as f32;
        }
        let observations = self.observations.iter().map(|(product, scale)| {
            let row = als.product(ProductRow(*product));
            (row, *scale)
        });
        let path = CpuPath::detected();
        let is_solved = self.solver.solve(path, observations, &mut self.factors);
        if !(is_solved && is_usable(&self.factors)) {
            self.solve_f64(als, weights);
        }
        let factors: &[f32] = bytemuck::cast_slice(&self.factors);
        is_usable(&self.factors).then_some(&factors[..len])
    }

    /// Repeated products are summed in f64 and in ascending order of rows, as events are.
    fn observe(&mut self, als: &Als, weights: Weights, products: &[u32]) {
        self.rows.clear();
        self.rows.extend_from_slice(products);
        self.rows.sort_unstable();
        self.observations.clear();
        for same in self.rows.chunk_by(|a, b| a == b) {
            let has_factors = als.product(ProductRow(same[0])).iter().any(|x| *x != 0.0);
            if has_factors {
                let value = (same.len() as f64 * f64::from(weights.value)) as f32;
                self.observations
                    .push((same[0], weights.confidence * value));
            }
        }
    }

    fn solve_f64(&mut self, als: &Als, weights: Weights) {
        let gram = als.gram().as_slice().iter().map(|x| f64::from(*x));
        let gram: Vec<f64> = gram.collect();
        let mut system = robust::System::new(&gram, als.factors(), weights.regularization);
        for (product, scale) in &self.observations {
            system.add(als.product(ProductRow(*product)), f64::from(*scale));
        }
        let factors: &mut [f32] = bytemuck::cast_slice_mut(&mut self.factors);
        factors.fill(0.0);
        for (factor, x) in factors.iter_mut().zip(system.solve()) {
            *factor = x as f32;
        }
    }
}

#[cfg(test)]
mod tests;
