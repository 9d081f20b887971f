//! Before anything is live, and after a restart.

use std::path::Path;

use tonic::Code;

use crate::harness::{MODEL, Season, Server, Shop, error_reason, http_get, until};

const RECOMMENDATIONS: &str = "hotshelf.v1.RecommendationService";

#[tokio::test]
async fn readyz_says_what_each_model_waits_for() {
    let shop = Shop::new();
    let models = ("models", "toy,other");
    let server = Server::start(&shop, &[models]).await;
    let lines = async || http_get(server.http, "/readyz").await.1;
    let says = async |said: &str| {
        until(said, async || lines().await.contains(said).then_some(())).await;
    };
    let url = shop.url();
    says(&format!(
        "model \"toy\" has no versions in {url} (models here: none)"
    ))
    .await;
    let version = shop.publish(Season::Spring).await.version;
    says(&format!(
        "model \"other\" has no versions in {url} (models here: {MODEL})"
    ))
    .await;
    says("model \"toy\" has no rollout: hotshelf reload --model toy makes a version live").await;

    server.reload(version).await.unwrap();
    until("one model is left", async || {
        let said = lines().await;
        (said.lines().count() == 2 && said.contains("model \"other\"")).then_some(())
    })
    .await;
    assert_eq!(http_get(server.http, "/readyz").await.0, 503);
    server.stop().await;
}

#[tokio::test]
async fn readyz_names_the_version_that_failed_and_why() {
    let shop = Shop::new();
    shop.propose(7).await;
    let server = Server::start(&shop, &[]).await;
    until("the failure", async || {
        let (code, said) = http_get(server.http, "/readyz").await;
        let is_said =
            said.contains("model \"toy\" version 7 failed: version 7 of toy does not exist");
        (code == 503 && is_said).then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn nothing_is_healthy_but_model_service_until_a_version_is_live() {
    let shop = Shop::new();
    let version = shop.publish(Season::Spring).await.version;
    let server = Server::start(&shop, &[]).await;
    for at in [server.data, server.admin] {
        assert!(!Server::is_serving(at, "").await.unwrap());
        assert!(!Server::is_serving(at, RECOMMENDATIONS).await.unwrap());
        assert!(
            Server::is_serving(at, "hotshelf.v1.ModelService")
                .await
                .unwrap()
        );
        assert_eq!(
            Server::is_serving(at, "no.such.Service")
                .await
                .unwrap_err()
                .code(),
            Code::NotFound
        );
    }
    assert_eq!(http_get(server.http, "/readyz").await.0, 503);
    assert_eq!(http_get(server.http, "/livez").await.0, 200);
    let refused = server.recommend("u0001").await.unwrap_err();
    assert_eq!(
        (refused.code(), error_reason(&refused).as_str()),
        (Code::Unavailable, "MODEL_NOT_LIVE")
    );
    let status = server.status().await;
    assert_eq!(
        (status.live, status.desired),
        (None, None),
        "publishing moves no traffic"
    );

    server.reload(version).await.unwrap();
    server.until_ready().await;
    for at in [server.data, server.admin] {
        until("SERVING", async || {
            Server::is_serving(at, RECOMMENDATIONS)
                .await
                .unwrap()
                .then_some(())
        })
        .await;
        assert!(Server::is_serving(at, "").await.unwrap());
    }
    assert_eq!(server.recommend("u0001").await.unwrap().version, version);
    server.stop().await;
}

#[tokio::test]
async fn restarted_server_serves_the_newest_rollout_again() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let server = Server::serving(&shop, autumn, &[]).await;
    // Back to the older one: the newest rollout counts, not the newest version.
    server.reload(spring).await.unwrap();
    server.stop().await;
    let server = Server::start(&shop, &[]).await;
    server.until_ready().await;
    let answer = server.recommend("u0001").await.unwrap();
    assert_eq!(
        (answer.version, answer.rollout, answer.arm.as_str()),
        (spring, 2, "main")
    );
    assert_eq!(shop.rollouts().len(), 2, "starting writes nothing");
    server.stop().await;
}

#[tokio::test]
async fn cold_start_falls_back_to_the_newest_servable_rollout_and_says_so() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let server = Server::serving(&shop, spring, &[]).await;
    server.reload(autumn).await.unwrap();
    server.stop().await;
    std::fs::write(shop.part_file(autumn, "users.arrow").await, "no table").unwrap();

    let mut server = Server::start(&shop, &[]).await;
    server.until_ready().await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, spring);
    let status = server.status().await;
    assert_eq!(status.desired.unwrap().number, 2);
    assert_eq!(status.live.unwrap().number, 1);
    let said =
        "desired rollout 2, serving rollout 1, because version 2 was refused: part users.arrow";
    assert!(status.degraded.contains(said), "{}", status.degraded);
    until("a line in the log", async || {
        let lines = server.lines();
        let is_said = |line: &serde_json::Value| line["degraded"] == status.degraded.as_str();
        lines.iter().any(is_said).then_some(())
    })
    .await;
    assert_eq!(
        server
            .scrape()
            .await
            .value("hotshelf_degraded", &[("model", MODEL)]),
        Some(1.0)
    );

    // What comes after the broken one is served like any other.
    let winter = shop.publish(Season::Autumn).await.version;
    server.reload(winter).await.unwrap();
    assert_eq!(server.status().await.degraded, "");
    server.logged("no longer degraded").await;
    server.stop().await;
}

/// Makes a rollout one of an earlier release, which names versions by number alone.
fn forget_digests(rollout: &Path) {
    let bytes = std::fs::read(rollout).unwrap();
    let mut record: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
    for arm in record["arms"].as_array_mut().unwrap() {
        let named = arm.as_object_mut().unwrap().remove("manifest_sha256");
        assert!(named.is_some(), "{arm}");
    }
    std::fs::write(rollout, record.to_string()).unwrap();
}

#[tokio::test]
async fn version_that_fails_golden_queries_alone_serves_at_a_cold_start_unless_refused() {
    let shop = Shop::new();
    let mut spring = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, spring.version, &[]).await;
    server.stop().await;
    // The same parts under a card whose publisher got other scores, written over the live version.
    for probe in spring.card["probes"].as_array_mut().unwrap() {
        for item in probe["items"].as_array_mut().unwrap() {
            item["score"] = 1_000.0.into();
            item["collaborative"] = 1_000.0.into();
        }
    }
    let file = shop.root().join(MODEL).join("versions/000001.json");
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&file).unwrap()).unwrap();
    manifest["card"] = spring.card;
    std::fs::write(file, manifest.to_string()).unwrap();
    forget_digests(&shop.root().join(MODEL).join("rollouts/000001.json"));

    let server = Server::start(&shop, &[]).await;
    server.until_ready().await;
    let degraded = server.status().await.degraded;
    assert!(
        degraded.contains("version 1 serves although")
            && degraded.contains("golden queries differ"),
        "{degraded}"
    );
    server.stop().await;

    let server = Server::start(&shop, &[("gate-at-start", "refuse")]).await;
    until("the refusal", async || {
        let degraded = server.status().await.degraded;
        degraded
            .contains("serving nothing, because version 1 was refused")
            .then_some(())
    })
    .await;
    assert_eq!(http_get(server.http, "/readyz").await.0, 503);
    server.stop().await;
}
