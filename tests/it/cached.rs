//! The laws of the response cache: requests that mean the same share a cached response, others never do.

use std::collections::BTreeMap;

use futures::future::join_all;
use hotshelf::grpc::proto::{
    PriceRange, ProductFilter, RecommendRequest, RecommendResponse, SimilarProductsRequest,
    SimilarProductsResponse, SimilarityBasis, Strategy,
};
use tonic::Code;

use crate::harness::{BRANDS, CATEGORIES, MODEL, Season, Server, Shop, until};

/// What must not differ between a computed response and the cached one.
fn unmarked(answer: &RecommendResponse) -> RecommendResponse {
    RecommendResponse {
        cache_hit: false,
        ..answer.clone()
    }
}

fn texts(values: &[&str]) -> Vec<String> {
    values.iter().copied().map(String::from).collect()
}

fn asked() -> RecommendRequest {
    RecommendRequest {
        user_id: "u0042".to_owned(),
        recent_product_ids: texts(&["p0010", "p0020"]),
        filter: Some(ProductFilter {
            categories: texts(&[CATEGORIES[0], CATEGORIES[1]]),
            brands: texts(&[BRANDS[0], BRANDS[1], BRANDS[2]]),
            price: Some(PriceRange {
                min: Some(1.0),
                max: Some(1_000.0),
            }),
            exclude_product_ids: texts(&["p0001", "p0002"]),
        }),
        ..RecommendRequest::default()
    }
}

fn like(product_id: &str) -> SimilarProductsRequest {
    SimilarProductsRequest {
        product_id: product_id.to_owned(),
        ..SimilarProductsRequest::default()
    }
}

async fn serving(settings: &[(&str, &str)]) -> (Shop, Server) {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    shop.publish(Season::Autumn).await;
    let server = Server::serving(&shop, version, settings).await;
    (shop, server)
}

#[tokio::test]
async fn repeated_request_gets_the_cached_response_marked_as_such() {
    let (_shop, server) = serving(&[]).await;
    let computed = server.ask(asked()).await.unwrap();
    let cached = server.ask(asked()).await.unwrap();
    assert!(!computed.cache_hit && cached.cache_hit);
    // The time of the computation too.
    assert_eq!(unmarked(&cached), computed);
    let computed = server.similar(like("p0001")).await.unwrap();
    let cached = server.similar(like("p0001")).await.unwrap();
    assert!(!computed.cache_hit && cached.cache_hit);
    let unmarked = SimilarProductsResponse {
        cache_hit: false,
        ..cached
    };
    assert_eq!(unmarked, computed);
    server.stop().await;
}

#[tokio::test]
async fn requests_that_mean_the_same_share_a_cached_response() {
    let (_shop, server) = serving(&[]).await;
    let computed = server.ask(asked()).await.unwrap();
    let jumbled = RecommendRequest {
        n: Some(10),
        strategy: Strategy::Hybrid.into(),
        alpha: Some(0.7),
        model: MODEL.to_owned(),
        session_id: "visit".to_owned(),
        request_id: "call".to_owned(),
        filter: asked().filter.map(|filter| ProductFilter {
            categories: texts(&[CATEGORIES[1], CATEGORIES[0], CATEGORIES[1]]),
            brands: texts(&[BRANDS[2], BRANDS[0], BRANDS[1]]),
            exclude_product_ids: texts(&["p0002", "p0001", "p0002"]),
            ..filter
        }),
        ..asked()
    };
    let cached = server.ask(jumbled).await.unwrap();
    assert!(cached.cache_hit, "{cached:?}");
    assert_eq!(unmarked(&cached), computed);
    let mut similar = like("p0001");
    server.similar(similar.clone()).await.unwrap();
    similar.user_id = "u0042".to_owned();
    similar.n = Some(10);
    similar.filter = Some(ProductFilter::default());
    assert!(server.similar(similar).await.unwrap().cache_hit);
    server.stop().await;
}

/// Changes the meaning of a request.
type Change = fn(&mut RecommendRequest);

fn filter(request: &mut RecommendRequest) -> &mut ProductFilter {
    request.filter.get_or_insert_default()
}

const CHANGES: [(&str, Change); 16] = [
    ("user_id", |r| r.user_id = "u0043".to_owned()),
    ("n", |r| r.n = Some(9)),
    ("strategy", |r| r.strategy = Strategy::Collaborative.into()),
    ("alpha", |r| r.alpha = Some(0.6)),
    ("recents", |r| r.recent_product_ids = texts(&["p0010"])),
    ("order of recents", |r| r.recent_product_ids.reverse()),
    ("a recent twice", |r| {
        r.recent_product_ids.push("p0020".to_owned());
    }),
    ("no filter", |r| r.filter = None),
    ("categories", |r| filter(r).categories.truncate(1)),
    ("brands", |r| filter(r).brands.truncate(1)),
    ("lowest price", |r| {
        filter(r).price.get_or_insert_default().min = None;
    }),
    ("highest price", |r| {
        filter(r).price.get_or_insert_default().max = Some(999.0);
    }),
    ("exclusions", |r| filter(r).exclude_product_ids.truncate(1)),
    ("categories as brands", |r| {
        let filter = filter(r);
        std::mem::swap(&mut filter.categories, &mut filter.brands);
    }),
    ("include_seen", |r| r.include_seen = Some(true)),
    ("include_names", |r| r.include_names = true),
];

#[tokio::test]
async fn different_request_never_gets_the_cached_response() {
    let (_shop, server) = serving(&[]).await;
    server.ask(asked()).await.unwrap();
    for (what, change) in CHANGES {
        let mut other = asked();
        change(&mut other);
        let first = server.ask(other.clone()).await.unwrap();
        assert!(!first.cache_hit, "{what}");
        assert!(server.ask(other).await.unwrap().cache_hit, "{what}");
    }
    server.similar(like("p0001")).await.unwrap();
    let others = [
        like("p0002"),
        SimilarProductsRequest {
            n: Some(11),
            ..like("p0001")
        },
        SimilarProductsRequest {
            n: Some(12),
            basis: SimilarityBasis::Collaborative.into(),
            ..like("p0001")
        },
        SimilarProductsRequest {
            filter: asked().filter,
            ..like("p0001")
        },
    ];
    for other in others {
        let answer = server.similar(other).await.unwrap();
        assert!(!answer.cache_hit, "{answer:?}");
    }
    server.stop().await;
}

#[tokio::test]
async fn swap_never_serves_a_cached_response_of_the_old_version() {
    let (_shop, server) = serving(&[]).await;
    let mut versions = Vec::new();
    for (rollout, version) in [(1, 1), (2, 2), (3, 1), (4, 2)] {
        if rollout > 1 {
            server.reload(version).await.unwrap();
        }
        for is_cached in [false, true] {
            let answer = server.ask(asked()).await.unwrap();
            assert_eq!(
                (answer.version, answer.rollout, answer.cache_hit),
                (version, rollout, is_cached)
            );
            let similar = server.similar(like("p0001")).await.unwrap();
            assert_eq!(
                (similar.version, similar.rollout, similar.cache_hit),
                (version, rollout, is_cached)
            );
            versions.push(answer.items);
        }
    }
    assert_ne!(versions[0], versions[2], "versions answer differently");
    assert_eq!(versions[0], versions[4]);
    server.stop().await;
}

#[tokio::test]
async fn arms_of_one_rollout_do_not_share_cached_responses() {
    let (shop, server) = serving(&[]).await;
    shop.split([(1, 5_000), (2, 5_000)], "salt").await;
    until("both arms", async || {
        (server.live().await.arms.len() == 2).then_some(())
    })
    .await;
    // The same anonymous request: only the arm differs.
    let mut cached = BTreeMap::new();
    for visit in Shop::users().into_iter().take(30) {
        let version = if Shop::bucket("salt", &visit) < 5_000 {
            1
        } else {
            2
        };
        let answer = server
            .ask(RecommendRequest {
                session_id: visit,
                ..RecommendRequest::default()
            })
            .await
            .unwrap();
        assert_eq!(answer.version, version);
        *cached.entry(version).or_insert(0) += usize::from(answer.cache_hit);
    }
    assert_eq!(cached.values().sum::<usize>(), 28, "each arm computed once");
    server.stop().await;
}

#[tokio::test]
async fn limit_of_zero_bytes_disables_the_cache() {
    let (_shop, server) = serving(&[("cache-bytes-max", "0")]).await;
    for _ in 0..3 {
        assert!(!server.ask(asked()).await.unwrap().cache_hit);
        assert!(!server.similar(like("p0001")).await.unwrap().cache_hit);
    }
    let scrape = server.scrape().await;
    for family in ["hits_total", "misses_total", "evictions_total", "bytes"] {
        let family = format!("hotshelf_cache_{family}");
        assert_eq!(scrape.sum(&family, &[]), 0.0, "{family}");
        assert!(scrape.types.contains_key(&family), "{family}");
    }
    server.stop().await;
}

#[tokio::test]
async fn cached_response_expires_and_is_computed_again() {
    let (_shop, server) = serving(&[("cache-ttl-ms", "300")]).await;
    let time = |answer: &RecommendResponse| answer.generated_at.unwrap();
    let mut newest = server.ask(asked()).await.unwrap();
    let (mut is_hit, mut computed) = (false, 1);
    until("a cached response, and then a new one", async || {
        let answer = server.ask(asked()).await.unwrap();
        if answer.cache_hit {
            assert_eq!(time(&answer), time(&newest));
            is_hit = true;
            return None;
        }
        let (now, before) = (time(&answer), time(&newest));
        assert!((now.seconds, now.nanos) > (before.seconds, before.nanos));
        newest = answer;
        computed += 1;
        is_hit.then_some(())
    })
    .await;
    let scrape = server.scrape().await;
    let recommend = [("call", "recommend")];
    let misses = scrape.value("hotshelf_cache_misses_total", &recommend);
    assert_eq!(
        misses,
        Some(f64::from(computed)),
        "an expired response is a miss"
    );
    server.stop().await;
}

#[tokio::test]
async fn neither_errors_nor_debug_responses_are_cached() {
    let (_shop, server) = serving(&[]).await;
    for _ in 0..2 {
        let refused = server.similar(like("none")).await.unwrap_err();
        assert_eq!(refused.code(), Code::NotFound);
    }
    server.ask(asked()).await.unwrap();
    let debug = RecommendRequest {
        debug: true,
        ..asked()
    };
    for _ in 0..2 {
        let answer = server.ask(debug.clone()).await.unwrap();
        assert!(!answer.cache_hit && answer.debug.is_some());
    }
    let cached = server.ask(asked()).await.unwrap();
    assert!(cached.cache_hit && cached.debug.is_none());
    let scrape = server.scrape().await;
    let value = |family: &str, call: &str| scrape.value(family, &[("call", call)]);
    assert_eq!(
        (
            value("hotshelf_cache_hits_total", "recommend"),
            value("hotshelf_cache_misses_total", "recommend"),
            value("hotshelf_cache_misses_total", "similar"),
        ),
        (Some(1.0), Some(1.0), Some(2.0))
    );
    let refused = scrape.sum("hotshelf_version_errors_total", &[("code", "NOT_FOUND")]);
    assert_eq!(refused, 2.0);
    server.stop().await;
}

#[tokio::test]
async fn concurrent_callers_get_their_own_answers() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    // Room for a few dozen responses, so that evictions never stop.
    let bytes_max = 30_000;
    let setting = bytes_max.to_string();
    let server = Server::serving(&shop, spring.version, &[("cache-bytes-max", &setting)]).await;
    let users = Shop::users();
    let caller = async |turn: usize| {
        let mut client = server.recommender().await;
        for step in 0..120 {
            // Each one twice in a row.
            let user_id = users[(turn * 31 + step / 2 * 7) % users.len()].clone();
            let request = RecommendRequest {
                user_id: user_id.clone(),
                ..RecommendRequest::default()
            };
            let answer = client.recommend(request).await.unwrap().into_inner();
            assert_eq!(answer.user_id, user_id);
            let items = answer.items.into_iter();
            let given: Vec<_> = items
                .map(|item| (item.product_id, item.score as f32))
                .collect();
            assert_eq!(given, spring.top(&user_id));
        }
    };
    join_all((0..16).map(caller)).await;
    let scrape = server.scrape().await;
    let count = |family: &str| scrape.sum(family, &[("call", "recommend")]);
    let (hits, misses) = (
        count("hotshelf_cache_hits_total"),
        count("hotshelf_cache_misses_total"),
    );
    assert_eq!(hits + misses, 16.0 * 120.0);
    assert!(
        hits > 0.0 && misses >= users.len() as f64,
        "{hits} {misses}"
    );
    assert!(count("hotshelf_cache_evictions_total") > 0.0);
    let bytes = scrape.value("hotshelf_cache_bytes", &[]).unwrap();
    assert!(bytes > 0.0 && bytes <= f64::from(bytes_max), "{bytes}");
    server.stop().await;
}
