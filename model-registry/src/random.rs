//! Randomness for upload ids, nonces, salts and jitter: from the system unless a seed is given.

use crate::{Error, Nonce, UploadId};
use rand::RngExt;
use rand_chacha::ChaCha20Rng;
use rand_core::SeedableRng;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

/// A generator behind a lock that is held for one draw. Seeded at the first draw, so that opening a
/// registry reads nothing from the system.
#[derive(Debug)]
pub(crate) struct Random {
    generator: Mutex<Option<ChaCha20Rng>>,
}

impl Random {
    /// From this seed, or from the system's randomness.
    pub(crate) fn new(seed: Option<[u8; 32]>) -> Self {
        Self {
            generator: Mutex::new(seed.map(ChaCha20Rng::from_seed)),
        }
    }

    fn draw(&self) -> Result<[u8; 16], Error> {
        self.with(|random| random.random())
    }

    fn with<T>(&self, draw: impl FnOnce(&mut ChaCha20Rng) -> T) -> Result<T, Error> {
        // A panic cannot leave the generator half drawn, so that a poisoned lock is as good.
        let mut generator = self
            .generator
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let random = match &mut *generator {
            Some(random) => random,
            none => none.insert(ChaCha20Rng::from_seed(system_seed()?)),
        };
        Ok(draw(random))
    }

    pub(crate) fn upload_id(&self) -> Result<UploadId, Error> {
        self.draw().map(UploadId::from_bytes)
    }

    pub(crate) fn nonce(&self) -> Result<Nonce, Error> {
        self.draw().map(Nonce::from_bytes)
    }

    /// 32 hexadecimal digits.
    pub(crate) fn salt(&self) -> Result<String, Error> {
        Ok(self.nonce()?.to_string())
    }

    /// Between half of `mean` and one and a half.
    pub(crate) fn around(&self, mean: Duration) -> Duration {
        // Without randomness only the jitter is lost.
        let factor = self.with(|random| random.random_range(0.5..1.5));
        mean.mul_f64(factor.unwrap_or(1.0))
    }
}

fn system_seed() -> Result<[u8; 32], Error> {
    let mut seed = [0; 32];
    getrandom::fill(&mut seed).map_err(|source| Error::Unavailable {
        what: "drawing from the system's randomness".to_owned(),
        source: Box::new(source),
    })?;
    Ok(seed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_half_of_the_wait_either_way() {
        let random = Random::new(Some([7; 32]));
        let mean = Duration::from_millis(100);
        let waits: Vec<Duration> = (0..200).map(|_| random.around(mean)).collect();
        assert!(
            waits
                .iter()
                .all(|wait| (mean / 2..mean * 3 / 2).contains(wait))
        );
        let distinct: std::collections::BTreeSet<_> = waits.iter().collect();
        assert!(distinct.len() > 100, "{} distinct waits", distinct.len());
        let average = waits.iter().sum::<Duration>() / 200;
        assert!(
            (mean * 9 / 10..mean * 11 / 10).contains(&average),
            "{average:?}"
        );
    }
}
