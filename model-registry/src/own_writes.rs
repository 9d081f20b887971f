//! When this process last wrote objects of its own: with the store's time of such a write it knows what
//! time the store has.

use object_store::path::Path;
use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use tokio::time::Instant;

/// The moments by path; one entry for each replica file of this process.
#[derive(Debug, Default)]
pub(crate) struct OwnWrites(Mutex<BTreeMap<Path, Instant>>);

impl OwnWrites {
    fn lock(&self) -> MutexGuard<'_, BTreeMap<Path, Instant>> {
        // One insertion or removal each, so that a poisoned lock is as good.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn remember(&self, path: Path, at: Instant) {
        self.lock().insert(path, at);
    }

    pub(crate) fn forget(&self, path: &Path) {
        self.lock().remove(path);
    }

    pub(crate) fn written(&self, path: &Path) -> Option<Instant> {
        self.lock().get(path).copied()
    }
}
