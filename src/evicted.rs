//! What a cache gives up when something is inserted.

use quick_cache::Lifecycle;

/// Hands everything that an insertion evicted or replaced to `insert_with_lifecycle`'s caller, who frees it after
/// the shard's lock.
#[derive(Clone)]
pub(crate) struct Evicted;

impl<K, V> Lifecycle<K, V> for Evicted {
    type RequestState = Vec<(K, V)>;

    fn on_evict(&self, evicted: &mut Self::RequestState, key: K, value: V) {
        evicted.push((key, value));
    }
}
