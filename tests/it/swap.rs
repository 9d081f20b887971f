//! The main job: versions change places under load, and nobody who asks can tell but by the answer.

use std::collections::BTreeMap;

use crate::harness::{Published, Season, Server, Shop, Traffic, until};

const RELOADS: u64 = 24;
/// Requests per second.
const RATE: u32 = 1_200;
/// Answers of a version before the next one takes its place.
const ANSWERS_EACH: usize = 40;

#[tokio::test]
async fn swapping_under_load_fails_no_request_and_every_answer_is_its_versions_own() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let autumn = shop.publish(Season::Autumn).await;
    assert_visibly_different(&spring, &autumn);
    let server = Server::serving(&shop, spring.version, &[]).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    for turn in 0..RELOADS {
        let (from, to) = if turn % 2 == 0 {
            (&spring, &autumn)
        } else {
            (&autumn, &spring)
        };
        let (old, new) = (from.version, to.version);
        let before = (traffic.answers_of(old), traffic.answers_of(new));
        until("answers of the old version", async || {
            (traffic.answers_of(old) >= before.0 + ANSWERS_EACH).then_some(())
        })
        .await;
        let done = server.reload(new).await.unwrap();
        assert_eq!((done.changed, done.previous_version), (true, Some(old)));
        until("answers of the new version", async || {
            (traffic.answers_of(new) > before.1).then_some(())
        })
        .await;
    }
    let seen = traffic.finish();
    println!(
        "{RELOADS} reloads, {} requests in {:?}",
        seen.requests(),
        seen.lasted
    );
    seen.assert_all_answered();
    let models = BTreeMap::from([
        (spring.version, &spring.model),
        (autumn.version, &autumn.model),
    ]);
    seen.assert_computed_by(&models);
    assert_eq!(shop.rollouts().len() as u64, 1 + RELOADS);
    assert!(
        seen.requests() as f64 >= 1_000.0 * seen.lasted.as_secs_f64(),
        "fewer were sent than were due"
    );
    server.stop().await;
}

/// No user has the same ten products in both versions.
fn assert_visibly_different(one: &Published, other: &Published) {
    for user in Shop::users() {
        assert_ne!(one.top(&user), other.top(&user), "{user}");
    }
}
