//! Which event ids have been accepted lately.

use crate::Error;
use crate::folder::write_durably;
use sha2::{Digest, Sha256};
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasherDefault, Hasher};
use std::path::Path;

/// First eight bytes of an id's SHA-256. Two ids of the newest ten million agree in it with a chance of
/// 3 in a million.
pub(crate) fn hash(event_id: &str) -> u64 {
    let digest = Sha256::digest(event_id.as_bytes());
    digest[..8]
        .iter()
        .fold(0, |hash, byte| hash << 8 | u64::from(*byte))
}

/// The newest ids.
#[derive(Debug)]
pub(crate) struct RecentIds {
    max: usize,
    known: HashSet<u64, BuildHasherDefault<Already>>,
    /// Oldest first.
    order: VecDeque<u64>,
}

impl RecentIds {
    pub(crate) fn new(max: usize) -> Self {
        Self {
            max,
            known: HashSet::default(),
            order: VecDeque::new(),
        }
    }

    /// Returns whether it is new.
    pub(crate) fn insert(&mut self, id: u64) -> bool {
        if !self.known.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > self.max
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }

    /// Forgets the newest ids: their events were not written.
    pub(crate) fn take_back(&mut self, ids: &[u64]) {
        for id in ids.iter().rev() {
            self.known.remove(id);
            if self.order.back() == Some(id) {
                self.order.pop_back();
            }
        }
    }

    #[cfg(test)]
    fn len(&self) -> usize {
        self.order.len()
    }
}

/// The ids are hashes already.
#[derive(Debug, Default)]
struct Already(u64);

impl Hasher for Already {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes
            .iter()
            .for_each(|byte| self.0 = self.0 << 8 | u64::from(*byte));
    }

    fn write_u64(&mut self, hash: u64) {
        self.0 = hash;
    }
}

/// Writes the ids of one segment, before the segment goes. BLOCKS.
pub(crate) fn save(path: &Path, ids: &[u64]) -> Result<(), Error> {
    let bytes: Vec<u8> = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    write_durably(path, &bytes)
}

/// Reads them back. BLOCKS.
pub(crate) fn load(path: &Path) -> Result<Vec<u64>, Error> {
    let bytes = std::fs::read(path).map_err(Error::disk("reading", path))?;
    let ids = bytes.as_chunks::<8>().0.iter();
    Ok(ids.map(|chunk| u64::from_le_bytes(*chunk)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_counts_once_among_the_newest() {
        let mut ids = RecentIds::new(2);
        assert!(ids.insert(1) && ids.insert(2));
        assert!(!ids.insert(1), "known");
        assert!(ids.insert(3), "and 1 is forgotten");
        assert!(ids.insert(1));
        assert_eq!(ids.len(), 2);
    }

    #[test]
    fn ids_of_a_failed_write_are_new_again() {
        let mut ids = RecentIds::new(10);
        assert!(ids.insert(1) && ids.insert(2) && ids.insert(3));
        ids.take_back(&[2, 3]);
        assert_eq!(ids.len(), 1);
        assert!(ids.insert(2) && ids.insert(3) && !ids.insert(1));
    }

    #[test]
    fn hash_is_the_start_of_the_digest() {
        // sha256("abc") = ba7816bf 8f01cfea …, FIPS 180-2.
        assert_eq!(hash("abc"), 0xba78_16bf_8f01_cfea);
    }
}
