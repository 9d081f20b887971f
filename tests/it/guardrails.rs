//! Guardrails abort candidates that do worse than their base, and no caller can make them abort others.
//!
//! The bad candidates are bad by what they are made of: without content, so that they fall back, and
//! with factors that take long to fold in.

use crate::harness::{MODEL, Season, Server, Shop, open_to_all, until};
use hotshelf::grpc::proto::{ProductFilter, RecommendRequest, SimilarProductsRequest, Strategy};
use hotshelf_registry::RolloutRecord;

/// Half of the ramp is over after ten minutes, far beyond what a test waits.
const STEPS: [(u16, u64); 3] = [(4_000, 600), (8_000, 600), (10_000, 0)];
/// The record that lets the candidate in, and the one that takes it out.
const RAMP: u64 = 2;
const ABORT: u64 = 3;
const FREQUENT: [(&str, &str); 1] = [("guardrail-interval-ms", "50")];
/// Fallbacks abort, and few more are tolerated.
const STRICT: [(&str, &str); 2] = [
    ("guardrail-fallbacks", "abort"),
    ("guardrail-fallbacks-tolerance-bp", "10"),
];
/// Far beyond what any of these candidates needs to be found.
const CALLS_MAX: usize = 30_000;

/// A server with version 1 for everybody and then version 2 as the candidate; looks are frequent.
async fn ramping(shop: &Shop, settings: &[(&str, &str)]) -> Server {
    let server = Server::serving(shop, 1, &[&FREQUENT, settings].concat()).await;
    shop.ramp([2, 1], &STEPS).await;
    until_rollout(&server, RAMP).await;
    server
}

async fn until_rollout(server: &Server, number: u64) {
    until(&format!("rollout {number}"), async || {
        let live = server.status().await.live;
        live.filter(|live| live.number == number).map(drop)
    })
    .await;
}

/// Calls for one new person after the other, until the record that takes the candidate out is there, or
/// for so many calls. Returns how many there were.
async fn call(
    (shop, server): (&Shop, &Server),
    calls: usize,
    request: impl Fn(usize) -> RecommendRequest,
) -> usize {
    let mut client = server.recommender().await;
    for number in 0..calls {
        // What the candidate refuses is the point of some of these calls.
        let _ = client.recommend(request(number)).await;
        if number % 50 == 0 && shop.rollouts().len() > RAMP as usize {
            return number;
        }
    }
    calls
}

fn of_person(number: usize) -> RecommendRequest {
    RecommendRequest {
        user_id: format!("person {number}"),
        ..RecommendRequest::default()
    }
}

/// One in fifty asks for what a version without content answers with a fallback.
fn hybrid_now_and_then(number: usize) -> RecommendRequest {
    let strategy = if number % 50 == 7 {
        Strategy::Hybrid
    } else {
        Strategy::Collaborative
    };
    RecommendRequest {
        strategy: strategy.into(),
        ..of_visitor(number)
    }
}

/// Has recent products, which both versions fold in and blend without a fallback if they have content.
fn of_visitor(number: usize) -> RecommendRequest {
    RecommendRequest {
        recent_product_ids: vec!["p0001".to_owned(), "p0005".to_owned()],
        ..of_person(number)
    }
}

fn of_tea(number: usize) -> RecommendRequest {
    RecommendRequest {
        filter: Some(ProductFilter {
            categories: vec!["tea".to_owned()],
            ..ProductFilter::default()
        }),
        ..of_person(number)
    }
}

/// The evidence that version 2 falls back more often, as a share of a breach.
async fn evidence(server: &Server) -> f64 {
    let labels = [("version", "2"), ("guardrail", "fallbacks")];
    let scrape = server.scrape().await;
    let near = scrape.value("hotshelf_guardrail_evidence_ratio", &labels);
    near.unwrap_or(0.0)
}

/// Waits for everybody to have version 1 again; returns the record.
async fn aborted(shop: &Shop, server: Server, guardrail: &str) -> RolloutRecord {
    server.until_live(1).await;
    let record = shop.rollout(ABORT);
    assert_eq!(record.all_to().map(|version| version.get()), Some(1));
    assert!(
        record.author.starts_with("hotshelf guardrail on "),
        "{record:?}"
    );
    let said = format!("guardrail {guardrail}: ");
    assert!(record.reason.starts_with(&said), "{}", record.reason);
    for figure in [" on candidate (", " on base (", "e-value 10^", "bound 10^"] {
        assert!(record.reason.contains(figure), "{}", record.reason);
    }
    let lines = server.lines();
    let reported = lines
        .iter()
        .filter(|line| line["message"] == "guardrail breached");
    let reported: Vec<_> = reported
        .filter(|line| line["why"] == *record.reason)
        .collect();
    assert_eq!(reported.len(), 1, "{reported:?}");
    let labels = [
        ("model", MODEL),
        ("guardrail", guardrail),
        ("action", "abort"),
    ];
    let scrape = server.scrape().await;
    assert_eq!(
        scrape.value("hotshelf_guardrail_breaches_total", &labels),
        Some(1.0)
    );
    until("the end of its series", async || {
        let scrape = server.scrape().await;
        let left = scrape
            .matching("hotshelf_guardrail_evidence_ratio", &[])
            .count();
        (left == 0 && server.status().await.guardrail_breaches.is_empty()).then_some(())
    })
    .await;
    server.stop().await;
    record
}

#[tokio::test]
async fn candidate_that_falls_back_on_two_in_a_hundred_requests_is_aborted() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    let server = ramping(&shop, &STRICT).await;
    let calls = call((&shop, &server), CALLS_MAX, hybrid_now_and_then).await;
    println!("found after {calls} calls");
    aborted(&shop, server, "fallbacks").await;
}

/// Sends many calls of many people and finds no evidence against the candidate, with guardrails that
/// would abort for the least of it.
async fn assert_no_evidence(
    shop: &Shop,
    settings: &[(&str, &str)],
    request: impl Fn(usize) -> RecommendRequest,
) {
    let eager = [
        ("guardrail-people-min", "1"),
        ("replicas-max", "1"),
        ("guardrail-slow", "off"),
    ];
    let server = ramping(shop, &[&STRICT[..], &eager, settings].concat()).await;
    let calls = call((shop, &server), 1_000, request).await;
    assert_eq!(calls, 1_000, "{:?}", shop.rollout(ABORT));
    let scrape = server.scrape().await;
    assert_eq!(scrape.sum("hotshelf_guardrail_evidence_ratio", &[]), 0.0);
    assert_eq!(server.live().await.number, RAMP);
    server.stop().await;
}

#[tokio::test]
async fn strategy_that_only_the_base_can_answer_is_no_evidence() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    assert_no_evidence(&shop, &[], |number| RecommendRequest {
        strategy: Strategy::Content.into(),
        ..of_visitor(number)
    })
    .await;
}

#[tokio::test]
async fn filter_that_matches_only_in_the_base_is_no_evidence() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_renamed(Season::Autumn, ["tea", "coffee"])
        .await;
    assert_no_evidence(&shop, &[], of_tea).await;
}

#[tokio::test]
async fn recent_product_that_only_the_base_knows_is_no_evidence() {
    let shop = Shop::new();
    shop.publish_with_product(Season::Spring, "only-base").await;
    shop.publish(Season::Autumn).await;
    assert_no_evidence(&shop, &[], |number| RecommendRequest {
        recent_product_ids: vec!["only-base".to_owned()],
        ..of_person(number)
    })
    .await;
}

#[tokio::test]
async fn people_whom_only_some_arms_know_are_no_evidence_where_known_people_count() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    // Real fallbacks of the candidate, for people whom somebody made up.
    assert_no_evidence(&shop, &[("guardrail-people", "known")], of_visitor).await;
}

#[tokio::test]
async fn product_that_only_the_base_knows_is_no_evidence() {
    let shop = Shop::new();
    shop.publish_with_product(Season::Spring, "only-base").await;
    shop.publish(Season::Autumn).await;
    let settings = [
        ("guardrail-people-min", "1"),
        ("replicas-max", "1"),
        ("guardrail-slow", "off"),
    ];
    let server = ramping(&shop, &settings).await;
    let mut client = server.recommender().await;
    let mut refused = 0;
    for number in 0..1_000 {
        let request = SimilarProductsRequest {
            product_id: "only-base".to_owned(),
            user_id: format!("person {number}"),
            ..SimilarProductsRequest::default()
        };
        refused += usize::from(client.similar_products(request).await.is_err());
    }
    assert!(
        (100..900).contains(&refused),
        "{refused} of 1,000 by the candidate"
    );
    let scrape = server.scrape().await;
    assert_eq!(scrape.sum("hotshelf_guardrail_evidence_ratio", &[]), 0.0);
    assert_eq!(server.live().await.number, RAMP);
    server.stop().await;
}

#[tokio::test]
async fn candidate_that_is_slow_is_aborted() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_sized(Season::Autumn, 384).await;
    let server = ramping(&shop, &[("guardrail-slow-ms", "2")]).await;
    let recent: Vec<String> = (0..100).map(|product| format!("p{product:04}")).collect();
    let request = |number| RecommendRequest {
        recent_product_ids: recent.clone(),
        ..of_person(number)
    };
    let calls = call((&shop, &server), CALLS_MAX, request).await;
    println!("found after {calls} calls");
    aborted(&shop, server, "slow").await;
}

#[tokio::test]
async fn candidate_that_is_as_good_is_not_aborted() {
    let shop = Shop::new();
    for _ in 0..2 {
        shop.publish(Season::Spring).await;
    }
    let server = ramping(&shop, &[]).await;
    let calls = call((&shop, &server), 3_000, of_person).await;
    assert_eq!(calls, 3_000, "{:?}", shop.rollout(ABORT));
    let status = server.status().await;
    assert_eq!(status.live.unwrap().number, RAMP);
    assert_eq!(status.guardrail_breaches, Vec::<String>::new());
    server.stop().await;
}

#[tokio::test]
async fn guardrail_set_to_warn_reports_and_leaves_the_candidate() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    let server = ramping(&shop, &[("guardrail-people-min", "40")]).await;
    assert_eq!(call((&shop, &server), 2_000, of_visitor).await, 2_000);
    let breaches = until("a breach in the status", async || {
        let breaches = server.status().await.guardrail_breaches;
        (!breaches.is_empty()).then_some(breaches)
    })
    .await;
    assert_eq!(breaches.len(), 1, "{breaches:?}");
    assert!(
        breaches[0].starts_with("guardrail fallbacks: "),
        "{breaches:?}"
    );
    let labels = [
        ("model", MODEL),
        ("guardrail", "fallbacks"),
        ("action", "warn"),
    ];
    let scrape = server.scrape().await;
    assert_eq!(
        scrape.value("hotshelf_guardrail_breaches_total", &labels),
        Some(1.0)
    );
    let labels = [("version", "2"), ("guardrail", "fallbacks")];
    let near = scrape.value("hotshelf_guardrail_evidence_ratio", &labels);
    assert_eq!(near, Some(1.0));
    assert_eq!(server.live().await.number, RAMP);
    server.stop().await;
}

#[tokio::test]
async fn calls_that_pin_the_version_are_no_evidence() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    let server = ramping(&shop, &[("guardrail-people-min", "1")]).await;
    let mut client = server.recommender().await;
    for number in 0..1_000 {
        let mut request = tonic::Request::new(RecommendRequest {
            strategy: Strategy::Content.into(),
            ..of_person(number)
        });
        let pin = if number % 2 == 0 { "1" } else { "2" };
        request
            .metadata_mut()
            .insert("x-hotshelf-version", pin.parse().unwrap());
        assert_eq!(client.recommend(request).await.is_ok(), pin == "1");
    }
    // As much unpinned would have sufficed many times over.
    let scrape = server.scrape().await;
    assert_eq!(scrape.sum("hotshelf_guardrail_evidence_ratio", &[]), 0.0);
    assert_eq!(server.live().await.number, RAMP);
    server.stop().await;
}

#[tokio::test]
async fn evidence_is_carried_over_between_the_records_of_one_ramp() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    let server = ramping(&shop, &STRICT).await;
    call((&shop, &server), 700, hybrid_now_and_then).await;
    until("some evidence", async || {
        (evidence(&server).await > 0.1).then_some(())
    })
    .await;
    // The same people, versions and shares: what a pause of the ramp comes to, for one.
    shop.ramp([2, 1], &STEPS).await;
    until_rollout(&server, RAMP + 1).await;
    let mut client = server.recommender().await;
    let mut number = 700;
    while shop.rollouts().len() == 3 {
        let _ = client.recommend(hybrid_now_and_then(number)).await;
        number += 1;
        assert!(number < CALLS_MAX, "it is never found");
    }
    server.until_live(1).await;
    let seen = people_of(&shop.rollout(4).reason);
    // Some came before the first look, and some after the last.
    assert!(seen + 300 > number as u64, "{seen} of {number}");
    server.stop().await;
}

/// People of candidate and base that a reason speaks of.
fn people_of(reason: &str) -> u64 {
    let words: Vec<&str> = reason.split(' ').collect();
    let after_of = words.windows(2).filter(|pair| pair[0] == "of");
    after_of
        .filter_map(|pair| pair[1].parse::<u64>().ok())
        .sum()
}

#[tokio::test]
async fn one_replica_records_the_abort_and_all_follow() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    let settings = [&FREQUENT[..], &STRICT].concat();
    let one = Server::serving(&shop, 1, &settings).await;
    let other = Server::start(&shop, &settings).await;
    other.until_live(1).await;
    shop.ramp([2, 1], &STEPS).await;
    until_rollout(&one, RAMP).await;
    until_rollout(&other, RAMP).await;
    futures::future::join(
        call((&shop, &one), CALLS_MAX, of_visitor),
        call((&shop, &other), CALLS_MAX, of_visitor),
    )
    .await;
    for server in [one, other] {
        until_rollout(&server, ABORT).await;
        assert_eq!(server.live_version().await, Some(1));
        server.stop().await;
    }
    assert_eq!(shop.rollouts().len(), ABORT as usize);
}

#[tokio::test]
async fn abort_that_the_registry_refuses_is_logged_once_and_everybody_is_answered() {
    let shop = Shop::new();
    shop.publish(Season::Spring).await;
    shop.publish_without_content(Season::Autumn).await;
    Server::serving(&shop, 1, &[]).await.stop().await;
    shop.ramp([2, 1], &STEPS).await;
    open_to_all(shop.place(), 0o755);
    let folders = ["", MODEL, "toy/rollouts", "toy/versions"].map(|name| shop.root().join(name));
    folders.iter().for_each(|folder| open_to_all(folder, 0o555));
    let settings = [&FREQUENT[..], &STRICT].concat();
    let mut server = Server::start_unprivileged(&shop, shop.place(), &settings).await;
    until_rollout(&server, RAMP).await;
    const MESSAGE: &str = "guardrail abort not recorded; will retry";
    let mut client = server.recommender().await;
    for number in 0..1_000 {
        client.recommend(of_visitor(number)).await.unwrap();
    }
    server.logged(MESSAGE).await;
    for number in 1_000..1_500 {
        client.recommend(of_visitor(number)).await.unwrap();
    }
    assert_eq!(server.times_logged(MESSAGE), 1);
    let status = server.status().await;
    assert_eq!(
        (status.live.unwrap().number, status.guardrail_breaches.len()),
        (RAMP, 1)
    );
    server.stop().await;
    folders.iter().for_each(|folder| open_to_all(folder, 0o755));
}
