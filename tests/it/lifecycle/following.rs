//! What happens in the registry, seen by servers that only watch it.

use std::collections::BTreeMap;

use tonic::Code;

use crate::harness::{MODEL, Season, Server, Shop, Traffic, hotshelf, until};

#[tokio::test]
async fn every_replica_follows_the_rollout_that_one_of_them_wrote() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let autumn = shop.publish(Season::Autumn).await;
    let one = Server::serving(&shop, spring.version, &[]).await;
    let other = Server::start(&shop, &[]).await;
    other.until_live(spring.version).await;
    other.until_ready().await;
    let traffic = Traffic::start(other.data, Shop::users(), 300);
    one.reload(autumn.version).await.unwrap();
    other.until_live(autumn.version).await;
    until("answers of autumn", async || {
        (traffic.answers_of(autumn.version) > 0).then_some(())
    })
    .await;
    let seen = traffic.finish();
    seen.assert_all_answered();
    let models = BTreeMap::from([
        (spring.version, &spring.model),
        (autumn.version, &autumn.model),
    ]);
    seen.assert_computed_by(&models);
    assert_eq!(shop.rollouts().len(), 2, "followers write nothing");
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn replica_that_cannot_follow_keeps_its_version_and_reports_why() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let one = Server::serving(&shop, spring, &[]).await;
    // This one has the broken bytes, the other one has the good ones in its cache already.
    one.reload(autumn).await.unwrap();
    one.reload(spring).await.unwrap();
    let other = Server::start(&shop, &[]).await;
    other.until_live(spring).await;
    let file = shop.part_file(autumn, "history.safetensors").await;
    let good = std::fs::read(&file).unwrap();
    std::fs::write(&file, &good[1..]).unwrap();
    one.reload(autumn).await.unwrap();
    until("the refusal", async || {
        (!other.status().await.degraded.is_empty()).then_some(())
    })
    .await;
    let status = other.status().await;
    assert_eq!(status.live.unwrap().arms[0].version, spring);
    let said = "desired rollout 4, serving rollout 3, because version 2 was refused: part history.safetensors";
    assert!(status.degraded.contains(said), "{}", status.degraded);
    assert_eq!(other.recommend("u0001").await.unwrap().version, spring);
    one.stop().await;
    other.stop().await;
}

#[tokio::test]
async fn junk_among_rollouts_is_skipped_and_reported() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let server = Server::serving(&shop, spring, &[]).await;
    let rollouts = shop.root().join(MODEL).join("rollouts");
    std::fs::write(rollouts.join("000002.json"), "{ junk").unwrap();
    until("the report", async || {
        (!server.status().await.skipped_rollouts.is_empty()).then_some(())
    })
    .await;
    let status = server.status().await;
    assert!(
        status.skipped_rollouts[0].starts_with("rollout 2: "),
        "{:?}",
        status.skipped_rollouts
    );
    assert_eq!(
        (status.live.unwrap().number, status.desired.unwrap().number),
        (1, 1)
    );
    let skipped = server
        .scrape()
        .await
        .value("hotshelf_rollouts_skipped_total", &[("model", MODEL)]);
    assert_eq!(skipped, Some(1.0));
    let done = server.reload(autumn).await.unwrap();
    assert_eq!(
        (done.changed, done.rollout),
        (true, Some(3)),
        "the junk's number stays spent"
    );
    server.stop().await;

    let server = Server::start(&shop, &[]).await;
    server.until_live(autumn).await;
    server.stop().await;
}

#[tokio::test]
async fn registry_outage_leaves_live_versions_alone() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let server = Server::serving(&shop, spring, &[]).await;
    let traffic = Traffic::start(server.data, Shop::users(), 300);
    let away = shop.place().join("away");
    std::fs::rename(shop.root(), &away).unwrap();
    // To try and fail, the server has to look at the registry.
    let refused = server.reload(autumn).await.unwrap_err();
    assert_eq!(refused.code(), Code::NotFound, "{refused:?}");
    let answered = traffic.answers_of(spring);
    until("more answers", async || {
        (traffic.answers_of(spring) > answered + 50).then_some(())
    })
    .await;
    assert_eq!(server.live_version().await, Some(spring));

    // A first start cannot tell a registry that is away from one that was misspelt.
    let (url, cache) = (shop.url(), shop.place().join("first"));
    let cache = cache.display().to_string();
    let any = "127.0.0.1:0";
    let first = hotshelf(&[
        "serve",
        "--registry",
        &url,
        "--models",
        MODEL,
        "--cache-dir",
        &cache,
        "--data-addr",
        any,
        "--admin-addr",
        any,
        "--http-addr",
        any,
    ]);
    assert!(first.refusal(2).contains("does not exist"), "{first:?}");
    std::fs::rename(&away, shop.root()).unwrap();
    let late = Server::start(&shop, &[]).await;
    late.until_live(spring).await;
    server.reload(autumn).await.unwrap();
    late.until_live(autumn).await;
    traffic.finish().assert_all_answered();
    server.stop().await;
    late.stop().await;
}
