//! Random choices that are the same on every machine and in every release.

use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

/// Random numbers of one stream of a seed: streams share no numbers, so that no thread waits for another.
pub(crate) fn stream(seed: u64, number: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(number);
    rng
}

/// A draw from 0 to n - 1, with a bias of at most n / 2^64.
pub(crate) fn below(n: usize, rng: &mut ChaCha8Rng) -> usize {
    ((u128::from(rng.next_u64()) * n as u128) >> 64) as usize
}

/// Draws what stands from `first` on from the whole list, without replacement.
pub(crate) fn shuffle_tail<T>(list: &mut [T], first: usize, rng: &mut ChaCha8Rng) {
    for at in (first.max(1)..list.len()).rev() {
        list.swap(at, below(at + 1, rng));
    }
}

/// What sorts ids in an order that depends on the seed alone, whatever else is in the list.
pub(crate) fn seeded_hash(seed: u64, id: &str) -> [u8; 32] {
    let hash = Sha256::new()
        .chain_update(seed.to_be_bytes())
        .chain_update(id);
    hash.finalize().into()
}
