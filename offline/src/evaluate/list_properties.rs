//! Properties of a list that do not depend on its user: novelty, diversity, popularity.
//!
//! - *Novelty*: the mean self-information of the products, log2(users / users with the product).
//!   Source: Zhou et al. (2010), Solving the apparent diversity-accuracy dilemma of recommender
//!   systems. A product that nobody has counts as had by one.
//! - *Intra-list diversity*: the mean of 1 − cosine over all pairs, of content embeddings where the
//!   model has them, else of product factors. Source: Ziegler et al. (2005), Improving recommendation
//!   lists through topic diversification. A product without a vector is like no other.
//! - *Popularity*: the mean number of users with the product. The popularity bias of a ranker is by
//!   how much that of its lists exceeds that of what the same users have: 0.5 is half as much again.
//!   Source: Abdollahpouri et al. (2020), The connection between popularity bias, calibration, and
//!   fairness in recommendation (their popularity lift).

use hotshelf_model::dot::dot;
use hotshelf_model::{Matrix, Model, ProductRow, UserRow};

/// What these properties need to know of the products.
pub(super) struct ListProperties<'m> {
    model: &'m Model,
    /// By product: users who have it.
    owners: Vec<u32>,
    vectors: &'m Matrix,
    /// By row of `vectors`: one over its length, 0 for a row of zeros.
    scales: Vec<f32>,
}

impl<'m> ListProperties<'m> {
    pub(super) fn of(model: &'m Model) -> Self {
        let mut owners = vec![0; model.products().len()];
        for user in 0..model.users().len() as u32 {
            for product in model.history().seen(UserRow(user)) {
                owners[*product as usize] += 1;
            }
        }
        let vectors = match model.content() {
            Some(content) => content.embeddings(),
            None => model.als().product_factors(),
        };
        let scale = |row: usize| {
            let length = dot(vectors.row(row), vectors.row(row)).sqrt();
            if length > 0.0 { 1.0 / length } else { 0.0 }
        };
        Self {
            owners,
            scales: (0..vectors.rows()).map(scale).collect(),
            vectors,
            model,
        }
    }

    /// What diversity compares, for the report.
    pub(super) fn basis(&self) -> &'static str {
        match self.model.content() {
            Some(_) => "content embeddings",
            None => "product factors",
        }
    }

    /// NaN for an empty list, as the other two.
    pub(super) fn novelty(&self, list: &[u32]) -> f64 {
        let users = self.model.users().len() as f64;
        mean(list, |row| {
            (users / f64::from(self.owners[row as usize].max(1))).log2()
        })
    }

    pub(super) fn popularity(&self, list: &[u32]) -> f64 {
        mean(list, |row| f64::from(self.owners[row as usize]))
    }

    /// NaN for a list of one, too.
    pub(super) fn diversity(&self, list: &[u32]) -> f64 {
        let rows: Vec<Option<usize>> = list.iter().map(|row| self.vector(*row)).collect();
        let (mut sum, mut pairs) = (0.0, 0);
        for (at, one) in rows.iter().enumerate() {
            for other in &rows[..at] {
                pairs += 1;
                sum += 1.0 - self.cosine(*one, *other);
            }
        }
        sum / f64::from(pairs)
    }

    fn vector(&self, product: u32) -> Option<usize> {
        match self.model.content() {
            Some(content) => content
                .group(ProductRow(product))
                .map(|group| group as usize),
            None => Some(product as usize),
        }
    }

    fn cosine(&self, one: Option<usize>, other: Option<usize>) -> f64 {
        let (Some(one), Some(other)) = (one, other) else {
            return 0.0;
        };
        let product = dot(self.vectors.row(one), self.vectors.row(other));
        f64::from(product) * f64::from(self.scales[one]) * f64::from(self.scales[other])
    }
}

/// NaN over nothing.
fn mean(list: &[u32], of: impl Fn(u32) -> f64) -> f64 {
    list.iter().map(|row| of(*row)).sum::<f64>() / list.len() as f64
}
