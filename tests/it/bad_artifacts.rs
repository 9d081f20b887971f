//! Versions that must not go live: each is refused for a reason of its own, in words that name what is
//! wrong, while the old version answers; and none of them becomes desired state.

mod damage;

use std::collections::{BTreeMap, BTreeSet};

use hotshelf::grpc::proto::VersionState;
use tonic::Code;

use damage::{Bad, incomplete_versions, six_bad_versions};

use crate::harness::{MODEL, Season, Server, Shop, Traffic, error_kind, error_reason, hotshelf};

const RATE: u32 = 300;

#[tokio::test]
async fn each_bad_artifact_is_refused_for_its_own_reason_while_the_old_version_answers() {
    let shop = Shop::new();
    let good = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, good.version, &[]).await;
    let six = six_bad_versions(&shop, &good).await;
    let kinds: BTreeSet<_> = six.iter().map(|bad| bad.kind).collect();
    assert_eq!(kinds.len(), 6, "six distinct reasons");
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    for bad in &six {
        assert_refused(&server, bad).await;
        assert_eq!(server.live_version().await, Some(good.version));
        assert_eq!(
            shop.rollouts(),
            ["000001.json"],
            "{} became desired state",
            bad.kind
        );
    }
    let seen = traffic.finish();
    seen.assert_all_answered();
    seen.assert_computed_by(&BTreeMap::from([(good.version, &good.model)]));
    let metrics = server.scrape().await;
    for bad in &six {
        let labels = [
            ("model", MODEL),
            ("outcome", "failed"),
            ("reason", bad.kind),
        ];
        assert_eq!(
            metrics.value("hotshelf_loads_total", &labels),
            Some(1.0),
            "{}",
            bad.kind
        );
        assert_verified_alike(&shop, bad);
    }
    server.stop().await;
}

#[tokio::test]
async fn missing_superfluous_and_mismatched_parts_are_refused_by_name() {
    let shop = Shop::new();
    let good = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, good.version, &[]).await;
    for bad in incomplete_versions(&shop, &good).await {
        assert_refused(&server, &bad).await;
    }
    assert_eq!(shop.rollouts(), ["000001.json"]);
    assert_eq!(
        server.recommend("u0001").await.unwrap().version,
        good.version
    );
    server.stop().await;
}

async fn assert_refused(server: &Server, bad: &Bad) {
    let refused = server.reload(bad.version).await.unwrap_err();
    assert_eq!(
        refused.code(),
        Code::FailedPrecondition,
        "{} {refused:?}",
        bad.kind
    );
    assert_eq!(error_reason(&refused), "VERSION_REFUSED");
    assert_eq!(error_kind(&refused), bad.kind, "{refused:?}");
    assert!(
        refused.message().contains(bad.said),
        "{:?} in {refused:?}",
        bad.said
    );
    assert!(
        refused.message().contains("version 1 keeps serving"),
        "{refused:?}"
    );
    let status = server.status().await;
    let version = status
        .versions
        .iter()
        .find(|version| version.version == bad.version)
        .unwrap();
    assert_eq!(version.state(), VersionState::Failed);
    let failure = version.failure.as_ref().unwrap();
    assert_eq!((failure.kind.as_str(), failure.attempts), (bad.kind, 1));
    assert_eq!(failure.next_attempt_at, None, "retrying cannot help");
    assert_eq!(status.degraded, "", "nobody wants what was refused");
}

/// `models verify` comes to the same verdict without a server.
fn assert_verified_alike(shop: &Shop, bad: &Bad) {
    let (url, version) = (shop.url(), bad.version.to_string());
    let run = hotshelf(&[
        "models",
        "verify",
        &version,
        "--registry",
        &url,
        "--model",
        MODEL,
        "--json",
    ]);
    assert_eq!(run.code, 1, "{run:?}");
    let verdict: serde_json::Value = serde_json::from_str(&run.stdout).unwrap();
    assert_eq!(
        (&verdict["is_good"], verdict["kind"].as_str()),
        (&false.into(), Some(bad.kind))
    );
}
