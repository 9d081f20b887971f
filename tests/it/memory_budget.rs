//! Versions that would pass the memory budget: refused by their manifest alone, by name and number, while
//! the old version answers.

use std::collections::BTreeMap;

use hotshelf_model::ModelCard;
use hotshelf_registry::Manifest;
use tonic::Code;

use crate::harness::{MODEL, Season, Server, Shop, Traffic, error_kind, error_reason, until};

const RATE: u32 = 300;
/// Of the part that is too large.
const HUGE_BYTES: u64 = 900_000_000;
/// More than a server of these tests ever has in memory, and less than the part.
const LIMIT_BYTES: u64 = 300_000_000;

#[tokio::test]
async fn version_over_the_budget_is_refused_before_it_is_fetched_while_the_old_one_answers() {
    let shop = Shop::new();
    let good = shop.publish(Season::Spring).await;
    let huge = shop.publish(Season::Autumn).await.version;
    enlarge(&shop, huge).await;
    let limit = LIMIT_BYTES.to_string();
    let server = Server::serving(&shop, good.version, &[("memory-bytes-max", &limit)]).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    until("answers", async || {
        (traffic.answers_of(1) > 50).then_some(())
    })
    .await;

    let refused = server.reload(huge).await.unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition, "{refused:?}");
    assert_eq!(error_reason(&refused), "VERSION_REFUSED");
    assert_eq!(error_kind(&refused), "memory_budget");
    for said in [
        "version 2 needs 900 MB (900 MB parts + ",
        " working memory)",
        "of memory_bytes_max 300 MB are free: it would not fit even by itself",
        "(version 1 keeps serving)",
    ] {
        assert!(refused.message().contains(said), "{said:?} in {refused:?}");
    }
    let seen = traffic.finish();
    seen.assert_all_answered();
    seen.assert_computed_by(&BTreeMap::from([(good.version, &good.model)]));
    assert_eq!(shop.rollouts(), ["000001.json"]);
    let upload = shop.manifest(huge).await.upload.to_string();
    let fetched = server.cache().join(MODEL).join(upload);
    assert!(!fetched.exists(), "nothing of it was fetched");
    let peak = server.peak_memory_bytes();
    println!("{peak} bytes were in memory at once");
    assert!(peak < LIMIT_BYTES, "{peak} bytes were in memory at once");
    let metrics = server.scrape().await;
    let labels = [("outcome", "failed"), ("reason", "memory_budget")];
    assert_eq!(metrics.value("hotshelf_loads_total", &labels), Some(1.0));
    let budget = metrics.value("hotshelf_memory_budget_bytes", &[]);
    assert_eq!(budget, Some(LIMIT_BYTES as f64));
    let held = held_bytes(&shop, good.version).await;
    let reserved = metrics.value("hotshelf_memory_reserved_bytes", &[]);
    assert_eq!(reserved, Some(held as f64), "what is live and no more");
    server.stop().await;
}

#[tokio::test]
async fn version_that_fits_only_alone_is_refused_with_that_reason() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await;
    let autumn = shop.publish(Season::Autumn).await.version;
    let need = need_bytes(&shop.manifest(autumn).await);
    let limit = need_bytes(&shop.manifest(spring.version).await).max(need);
    let settings = [("memory-bytes-max", &*limit.to_string())];
    let server = Server::serving(&shop, spring.version, &settings).await;
    // Another replica has room for it, so that it comes to be what this one wants and cannot have.
    let roomy = Server::start(&shop, &[]).await;
    roomy.reload(autumn).await.unwrap();
    let degraded = until("the refusal", async || {
        let degraded = server.status().await.degraded;
        (!degraded.is_empty()).then_some(degraded)
    })
    .await;
    for said in [
        "desired rollout 2, serving rollout 1, because version 2 was refused: version 2 needs",
        "it would fit by itself, but a swap holds the old and the new version at once",
    ] {
        assert!(degraded.contains(said), "{said:?} in {degraded}");
    }
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    let status = server.status().await;
    let failure = status.versions[0].failure.as_ref().unwrap();
    assert!(failure.next_attempt_at.is_some(), "memory may be freed");
    roomy.stop().await;
    server.stop().await;

    // With nothing else in memory there is room.
    let server = Server::start(&shop, &settings).await;
    server.until_live(autumn).await;
    assert_eq!(server.status().await.degraded, "");
    server.stop().await;
}

#[tokio::test]
async fn refused_version_is_loaded_as_soon_as_another_model_frees_memory() {
    let shop = Shop::new();
    let other = shop.beside("other");
    let (first, second) = (
        shop.publish(Season::Spring).await,
        shop.publish(Season::Autumn).await,
    );
    let (large, small) = (
        other.publish(Season::Spring).await.version,
        other.publish_without_content(Season::Spring).await.version,
    );
    let held = held_bytes(&shop, first.version).await + held_bytes(&other, large).await;
    // One byte short.
    let limit = held + need_bytes(&shop.manifest(second.version).await) - 1;
    let settings = [
        ("memory-bytes-max", &*limit.to_string()),
        ("models", "toy,other"),
        // Waiting is not what brings it up.
        ("retry-first-ms", "3600000"),
        ("retry-max-ms", "3600000"),
    ];
    let server = Server::start(&shop, &settings).await;
    let reload = async |model: &str, version: u64| {
        let request = hotshelf::grpc::proto::ReloadModelRequest {
            model: model.to_owned(),
            version: Some(version),
            ..Default::default()
        };
        server.reload_as(request).await.unwrap()
    };
    reload(MODEL, first.version).await;
    reload("other", large).await;
    let roomy = Server::start(&shop, &[]).await;
    roomy.reload(second.version).await.unwrap();
    roomy.stop().await;
    until("the refusal", async || {
        let degraded = server.status().await.degraded;
        degraded.contains("version 2 needs").then_some(())
    })
    .await;
    reload("other", small).await;
    server.until_live(second.version).await;
    assert_eq!(server.status().await.degraded, "");
    server.stop().await;
}

/// By the manifest alone, as the server reckons.
pub(crate) fn need_bytes(manifest: &Manifest) -> u64 {
    let card: ModelCard = serde_json::from_value(manifest.card.clone()).unwrap();
    parts_bytes(manifest) + card.working_bytes()
}

fn parts_bytes(manifest: &Manifest) -> u64 {
    manifest.parts.iter().map(|part| part.size_bytes).sum()
}

/// What a version holds once it is in memory.
async fn held_bytes(shop: &Shop, version: u64) -> u64 {
    let parts = parts_bytes(&shop.manifest(version).await);
    parts.max(shop.load(version).await.heap_bytes() as u64)
}

/// Makes one part of a version huge, in the store as in the manifest: a file of zeros that takes no disk.
async fn enlarge(shop: &Shop, version: u64) {
    let part = shop.part_file(version, "als.safetensors").await;
    let file = std::fs::OpenOptions::new().write(true).open(part).unwrap();
    file.set_len(HUGE_BYTES).unwrap();
    let path = shop
        .root()
        .join(MODEL)
        .join(format!("versions/{version:06}.json"));
    let mut manifest: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    let parts = manifest["parts"].as_array_mut().unwrap();
    let part = parts
        .iter_mut()
        .find(|part| part["name"] == "als.safetensors");
    part.unwrap()["size_bytes"] = HUGE_BYTES.into();
    std::fs::write(path, manifest.to_string()).unwrap();
}
