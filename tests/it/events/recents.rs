//! What a person does steers the next answer.

use super::{NEVER, Storage, borrowed, record};
use crate::harness::{Season, Server, Shop, hotshelf};
use hotshelf::grpc::proto::{Event, RecommendRequest, RecommendResponse, Strategy};
use rand_chacha::ChaCha8Rng;
use rand_core::{Rng, SeedableRng};

fn event(id: &str, user_id: &str, (product_id, kind): (&str, &str)) -> Event {
    Event {
        event_id: id.to_owned(),
        user_id: user_id.to_owned(),
        product_id: product_id.to_owned(),
        r#type: kind.to_owned(),
        ..Event::default()
    }
}

/// Products and scores, in order.
fn items(answer: &RecommendResponse) -> Vec<(String, f64)> {
    let items = answer.items.iter();
    items
        .map(|item| (item.product_id.clone(), item.score))
        .collect()
}

/// A shop with one version, and a server that takes events.
async fn serving(settings: &[(&'static str, &str)]) -> (Shop, Storage, Server) {
    let (shop, storage) = (Shop::new(), Storage::new());
    shop.publish(Season::Spring).await;
    let own = storage.settings(NEVER);
    let server = Server::serving(&shop, 1, &[&borrowed(&own), settings].concat()).await;
    (shop, storage, server)
}

/// One more server of this shop, which follows its registry.
async fn following(shop: &Shop, settings: &[(&str, &str)]) -> Server {
    let server = Server::start(shop, settings).await;
    server.until_ready().await;
    server
}

#[tokio::test]
async fn one_click_changes_the_next_answer_of_a_new_visitor() {
    let (_shop, _storage, server) = serving(&[]).await;
    let request = RecommendRequest {
        session_id: "visit-1".to_owned(),
        ..RecommendRequest::default()
    };
    let before = server.ask(request.clone()).await.unwrap();
    assert!(server.ask(request.clone()).await.unwrap().cache_hit);
    let click = Event {
        session_id: "visit-1".to_owned(),
        ..event("e1", "", ("p0042", "click"))
    };
    record(&server, vec![click]).await.unwrap();
    let after = server.ask(request.clone()).await.unwrap();
    assert!(!after.cache_hit);
    assert_ne!(items(&after), items(&before));
    let debug = RecommendRequest {
        debug: true,
        ..request
    };
    let explained = server.ask(debug.clone()).await.unwrap();
    assert_eq!(explained.debug.unwrap().recent_sources, ["memory"]);
    let named = RecommendRequest {
        recent_product_ids: vec!["p0001".to_owned()],
        ..debug
    };
    let explained = server.ask(named).await.unwrap();
    assert_eq!(
        explained.debug.unwrap().recent_sources,
        ["request", "memory"]
    );
    // Another visit is another person.
    let other = RecommendRequest {
        session_id: "visit-2".to_owned(),
        ..RecommendRequest::default()
    };
    assert_eq!(items(&server.ask(other).await.unwrap()), items(&before));
    let scrape = server.scrape().await;
    let used = scrape.value("hotshelf_recents_used_total", &[("source", "memory")]);
    assert_eq!(used, Some(3.0));
    let shown = hotshelf(&["status", "--admin-addr", &server.admin.to_string()]);
    assert!(
        shown
            .text()
            .contains("recents  1 people, in the memory of this server alone"),
        "{shown:?}"
    );
    server.stop().await;
}

#[tokio::test]
async fn answer_equals_the_one_to_a_request_that_names_the_recents() {
    let (shop, _storage, server) = serving(&[]).await;
    let plain = following(&shop, &[]).await;
    for strategy in [Strategy::Hybrid, Strategy::Content, Strategy::Collaborative] {
        for (kind, include_seen) in [
            ("purchase", false),
            ("purchase", true),
            ("view", true),
            ("click", true),
        ] {
            let user = format!("{kind}-{include_seen}-{strategy:?}");
            let products = ["p0003", "p0042", "p0007"];
            for (n, product) in products.into_iter().enumerate() {
                let event = event(&format!("{user}-{n}"), &user, (product, kind));
                assert_eq!(record(&server, vec![event]).await.unwrap().accepted, 1);
            }
            let request = RecommendRequest {
                user_id: user.clone(),
                strategy: strategy.into(),
                include_seen: Some(include_seen),
                ..RecommendRequest::default()
            };
            let named = RecommendRequest {
                recent_product_ids: products.into_iter().rev().map(str::to_owned).collect(),
                ..request.clone()
            };
            let expected = plain.ask(named).await.unwrap();
            let answer = server.ask(request).await.unwrap();
            assert_eq!(items(&answer), items(&expected), "{user}");
            assert_eq!(answer.fallbacks, expected.fallbacks, "{user}");
        }
    }
    server.stop().await;
    plain.stop().await;
}

#[tokio::test]
async fn what_was_bought_is_excluded_and_what_was_viewed_is_not() {
    let (_shop, _storage, server) = serving(&[]).await;
    for (user, kind, comes_back) in [("buyer", "purchase", false), ("looker", "view", true)] {
        record(&server, vec![event(user, user, ("p0042", kind))])
            .await
            .unwrap();
        let request = RecommendRequest {
            user_id: user.to_owned(),
            strategy: Strategy::Content.into(),
            n: Some(100),
            ..RecommendRequest::default()
        };
        let answer = server.ask(request).await.unwrap();
        let has = answer.items.iter().any(|item| item.product_id == "p0042");
        assert_eq!(has, comes_back, "{user}");
    }
    server.stop().await;
}

#[tokio::test]
async fn recents_that_are_off_change_no_answer() {
    let (_shop, _storage, server) = serving(&[("recents", "off")]).await;
    let before = server.recommend("new").await.unwrap();
    record(&server, vec![event("e1", "new", ("p0042", "click"))])
        .await
        .unwrap();
    let after = server.recommend("new").await.unwrap();
    assert!(after.cache_hit);
    assert_eq!(items(&after), items(&before));
    server.stop().await;
}

/// Two servers get the same random calls, one of them without a response cache. A cached answer that ignored
/// an event would differ.
#[tokio::test]
async fn no_cached_answer_ignores_recents() {
    let (shop, _storage, cached) = serving(&[]).await;
    let other = Storage::new();
    let own = other.settings(NEVER);
    let settings = [&borrowed(&own)[..], &[("cache-bytes-max", "0")]].concat();
    let computed = following(&shop, &settings).await;
    let mut dice = ChaCha8Rng::seed_from_u64(17);
    let mut below = |bound: u32| dice.next_u32() % bound;
    let users = ["u0001", "u0002", "new-1", "new-2"];
    let (mut hits, mut events) = (0, 0);
    for step in 0..400 {
        let user = users[below(4) as usize];
        if below(4) == 0 {
            let kind = ["view", "click", "purchase"][below(3) as usize];
            let product = format!("p{:04}", below(240));
            let one = event(&format!("e{step}"), user, (&product, kind));
            record(&cached, vec![one.clone()]).await.unwrap();
            record(&computed, vec![one]).await.unwrap();
            events += 1;
            continue;
        }
        let named = ["p0005", "p0006"][..below(3) as usize].iter();
        let request = RecommendRequest {
            user_id: user.to_owned(),
            recent_product_ids: named.map(|id| (*id).to_owned()).collect(),
            include_seen: Some(below(2) == 0),
            ..RecommendRequest::default()
        };
        let answer = cached.ask(request.clone()).await.unwrap();
        hits += usize::from(answer.cache_hit);
        let expected = computed.ask(request).await.unwrap();
        assert_eq!(items(&answer), items(&expected), "step {step}");
    }
    assert!(hits > 20 && events > 50, "{hits} hits, {events} events");
    cached.stop().await;
    computed.stop().await;
}
