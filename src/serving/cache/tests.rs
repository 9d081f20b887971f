use super::*;
use hotshelf_model::{Basis, Fallbacks};

const TTL: Duration = Duration::from_secs(300);
const MESSAGE: &[u8] = b"an encoded answer";

fn cache(bytes_max: u64) -> ResponseCache {
    let limits = CacheLimits {
        bytes_max,
        ttl: TTL,
        seed: 7,
    };
    ResponseCache::new(limits, Arc::new(Metrics::new().unwrap())).unwrap()
}

fn insert(cache: &ResponseCache, key: &[u8], message: &'static [u8], now: Instant) {
    let summary = AnswerSummary::Similar {
        is_empty: false,
        basis: Basis::Content,
        fallbacks: Fallbacks::default(),
    };
    cache.insert(key, (Bytes::from_static(message), summary), now);
}

fn find(cache: &ResponseCache, key: &[u8], now: Instant) -> Option<Bytes> {
    let cached = cache.find(CallKind::Similar, key, now)?;
    Some(cached.message.clone())
}

#[test]
fn entries_expire_within_a_tenth_of_the_ttl_and_not_together() {
    let (cache, now) = (cache(1 << 20), Instant::now());
    let keys: Vec<[u8; 2]> = (0..500_u16).map(u16::to_le_bytes).collect();
    for key in &keys {
        insert(&cache, key, MESSAGE, now);
    }
    let alive = |at: Duration| {
        let is_alive = |key: &&[u8; 2]| find(&cache, *key, now + at).is_some();
        keys.iter().filter(is_alive).count()
    };
    assert_eq!(alive(TTL.mul_f64(0.899)), 500);
    assert_eq!(alive(TTL.mul_f64(1.101)), 0);
    let half = alive(TTL);
    assert!((150..350).contains(&half), "{half} of 500");
}

#[test]
fn new_response_replaces_an_expired_one() {
    let (cache, now) = (cache(1 << 20), Instant::now());
    insert(&cache, b"key", MESSAGE, now);
    let later = now + 2 * TTL;
    assert_eq!(find(&cache, b"key", later), None);
    insert(&cache, b"key", b"newer", later);
    assert_eq!(find(&cache, b"key", later).as_deref(), Some(&b"newer"[..]));
}

#[test]
fn bytes_stay_within_their_limit_and_evictions_are_counted() {
    for bytes_max in [1_000, 20_000, 1 << 20] {
        let (cache, now) = (cache(bytes_max), Instant::now());
        for key in 0..5_000_u32 {
            insert(&cache, &key.to_le_bytes(), MESSAGE, now);
            assert!(
                cache.bytes() <= bytes_max,
                "{} of {bytes_max}",
                cache.bytes()
            );
        }
        let each = 4 + MESSAGE.len() + ENTRY_BYTES;
        assert_eq!(cache.bytes() % each as u64, 0);
        let left = 5_000 - cache.bytes() / each as u64;
        let scraped = cache.metrics.render().unwrap();
        let line = format!("hotshelf_cache_evictions_total{{call=\"similar\"}} {left}");
        assert!(left > 0 && scraped.contains(&line), "{line} in {scraped}");
    }
}

#[test]
fn response_larger_than_the_cache_is_not_cached() {
    let (cache, now) = (cache(600), Instant::now());
    insert(&cache, b"key", &[b'x'; 1_000], now);
    assert_eq!(find(&cache, b"key", now), None);
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn limit_of_zero_bytes_disables_the_cache() {
    let limits = CacheLimits {
        bytes_max: 0,
        ttl: TTL,
        seed: 7,
    };
    assert!(ResponseCache::new(limits, Arc::new(Metrics::new().unwrap())).is_none());
}
