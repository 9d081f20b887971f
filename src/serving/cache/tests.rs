use super::*;
use crate::grpc::proto::RecommendResponse;
use hotshelf_model::{Basis, Fallbacks};
use prost::Message;

const TTL: Duration = Duration::from_secs(300);

fn cache(bytes_max: u64) -> AnswerCache {
    let limits = CacheLimits {
        bytes_max,
        ttl: TTL,
        seed: 7,
    };
    AnswerCache::new(limits, Arc::new(Metrics::new().unwrap())).unwrap()
}

fn answer(user_id: &str) -> Encoded {
    let answer = RecommendResponse {
        user_id: user_id.to_owned(),
        version: 3,
        ..RecommendResponse::default()
    };
    let cached = RecommendResponse {
        cache_hit: true,
        ..RecommendResponse::default()
    };
    let seen = Seen::Similar {
        is_empty: false,
        basis: Basis::Content,
        fallbacks: Fallbacks::default(),
    };
    Encoded::new(&answer, &cached, seen)
}

fn find(cache: &AnswerCache, key: &[u8], now: Instant) -> Option<RecommendResponse> {
    let kept = cache.find(CallKind::Similar, key, now)?;
    Some(RecommendResponse::decode(kept.answer.cached()).unwrap())
}

#[test]
fn one_encoding_is_the_fresh_answer_and_the_cached_one() {
    let encoded = answer("ann");
    let fresh = RecommendResponse::decode(encoded.fresh()).unwrap();
    let cached = RecommendResponse::decode(encoded.cached()).unwrap();
    assert!(!fresh.cache_hit && cached.cache_hit);
    let unmarked = RecommendResponse {
        cache_hit: false,
        ..cached
    };
    assert_eq!(unmarked, fresh);
    assert_eq!((fresh.user_id.as_str(), fresh.version), ("ann", 3));
}

#[test]
fn an_entry_expires_a_tenth_around_its_time_and_not_with_the_others() {
    let (cache, now) = (cache(1 << 20), Instant::now());
    let keys: Vec<[u8; 2]> = (0..500_u16).map(u16::to_le_bytes).collect();
    for key in &keys {
        cache.keep(key, answer("ann"), now);
    }
    let alive = |at: Duration| {
        let is_alive = |key: &&[u8; 2]| find(&cache, *key, now + at).is_some();
        keys.iter().filter(is_alive).count()
    };
    assert_eq!(alive(TTL.mul_f64(0.899)), 500);
    assert_eq!(alive(TTL.mul_f64(1.101)), 0);
    let half = alive(TTL);
    assert!((150..350).contains(&half), "{half} of 500");
    cache.keep(&keys[0], answer("ben"), now + 2 * TTL);
    let anew = find(&cache, &keys[0], now + 2 * TTL).unwrap();
    assert_eq!(
        anew.user_id, "ben",
        "a new answer takes an expired one's place"
    );
}

#[test]
fn bytes_stay_within_their_limit_and_what_leaves_is_counted() {
    for bytes_max in [1_000, 20_000, 1 << 20] {
        let (cache, now) = (cache(bytes_max), Instant::now());
        for key in 0..5_000_u32 {
            cache.keep(&key.to_le_bytes(), answer("ann"), now);
            assert!(
                cache.bytes() <= bytes_max,
                "{} of {bytes_max}",
                cache.bytes()
            );
        }
        let each = 4 + answer("ann").cached().len() + ENTRY_BYTES;
        assert_eq!(cache.bytes() % each as u64, 0);
        let left = 5_000 - cache.bytes() / each as u64;
        let scraped = cache.metrics.render().unwrap();
        let line = format!("hotshelf_cache_evictions_total{{call=\"similar\"}} {left}");
        assert!(left > 0 && scraped.contains(&line), "{line} in {scraped}");
    }
}

#[test]
fn an_answer_that_is_too_large_is_not_kept() {
    let (cache, now) = (cache(600), Instant::now());
    cache.keep(b"key", answer(&"x".repeat(1_000)), now);
    assert!(find(&cache, b"key", now).is_none());
    assert_eq!(cache.bytes(), 0);
}

#[test]
fn no_bytes_no_cache() {
    let limits = CacheLimits {
        bytes_max: 0,
        ttl: TTL,
        seed: 7,
    };
    assert!(AnswerCache::new(limits, Arc::new(Metrics::new().unwrap())).is_none());
}
