//! Factor rows while they are being fitted: whole cache lines, zero-padded to 16 factors.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

use crate::lanes::{LANES, Line};

/// Row-major factors; a row is `stride` lines, its padding is zero and stays zero.
#[derive(Clone, Debug)]
pub(super) struct Factors {
    pub(super) lines: Vec<Line>,
    pub(super) stride: usize,
    /// Factors in use of each row.
    pub(super) len: usize,
}

impl Factors {
    pub(super) fn zeros(rows: usize, len: usize) -> Self {
        let stride = len.div_ceil(LANES);
        Self {
            lines: vec![Line::ZERO; rows * stride],
            stride,
            len,
        }
    }

    /// Uniform in ±1/(2√len), zero where `is_used` is false. The numbers drawn for a row depend
    /// on the used rows before it alone.
    pub(super) fn random(is_used: &[bool], len: usize, seed: u64) -> Self {
        let mut factors = Self::zeros(is_used.len(), len);
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let scale = 1.0 / (len as f32).sqrt();
        for (row, _) in is_used.iter().enumerate().filter(|(_, used)| **used) {
            for x in &mut factors.row_mut(row)[..len] {
                // The upper 24 bits are a multiple of 2^-24 in [0, 1), exactly.
                let unit = (random.next_u32() >> 8) as f32 / (1 << 24) as f32;
                *x = (unit - 0.5) * scale;
            }
        }
        factors
    }

    pub(super) fn rows(&self) -> usize {
        self.lines.len() / self.stride
    }

    pub(super) fn row(&self, row: usize) -> &[Line] {
        &self.lines[row * self.stride..][..self.stride]
    }

    fn row_mut(&mut self, row: usize) -> &mut [f32] {
        bytemuck::cast_slice_mut(&mut self.lines[row * self.stride..][..self.stride])
    }

    /// The numbers without padding, row after row.
    pub(super) fn compact(&self) -> Vec<f32> {
        let numbers: &[f32] = bytemuck::cast_slice(&self.lines);
        let rows = numbers.chunks_exact(self.stride * LANES);
        rows.flat_map(|row| row[..self.len].iter().copied())
            .collect()
    }
}
