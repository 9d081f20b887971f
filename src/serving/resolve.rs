//! Resolve, the part that all RPCs share: which snapshot and arm answer, and whether the response cache
//! has the answer already.

use super::DataPath;
use super::arm::ServingArm;
use super::cache::CachedResponse;
use super::key::{Answering, CanonicalCall, Key, key_of};
use std::sync::Arc;
use std::time::Instant;

/// A request of which everything that decides the answer is known.
pub(super) struct Resolved<C> {
    /// Canonical, with the version's defaults filled in.
    pub(super) call: C,
    /// What answers.
    pub(super) arm: ServingArm,
    /// When the request came.
    pub(super) began: Instant,
    /// Where the answer is found and stored; `None`: it is neither.
    pub(super) key: Option<Key>,
    /// The answer, where the response cache has it.
    pub(super) cached: Option<Arc<CachedResponse>>,
}

impl DataPath {
    /// The last step of resolve: writes the key and asks the response cache. `is_cacheable` is false
    /// for answers that say how they were computed.
    pub(super) fn look_up<C: CanonicalCall>(
        &self,
        (call, arm): (C, ServingArm),
        encoding: u8,
        is_cacheable: bool,
        began: Instant,
    ) -> Resolved<C> {
        let cache = self.cache.as_ref().filter(|_| is_cacheable);
        let answering = Answering {
            encoding,
            model: arm.model_name(),
            rollout: arm.rollout(),
            arm: arm.name(),
            version: arm.version(),
            manifest_sha256: arm.manifest_digest(),
        };
        let key = cache.map(|_| key_of(answering, &call));
        let found = cache.zip(key.as_ref());
        let cached = found.and_then(|(cache, key)| cache.find(C::KIND, key, began));
        Resolved {
            call,
            arm,
            began,
            key,
            cached,
        }
    }
}
