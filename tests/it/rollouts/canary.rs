use crate::harness::{Season, Server, Shop, Traffic, hotshelf, until};
use crate::memory_budget::need_bytes;
use hotshelf::grpc::proto::Rollout;
use std::collections::BTreeMap;

/// Requests per second.
const RATE: u32 = 200;

fn shares(live: &Rollout) -> Vec<(String, u64, u32)> {
    let arm = |arm: &hotshelf::grpc::proto::Arm| (arm.name.clone(), arm.version, arm.share_bp);
    live.arms.iter().map(arm).collect()
}

#[tokio::test]
async fn candidate_serves_the_buckets_below_its_growing_share() {
    let shop = Shop::with_two_versions().await;
    let server = Server::serving(&shop, 1, &[]).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    let done = server.rollout(&["start", "2", "--share", "10%"]);
    assert_eq!(
        (&done["done"], &done["changed"]),
        (&true.into(), &true.into())
    );
    assert_eq!(done["previous_version"], 1);
    let mut before = BTreeMap::new();
    let salt = server.live().await.salt;
    for (number, share_bp) in [(2, 1_000), (3, 3_500), (4, 8_000)] {
        if number > 2 {
            let share = format!("{share_bp}bp");
            server.rollout(&["set", "--share", &share]);
        }
        let now = server.live().await;
        assert_eq!(
            (now.number, &now.salt),
            (number, &salt),
            "one ramp, one salt"
        );
        let candidate = ("candidate".to_owned(), 2, share_bp);
        assert_eq!(
            shares(&now),
            [candidate, ("base".to_owned(), 1, 10_000 - share_bp)]
        );
        let found = server.versions_by_user().await;
        for (user, version) in &found {
            let is_candidate = Shop::bucket(&salt, user) < share_bp.into();
            assert_eq!(
                *version,
                if is_candidate { 2 } else { 1 },
                "{user} at {share_bp}"
            );
            assert!(
                before.get(user).is_none_or(|earlier| earlier <= version),
                "{user} went back"
            );
        }
        before = found;
    }
    let done = server.rollout(&["promote"]);
    assert_eq!(done["rollout"]["arms"][0]["version"], 2);
    assert_eq!(
        shares(&server.live().await),
        [("main".to_owned(), 2, 10_000)]
    );
    let seen = traffic.finish();
    seen.assert_all_answered();
    server.stop().await;
}

#[tokio::test]
async fn two_replicas_step_a_ramp_alike_and_hold_it_while_paused() {
    let shop = Shop::with_two_versions().await;
    let one = Server::serving(&shop, 1, &[]).await;
    let other = Server::start(&shop, &[]).await;
    other.until_live(1).await;
    let steps = "1%:1s,20%:1s,50%:3600s,100%";
    one.rollout(&["start", "2", "--steps", steps]);
    for server in [&one, &other] {
        until("the third step", async || {
            let now = server.live().await;
            (now.arms[0].share_bp == 5_000).then_some(())
        })
        .await;
    }
    assert_eq!(one.versions_by_user().await, other.versions_by_user().await);
    assert_eq!(
        one.status().await.desired.unwrap().number,
        2,
        "nobody wrote a record for it"
    );
    other.rollout(&["pause"]);
    let now = other.live().await;
    let ramp = now.ramp.unwrap();
    assert!(ramp.paused);
    assert!(ramp.elapsed.unwrap().seconds >= 2);
    assert_eq!(now.arms[0].share_bp, 5_000);
    let unchanged = other.rollout(&["pause"]);
    assert_eq!(
        (&unchanged["done"], &unchanged["changed"]),
        (&true.into(), &false.into())
    );
    other.rollout(&["resume"]);
    let ramp = other.live().await.ramp.unwrap();
    assert!(!ramp.paused && ramp.elapsed.unwrap().seconds >= 2);
    // Back for everybody on both, by one call to either.
    other.rollout(&["abort"]);
    for server in [&one, &other] {
        until("the base for everybody", async || {
            (shares(&server.live().await) == [("main".to_owned(), 1, 10_000)]).then_some(())
        })
        .await;
    }
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn fixed_test_splits_between_its_arms_until_one_is_promoted() {
    let shop = Shop::new();
    for factors in [8, 16, 24] {
        shop.publish_sized(Season::Spring, factors).await;
    }
    let server = Server::serving(&shop, 1, &[]).await;
    let arms = [
        "start", "--arm", "a=1:30%", "--arm", "b=2:30%", "--arm", "c=3:40%",
    ];
    server.rollout(&arms);
    let salt = server.live().await.salt;
    for (user, version) in server.versions_by_user().await {
        let expected = match Shop::bucket(&salt, &user) {
            ..3_000 => 1,
            3_000..6_000 => 2,
            _ => 3,
        };
        assert_eq!(version, expected, "{user}");
    }
    server.rollout(&["promote", "--arm", "c"]);
    assert_eq!(
        shares(&server.live().await),
        [("main".to_owned(), 3, 10_000)]
    );
    server.stop().await;
}

#[tokio::test]
async fn replica_that_cannot_load_the_candidate_serves_the_base_and_says_so() {
    let shop = Shop::with_two_versions().await;
    let one = Server::serving(&shop, 1, &[]).await;
    // Room for either version, and not for both.
    let needs = [
        need_bytes(&shop.manifest(1).await),
        need_bytes(&shop.manifest(2).await),
    ];
    let limit = needs[0].max(needs[1]).to_string();
    let other = Server::start(&shop, &[("memory-bytes-max", &limit)]).await;
    other.until_live(1).await;
    one.rollout(&["start", "2", "--share", "50%"]);
    let degraded = until("the refusal", async || {
        let degraded = other.status().await.degraded;
        (!degraded.is_empty()).then_some(degraded)
    })
    .await;
    let said = "desired rollout 2, serving rollout 1, because version 2 was refused";
    assert!(degraded.contains(said), "{degraded}");
    let answered = other.versions_by_user().await;
    assert!(answered.values().all(|version| *version == 1));
    // One that starts meanwhile has nothing live to fall back on.
    let late = Server::start(&shop, &[("memory-bytes-max", &limit)]).await;
    late.until_live(1).await;
    let degraded = late.status().await.degraded;
    assert!(degraded.contains(said), "{degraded}");
    late.stop().await;
    // From there the candidate can be taken back for all, though it cannot be served there.
    other.rollout(&["abort"]);
    until("the base for everybody", async || {
        (one.live().await.arms.len() == 1).then_some(())
    })
    .await;
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn change_can_wait_for_a_number_of_replicas_or_all() {
    let shop = Shop::with_two_versions().await;
    let needs = [
        need_bytes(&shop.manifest(1).await),
        need_bytes(&shop.manifest(2).await),
    ];
    let limit = needs[0].max(needs[1]).to_string();
    let one = Server::serving(&shop, 1, &[("replica", "one")]).await;
    let two = Server::start(&shop, &[("replica", "two")]).await;
    let tight = [("replica", "tight"), ("memory-bytes-max", &*limit)];
    let tight = Server::start(&shop, &tight).await;
    for server in [&two, &tight] {
        server.until_live(1).await;
    }
    let done = one.rollout(&["start", "2", "--share", "50%", "--wait", "2"]);
    assert_eq!(done["quorum"]["met"], true, "{done}");
    assert_eq!(done["quorum"]["serving"], serde_json::json!(["one", "two"]));
    assert_eq!(done["quorum"]["missing"][0]["replica"], "tight");
    // One of them never will; the command ends with the time and says which, and why.
    let admin = one.admin.to_string();
    let all = [
        "rollout",
        "set",
        "--share",
        "60%",
        "--wait",
        "all",
        "--timeout-s",
        "3",
    ];
    let signed = ["--admin", &admin, "--author", "ann", "--reason", "more"];
    let run = hotshelf(&[&all[..], &signed].concat());
    let told = run.refusal(1);
    assert!(
        told.contains("timed out before every replica served it"),
        "{run:?}"
    );
    let missing = run
        .stdout
        .lines()
        .find(|line| line.contains("not tight"))
        .unwrap();
    assert!(missing.contains("version 2"), "{missing}");
    let status = hotshelf(&["rollout", "status", "--admin", &admin, "--json"]).json();
    assert_eq!(status["desired"]["arms"][0]["share_bp"], 6_000, "{status}");
    assert_eq!(status["counts"]["serving"], 2, "{status}");
    assert_eq!(status["counts"]["failed"], 1, "{status}");
    let done = two.rollout(&["abort", "--wait", "all"]);
    assert_eq!(done["quorum"]["met"], true, "{done}");
    for server in [one, two, tight] {
        server.stop().await;
    }
}
