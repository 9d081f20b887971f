//! The series that a scraper reads.

use hotshelf::grpc::proto::{RecommendRequest, SimilarProductsRequest, Strategy};

use crate::harness::{MODEL, Scrape, Season, Server, Shop, until};

/// Series by version, which end when the version retires.
const BY_VERSION: [&str; 7] = [
    "hotshelf_version_computed_seconds_count",
    "hotshelf_version_empty_answers_total",
    "hotshelf_version_requests_total",
    "hotshelf_version_latency_seconds_count",
    "hotshelf_version_fallbacks_total",
    "hotshelf_version_errors_total",
    "hotshelf_recent_products_unknown_total",
];

/// Families with their kind and labels, which operators chart.
const PROMISED: [(&str, &str, &[&str]); 22] = [
    (
        "hotshelf_version_computed_seconds",
        "histogram",
        &["model", "version"],
    ),
    (
        "hotshelf_version_empty_answers_total",
        "counter",
        &["model", "version"],
    ),
    ("hotshelf_similar_answers_total", "counter", &["basis"]),
    ("hotshelf_similar_latency_seconds", "histogram", &["basis"]),
    (
        "hotshelf_recent_products_unknown_total",
        "counter",
        &["model", "version"],
    ),
    ("hotshelf_cache_hits_total", "counter", &["call"]),
    ("hotshelf_cache_misses_total", "counter", &["call"]),
    ("hotshelf_cache_evictions_total", "counter", &["call"]),
    ("hotshelf_cache_bytes", "gauge", &[]),
    (
        "recommendations_total",
        "counter",
        &["model_type", "user_segment"],
    ),
    (
        "recommendation_latency_seconds",
        "histogram",
        &["model_type"],
    ),
    (
        "hotshelf_version_requests_total",
        "counter",
        &["model", "version"],
    ),
    (
        "hotshelf_version_errors_total",
        "counter",
        &["code", "model", "version"],
    ),
    (
        "hotshelf_version_latency_seconds",
        "histogram",
        &["model", "version"],
    ),
    (
        "hotshelf_version_fallbacks_total",
        "counter",
        &["model", "reason", "version"],
    ),
    (
        "hotshelf_loads_total",
        "counter",
        &["model", "outcome", "reason"],
    ),
    (
        "hotshelf_load_phase_seconds",
        "histogram",
        &["model", "phase"],
    ),
    ("hotshelf_events_duplicate_total", "counter", &[]),
    ("hotshelf_events_held_bytes", "gauge", &[]),
    ("hotshelf_resident_versions", "gauge", &["model"]),
    ("hotshelf_resident_bytes", "gauge", &["model"]),
    (
        "hotshelf_build_info",
        "gauge",
        &["format", "scoring_revision", "version"],
    ),
];

async fn some_calls(server: &Server) {
    for user in ["u0000", "u0042", "u0042", "nobody"] {
        server.recommend(user).await.unwrap();
    }
    let strategy = Strategy::Content.into();
    server
        .ask(RecommendRequest {
            strategy,
            ..RecommendRequest::default()
        })
        .await
        .unwrap_err();
}

#[tokio::test]
async fn series_have_their_documented_names_and_labels() {
    let shop = Shop::new();
    let version = shop.publish_without_content(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    some_calls(&server).await;
    let scrape = server.scrape().await;
    for (family, kind, labels) in PROMISED {
        assert_eq!(
            scrape.types.get(family).map(String::as_str),
            Some(kind),
            "{family}"
        );
        let series = if kind == "histogram" {
            format!("{family}_count")
        } else {
            family.to_owned()
        };
        assert_eq!(scrape.labels(&series), labels, "{family}");
    }
    server.stop().await;
}

#[tokio::test]
async fn answers_errors_fallbacks_and_loads_are_counted() {
    let shop = Shop::new();
    let version = shop.publish_without_content(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    some_calls(&server).await;
    let scrape = server.scrape().await;
    let one = [("model", MODEL), ("version", "1")];
    assert_eq!(
        scrape.value("hotshelf_version_requests_total", &one),
        Some(4.0)
    );
    assert_eq!(
        scrape.value("hotshelf_version_latency_seconds_count", &one),
        Some(4.0)
    );
    let fallback = |reason| scrape.value("hotshelf_version_fallbacks_total", &[("reason", reason)]);
    assert_eq!(
        (fallback("no_content_parts"), fallback("unknown_user")),
        (Some(4.0), Some(1.0))
    );
    let refused = scrape.value(
        "hotshelf_version_errors_total",
        &[("code", "FAILED_PRECONDITION")],
    );
    assert_eq!(refused, Some(1.0));
    assert_eq!(
        scrape.sum("recommendations_total", &[("model_type", "collaborative")]),
        3.0
    );
    let unknown = [("model_type", "popular"), ("user_segment", "unknown")];
    assert_eq!(scrape.value("recommendations_total", &unknown), Some(1.0));
    let loaded = [("outcome", "ok"), ("reason", "")];
    assert_eq!(scrape.value("hotshelf_loads_total", &loaded), Some(1.0));
    for phase in ["fetch", "verify", "unpack", "probe", "warm_up"] {
        let count = scrape.value("hotshelf_load_phase_seconds_count", &[("phase", phase)]);
        assert_eq!(count, Some(1.0), "{phase}");
    }
    assert_buckets_add_up(&scrape);
    server.stop().await;
}

/// Buckets begin at 10 µs, never fall, and end with the count.
fn assert_buckets_add_up(scrape: &Scrape) {
    let labels = [("model_type", "collaborative")];
    let mut buckets: Vec<(f64, f64)> = scrape
        .matching("recommendation_latency_seconds_bucket", &labels)
        .map(|(labels, count)| (labels["le"].parse().unwrap(), count))
        .collect();
    buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
    assert_eq!(buckets[0].0, 10e-6);
    assert!(buckets.is_sorted_by(|a, b| a.1 <= b.1), "{buckets:?}");
    let count = scrape.value("recommendation_latency_seconds_count", &labels);
    assert_eq!(
        buckets.last().map(|(end, count)| (*end, Some(*count))),
        Some((f64::INFINITY, count))
    );
}

#[tokio::test]
async fn cached_responses_are_counted_like_computed_ones() {
    let shop = Shop::new();
    let version = shop.publish_without_content(Season::Spring).await.version;
    let server = Server::serving(&shop, version, &[]).await;
    for _ in 0..3 {
        let recent_product_ids = ["p0001", "none", "p0002", "neither"].map(str::to_owned);
        let recommend = RecommendRequest {
            user_id: "u0042".to_owned(),
            recent_product_ids: recent_product_ids.into(),
            ..RecommendRequest::default()
        };
        server.ask(recommend).await.unwrap();
        let similar = SimilarProductsRequest {
            product_id: "p0001".to_owned(),
            ..SimilarProductsRequest::default()
        };
        server.similar(similar).await.unwrap();
    }
    let scrape = server.scrape().await;
    for call in ["recommend", "similar"] {
        let count = |family: &str| scrape.value(family, &[("call", call)]);
        assert_eq!(count("hotshelf_cache_hits_total"), Some(2.0), "{call}");
        assert_eq!(count("hotshelf_cache_misses_total"), Some(1.0), "{call}");
        assert_eq!(count("hotshelf_cache_evictions_total"), Some(0.0), "{call}");
    }
    assert!(scrape.value("hotshelf_cache_bytes", &[]).unwrap() > 0.0);
    let one = [("model", MODEL), ("version", "1")];
    let of_version = |family: &str| scrape.value(family, &one);
    assert_eq!(of_version("hotshelf_version_requests_total"), Some(6.0));
    assert_eq!(
        of_version("hotshelf_version_latency_seconds_count"),
        Some(6.0)
    );
    let recents_unknown = of_version("hotshelf_recent_products_unknown_total");
    assert_eq!(recents_unknown, Some(6.0));
    let no_content = [("reason", "no_content_parts")];
    let fallbacks = scrape.value("hotshelf_version_fallbacks_total", &no_content);
    assert_eq!(fallbacks, Some(6.0));
    assert_eq!(scrape.sum("recommendations_total", &[]), 3.0);
    let timed = scrape.sum("recommendation_latency_seconds_count", &[]);
    assert_eq!(timed, 3.0);
    let basis = |basis: &'static str| [("basis", basis)];
    let (by_factors, by_content) = (basis("collaborative"), basis("content"));
    let similar = |labels| scrape.value("hotshelf_similar_answers_total", labels);
    assert_eq!(
        (similar(&by_factors), similar(&by_content)),
        (Some(3.0), Some(0.0))
    );
    let timed = scrape.value("hotshelf_similar_latency_seconds_count", &by_factors);
    assert_eq!(timed, Some(3.0));
    server.stop().await;
}

#[tokio::test]
async fn retired_version_frees_its_memory_and_its_series_end() {
    let shop = Shop::new();
    let spring = shop.publish_without_content(Season::Spring).await.version;
    let autumn = shop.publish_without_content(Season::Autumn).await.version;
    let server = Server::serving(&shop, spring, &[]).await;
    let bytes = server
        .scrape()
        .await
        .value("hotshelf_resident_bytes", &[])
        .unwrap();
    assert!(bytes > 0.0);
    let turns = [(spring, autumn), (autumn, spring), (spring, autumn)];
    for (swaps, (old, new)) in (1..).zip(turns) {
        some_calls(&server).await;
        server.reload(new).await.unwrap();
        let (old, new) = (old.to_string(), new.to_string());
        until("one version in memory", async || {
            let resident = server
                .scrape()
                .await
                .value("hotshelf_resident_versions", &[]);
            (resident == Some(1.0)).then_some(())
        })
        .await;
        until("its line in the log", async || {
            (server.times_logged("retired") == swaps).then_some(())
        })
        .await;
        let scrape = server.scrape().await;
        for family in BY_VERSION {
            assert_eq!(
                scrape.matching(family, &[("version", &old)]).count(),
                0,
                "{family} of version {old}"
            );
        }
        let labels = [("version", new.as_str())];
        assert_eq!(
            scrape.value("hotshelf_version_requests_total", &labels),
            Some(0.0)
        );
        assert_eq!(
            scrape
                .value("hotshelf_live_version", &[])
                .unwrap()
                .to_string(),
            new
        );
    }
    // The bytes of one version, not of three.
    until("the bytes of one version", async || {
        let now = server
            .scrape()
            .await
            .value("hotshelf_resident_bytes", &[])
            .unwrap();
        (now < 1.5 * bytes).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn http_plane_serves_three_read_only_pages() {
    let shop = Shop::new();
    let server = Server::start(&shop, &[]).await;
    for (path, code) in [
        ("/livez", 200),
        ("/readyz", 503),
        ("/metrics", 200),
        ("/", 404),
        ("/metrics/../x", 404),
    ] {
        assert_eq!(
            crate::harness::http_get(server.http, path).await.0,
            code,
            "{path}"
        );
    }
    server.stop().await;
}
