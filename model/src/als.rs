//! The factors that ALS fitted.

use crate::{
    ids::{ProductRow, UserRow},
    matrix::Matrix,
};

/// Most factors a model may have. Chosen: four times what public shops profit from, and the
/// normal equations of one user still fit a core's cache (4 MiB).
pub const FACTORS_MAX: usize = 1024;

/// Largest Euclidean norm of a factor row. Chosen so that no inner product of two rows, nor any
/// partial sum of one, can leave the range of f32.
pub const FACTOR_NORM_MAX: f32 = 1e18;

/// User factors `[U×F]`, product factors `[I×F]` and the Gram matrix `YᵀY` `[F×F]` of the product
/// factors, which folding in a new user needs.
#[derive(Clone, Debug)]
pub struct Als {
    pub(crate) user_factors: Matrix,
    pub(crate) product_factors: Matrix,
    pub(crate) gram: Matrix,
}

impl Als {
    /// Number of factors F.
    #[must_use]
    pub fn factors(&self) -> usize {
        self.product_factors.cols()
    }

    /// Factors of all users, `[U×F]`.
    #[must_use]
    pub fn user_factors(&self) -> &Matrix {
        &self.user_factors
    }

    /// Factors of all products, `[I×F]`; zero rows for products without interactions.
    #[must_use]
    pub fn product_factors(&self) -> &Matrix {
        &self.product_factors
    }

    /// `YᵀY` of the product factors, `[F×F]`, symmetric.
    #[must_use]
    pub fn gram(&self) -> &Matrix {
        &self.gram
    }

    /// Factors of one user.
    #[must_use]
    pub fn user(&self, user: UserRow) -> &[f32] {
        self.user_factors.row(user.index())
    }

    /// Factors of one product.
    #[must_use]
    pub fn product(&self, product: ProductRow) -> &[f32] {
        self.product_factors.row(product.index())
    }

    /// Bytes of the three matrices.
    pub(crate) fn bytes(&self) -> usize {
        [&self.user_factors, &self.product_factors, &self.gram]
            .into_iter()
            .map(|matrix| matrix.as_bytes().len())
            .sum()
    }
}
