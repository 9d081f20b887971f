//! Checks over columns of numbers; calls `breathe` every 64 KiB.

use std::fmt::Display;

use super::UnpackError;
use crate::{Breathe, Matrix, als::FACTOR_NORM_MAX, index::norm};

/// Bytes checked between two calls of `breathe`.
const BREATH_BYTES: usize = 64 << 10;

/// Part and column of a number, for the error.
#[derive(Clone, Copy)]
pub(super) struct Location {
    pub(super) part: &'static str,
    pub(super) what: &'static str,
}

impl Location {
    /// A number that is finite and still impossible.
    pub(super) fn out_of_range(
        self,
        row: usize,
        value: &dyn Display,
        expected: &dyn Display,
    ) -> UnpackError {
        UnpackError::OutOfRange {
            part: self.part,
            what: self.what,
            row,
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }

    /// A number that breaks the order of its column.
    pub(super) fn order(
        self,
        row: usize,
        value: &dyn Display,
        expected: &dyn Display,
    ) -> UnpackError {
        UnpackError::Order {
            part: self.part,
            what: self.what,
            row,
            value: value.to_string(),
            expected: expected.to_string(),
        }
    }

    fn not_finite(self, row: usize, value: f32) -> UnpackError {
        let value = value.to_string();
        UnpackError::NotFinite {
            part: self.part,
            what: self.what,
            row,
            value,
        }
    }
}

/// Runs `check` on every row number; calls `breathe` as rows of `row_bytes` go by.
pub(super) fn each_row(
    rows: usize,
    row_bytes: usize,
    breathe: Breathe<'_>,
    mut check: impl FnMut(usize) -> Result<(), UnpackError>,
) -> Result<(), UnpackError> {
    let step = (BREATH_BYTES / row_bytes.max(1)).max(1);
    let mut start = 0;
    while start < rows {
        let end = rows.min(start + step);
        (start..end).try_for_each(&mut check)?;
        breathe((end - start) * row_bytes);
        start = end;
    }
    Ok(())
}

/// Offsets begin at 0, never fall and end at `listed`, the number of rows in all lists.
pub(super) fn offsets(
    location: Location,
    (offsets, listed): (&[u64], usize),
    breathe: Breathe<'_>,
) -> Result<(), UnpackError> {
    let (last, listed) = (offsets.len() - 1, listed as u64);
    each_row(offsets.len(), size_of::<u64>(), breathe, |at| {
        let offset = offsets[at];
        if at == 0 && offset != 0 {
            return Err(location.order(at, &offset, &0));
        }
        if at > 0 && offset < offsets[at - 1] {
            return Err(location.order(at, &offset, &format!("{} or more", offsets[at - 1])));
        }
        if at == last && offset != listed {
            let expected = format!("{listed}, the number of products listed");
            return Err(location.order(at, &offset, &expected));
        }
        Ok(())
    })
}

/// Every number finite, every row's norm within [`FACTOR_NORM_MAX`].
pub(super) fn factors(
    location: Location,
    matrix: &Matrix,
    breathe: Breathe<'_>,
) -> Result<(), UnpackError> {
    each_row(
        matrix.rows(),
        matrix.cols() * size_of::<f32>(),
        breathe,
        |row| {
            let numbers = matrix.row(row);
            let norm = norm(numbers);
            // Written so that NaN fails, too.
            if norm <= f64::from(FACTOR_NORM_MAX) {
                return Ok(());
            }
            match numbers.iter().find(|x| !x.is_finite()) {
                Some(x) => Err(location.not_finite(row, *x)),
                None => {
                    let expected = format!("a row of norm at most {FACTOR_NORM_MAX:e}");
                    Err(location.out_of_range(row, &format!("a row of norm {norm:e}"), &expected))
                }
            }
        },
    )
}

/// A number that is finite.
pub(super) fn finite_number(location: Location, row: usize, x: f32) -> Result<(), UnpackError> {
    if x.is_finite() {
        return Ok(());
    }
    Err(location.not_finite(row, x))
}

/// A number that is finite and not negative.
pub(super) fn not_negative(location: Location, row: usize, x: f32) -> Result<(), UnpackError> {
    finite_number(location, row, x)?;
    if x < 0.0 {
        return Err(location.out_of_range(row, &x, &"0 or more"));
    }
    Ok(())
}

/// Every number finite.
pub(super) fn finite(location: Location, matrix: &Matrix) -> Result<(), UnpackError> {
    let mut numbers = matrix.as_slice().iter().enumerate();
    match numbers.find(|(_, x)| !x.is_finite()) {
        Some((at, x)) => Err(location.not_finite(at / matrix.cols(), *x)),
        None => Ok(()),
    }
}
