//! Randomness that a number repeats, and the numbers that decoders get wrong.

use rand_chacha::{
    ChaCha8Rng,
    rand_core::{Rng, SeedableRng},
};

pub(crate) struct Dice(ChaCha8Rng);

impl Dice {
    pub(crate) fn new(seed: u64) -> Self {
        Self(ChaCha8Rng::seed_from_u64(seed))
    }

    /// A number below `limit`; 0 where there is none.
    pub(crate) fn below(&mut self, limit: usize) -> usize {
        self.0.next_u64() as usize % limit.max(1)
    }

    pub(crate) fn pick<'a, T>(&mut self, from: &'a [T]) -> &'a T {
        &from[self.below(from.len())]
    }

    /// A range within `len`, mostly short.
    pub(crate) fn range(&mut self, len: usize) -> std::ops::Range<usize> {
        let start = self.below(len);
        let longest = *self.pick(&[1, 4, 8, 64, len]);
        start..len.min(start + 1 + self.below(longest))
    }

    /// A number near a bound, given the present number and the number of bytes.
    pub(crate) fn boundary(&mut self, now: u64, len: u64) -> u64 {
        *self.pick(&[
            0,
            1,
            2,
            7,
            now.wrapping_sub(1),
            now.wrapping_add(1),
            now.wrapping_mul(2),
            now / 2,
            now ^ 1 << 31,
            len,
            len.wrapping_sub(1),
            len + 1,
            len.wrapping_neg(),
            i32::MAX as u64,
            1 << 31,
            u64::from(u32::MAX),
            1 << 32,
            i64::MAX as u64,
            1 << 63,
            u64::MAX,
            u64::MAX - 7,
            u64::MAX / 4 + 1,
        ])
    }
}
