//! A table of f32 rows over loaded bytes, seen as an ndarray view.
//!
//! Factor tables are read far more often than made, so a matrix never owns a second copy of a
//! part: it is a column plus its shape.

use ndarray::ArrayView2;

use crate::column::Column;

/// Row-major `[rows × cols]` f32, immutable, cheap to clone.
#[derive(Clone, Debug)]
pub struct Matrix {
    numbers: Column<f32>,
    rows: usize,
    cols: usize,
}

impl Matrix {
    /// Takes over row-major numbers; `None` where they are no whole number of rows of `cols`.
    #[must_use]
    pub fn from_vec(numbers: Vec<f32>, cols: usize) -> Option<Self> {
        let rows = numbers.len().checked_div(cols)?;
        Self::new(Column::from_vec(numbers), rows, cols)
    }

    /// Gives `numbers` a shape; `None` where `rows × cols` is not their count.
    pub(crate) fn new(numbers: Column<f32>, rows: usize, cols: usize) -> Option<Self> {
        (rows.checked_mul(cols)? == numbers.as_slice().len()).then_some(Self {
            numbers,
            rows,
            cols,
        })
    }

    /// Number of rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Numbers in a row.
    #[must_use]
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// One row.
    ///
    /// # Panics
    /// If `row` is not below [`Self::rows`].
    #[must_use]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.as_slice()[row * self.cols..][..self.cols]
    }

    /// All numbers, row after row.
    #[must_use]
    pub fn as_slice(&self) -> &[f32] {
        self.numbers.as_slice()
    }

    /// The whole as an ndarray view, no copy.
    #[must_use]
    pub fn view(&self) -> ArrayView2<'_, f32> {
        ArrayView2::from_shape((self.rows, self.cols), self.as_slice())
            .expect("the constructor compared the shape with the count")
    }

    /// The numbers as they stand in a part.
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.numbers.as_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn rows_and_the_ndarray_view_show_the_same_numbers() {
        let matrix = Matrix::new(Column::from_vec(vec![1., 2., 3., 4., 5., 6.]), 3, 2).unwrap();
        assert_eq!(matrix.row(1), [3., 4.]);
        assert_eq!(matrix.view().row(2).to_vec(), [5., 6.]);
        assert!(Matrix::new(Column::from_vec(vec![1.]), 1, 2).is_none());
        assert!(Matrix::new(Column::from_vec(vec![]), usize::MAX, 2).is_none());
    }
}
