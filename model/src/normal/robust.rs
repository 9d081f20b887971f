//! The normal equations of one row in f64, for rows that f32 cannot solve.
//!
//! A user with very many or very strong interactions has eigenvalues so far apart that f32 has no
//! digits left for the small ones. Such rows are rare, so this is plain scalar code: correct
//! first, and the same on every CPU.

/// Share of the mean diagonal element that is added to the diagonal where even f64 finds no
/// positive pivot; grows a thousandfold with every attempt. Chosen: a few times the unit roundoff
/// of f64, far below any effect on a score.
const RIDGE_FIRST: f64 = 1e-14;

/// Attempts before the row is given up; the last ridge is as heavy as the matrix.
const ATTEMPTS: i32 = 6;

/// A symmetric system under construction; `[len × len]`, upper triangle used.
pub(crate) struct System {
    matrix: Vec<f64>,
    right: Vec<f64>,
}

impl System {
    /// Starts from a Gram matrix and λ.
    pub(crate) fn new(gram: &[f64], len: usize, lambda: f32) -> Self {
        let mut matrix = gram.to_vec();
        for at in 0..len {
            matrix[at * len + at] += f64::from(lambda);
        }
        Self {
            matrix,
            right: vec![0.0; len],
        }
    }

    /// Adds an observation with c − 1 = `scale`.
    pub(crate) fn add(&mut self, row: &[f32], scale: f64) {
        let len = self.right.len();
        for (at, x) in row.iter().enumerate() {
            let x = f64::from(*x);
            self.right[at] += (1.0 + scale) * x;
            for (sum, y) in self.matrix[at * len + at..].iter_mut().zip(&row[at..]) {
                *sum += scale * x * f64::from(*y);
            }
        }
    }

    /// The solution; NaN throughout where there is none.
    pub(crate) fn solve(&self) -> Vec<f64> {
        let len = self.right.len();
        let mean = (0..len).map(|at| self.matrix[at * len + at]).sum::<f64>() / len as f64;
        let ridges = (0..ATTEMPTS).map(|attempt| match attempt {
            0 => 0.0,
            _ => RIDGE_FIRST * mean * 1e3f64.powi(attempt - 1),
        });
        let mut solutions = ridges.filter_map(|ridge| cholesky(&self.matrix, &self.right, ridge));
        solutions.next().unwrap_or_else(|| vec![f64::NAN; len])
    }
}

fn cholesky(matrix: &[f64], right: &[f64], ridge: f64) -> Option<Vec<f64>> {
    let len = right.len();
    let mut upper = matrix.to_vec();
    for pivot in 0..len {
        let square = upper[pivot * len + pivot] + ridge;
        if !square.is_normal() || square < 0.0 {
            return None;
        }
        let inverse = 1.0 / square.sqrt();
        upper[pivot * len + pivot] = 1.0 / inverse;
        let (above, below) = upper.split_at_mut((pivot + 1) * len);
        let row = &mut above[pivot * len..];
        row[pivot + 1..].iter_mut().for_each(|x| *x *= inverse);
        for (lower, target) in (pivot + 1..len).zip(below.chunks_exact_mut(len)) {
            let x = row[lower];
            for (target, y) in target[lower..].iter_mut().zip(&row[lower..]) {
                *target -= x * y;
            }
        }
    }
    let mut solution = right.to_vec();
    for pivot in 0..len {
        let row = &upper[pivot * len..][..len];
        solution[pivot] /= row[pivot];
        let z = solution[pivot];
        for (x, u) in solution[pivot + 1..].iter_mut().zip(&row[pivot + 1..]) {
            *x -= z * u;
        }
    }
    for pivot in (0..len).rev() {
        let row = &upper[pivot * len..][..len];
        let known: f64 = row[pivot + 1..]
            .iter()
            .zip(&solution[pivot + 1..])
            .map(|(u, x)| u * x)
            .sum();
        solution[pivot] = (solution[pivot] - known) / row[pivot];
    }
    Some(solution)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hand_worked_system() {
        // [[4, 2], [2, 3]] x = [2, 5] has the solution [-1/2, 2].
        let solution = cholesky(&[4.0, 2.0, 0.0, 3.0], &[2.0, 5.0], 0.0);
        let solution = solution.expect("positive definite");
        assert!((solution[0] + 0.5).abs() < 1e-12 && (solution[1] - 2.0).abs() < 1e-12);
    }

    #[test]
    fn singular_system_is_solved_with_a_ridge_and_nan_is_refused() {
        let mut system = System::new(&[0.0; 4], 2, 0.0);
        system.add(&[1.0, 1.0], 1.0);
        let solution = system.solve();
        assert!(
            (solution[0] + solution[1] - 2.0).abs() < 1e-6,
            "{solution:?}"
        );
        let hopeless = System::new(&[f64::NAN; 4], 2, 0.0);
        assert!(hopeless.solve().iter().all(|x| x.is_nan()));
    }
}
