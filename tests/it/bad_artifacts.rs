//! Versions that must not go live: each is refused for a reason of its own, in words that name what is
//! wrong, while the old version answers; and none of them becomes desired state.

use std::collections::{BTreeMap, BTreeSet};

use hotshelf::grpc::proto::VersionState;
use tonic::Code;

use crate::harness::{
    MODEL, Parts, Published, Season, Server, Shop, Traffic, error_kind, error_reason, factors_of,
    hotshelf,
};

const RATE: u32 = 300;

/// A bad version and how its refusal has to read.
struct Bad {
    version: u64,
    kind: &'static str,
    said: &'static str,
}

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
async fn missing_and_superfluous_parts_are_refused_by_name() {
    let shop = Shop::new();
    let good = shop.publish(Season::Spring).await;
    let server = Server::serving(&shop, good.version, &[]).await;

    let gone = shop.publish(Season::Autumn).await.version;
    std::fs::remove_file(shop.part_file(gone, "history.safetensors").await).unwrap();
    let said = "part history.safetensors";
    assert_refused(
        &server,
        &Bad {
            version: gone,
            kind: "corrupt",
            said,
        },
    )
    .await;

    let mut parts = good.parts.clone();
    parts.0.remove("users.arrow");
    let version = shop.publish_parts(&parts, &good.card).await;
    let said = "part users.arrow is missing";
    assert_refused(
        &server,
        &Bad {
            version,
            kind: "missing_part",
            said,
        },
    )
    .await;

    let mut parts = good.parts.clone();
    parts.0.insert("notes.json".to_owned(), b"{}".to_vec());
    let version = shop.publish_parts(&parts, &good.card).await;
    let said = "part notes.json is unknown";
    assert_refused(
        &server,
        &Bad {
            version,
            kind: "unknown_part",
            said,
        },
    )
    .await;

    // Shorter in the store than the manifest says, checksum not recomputed.
    let short = shop.publish(Season::Autumn).await.version;
    let file = shop.part_file(short, "als.safetensors").await;
    let bytes = std::fs::read(&file).unwrap();
    std::fs::write(&file, &bytes[..bytes.len() / 2]).unwrap();
    let said = "part als.safetensors";
    assert_refused(
        &server,
        &Bad {
            version: short,
            kind: "corrupt",
            said,
        },
    )
    .await;

    let mut card = good.card.clone();
    card["sizes"]["users"] = 1.into();
    let version = shop.publish_parts(&good.parts, &card).await;
    assert_refused(
        &server,
        &Bad {
            version,
            kind: "shape",
            said: "part users.arrow",
        },
    )
    .await;

    card.as_object_mut().unwrap().remove("sizes");
    let version = shop.publish_parts(&good.parts, &card).await;
    assert_refused(
        &server,
        &Bad {
            version,
            kind: "card",
            said: "sizes",
        },
    )
    .await;

    assert_eq!(shop.rollouts(), ["000001.json"]);
    assert_eq!(
        server.recommend("u0001").await.unwrap().version,
        good.version
    );
    server.stop().await;
}

/// The six of the issue; all but the first carry checksums that hold.
async fn six_bad_versions(shop: &Shop, good: &Published) -> Vec<Bad> {
    let bad = |version, kind, said| Bad {
        version,
        kind,
        said,
    };
    let flipped = shop.publish_parts(&good.parts, &good.card).await;
    let file = shop.part_file(flipped, "als.safetensors").await;
    let mut bytes = std::fs::read(&file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();

    let mut truncated = good.parts.clone();
    let len = truncated.part("als.safetensors").len();
    truncated.part("als.safetensors").truncate(len - 100);

    let mut not_a_number = good.parts.clone();
    let factors = not_a_number.tensor("als.safetensors", "user_factors");
    factors[3 * 8 * 4..][..4].copy_from_slice(&f32::NAN.to_le_bytes());

    let mut dimension = good.parts.clone();
    let other = factors_of(Season::Spring, 12);
    *dimension.part("als.safetensors") = packed(&other, "als.safetensors");

    let mut unsorted = good.parts.clone();
    swap_ids(unsorted.part("users.arrow"), b"u0007u0008", b"u0008u0007");

    let published = |parts: Parts| async move { shop.publish_parts(&parts, &good.card).await };
    vec![
        bad(
            flipped,
            "corrupt",
            "part als.safetensors of version 2 of toy is corrupt: expected sha256",
        ),
        bad(
            published(truncated).await,
            "container",
            "part als.safetensors is not a readable safetensors",
        ),
        bad(
            published(not_a_number).await,
            "not_finite",
            "part als.safetensors: user_factors row 3 holds NaN",
        ),
        bad(
            published(dimension).await,
            "shape",
            "part als.safetensors: user_factors has shape [240, 12], expected [240, 8]",
        ),
        bad(
            published(unsorted).await,
            "ids",
            "part users.arrow: id row 8",
        ),
        bad(
            published(permuted(&good.parts)).await,
            "probes",
            "probes differ from the publisher's answers",
        ),
    ]
}

/// Product factors one row further, with an index that agrees with them: nothing but the meaning of
/// the rows is wrong.
fn permuted(good: &Parts) -> Parts {
    let mut parts = good.clone();
    parts.permute_rows("als.safetensors", "product_factors", 8);
    let products = parts.tensor("als_index.safetensors", "order").len() / 4;
    let norms = parts.tensor("als_index.safetensors", "norms").to_vec();
    let order = parts.tensor("als_index.safetensors", "order");
    let mut placed: Vec<(u32, [u8; 4])> = Vec::new();
    for (row, norm) in order.chunks_exact(4).zip(norms.chunks_exact(4)) {
        let row = u32::from_le_bytes(row.try_into().unwrap());
        placed.push(((row + 1) % products as u32, norm.try_into().unwrap()));
    }
    // Among equal norms rows ascend.
    placed.sort_by(|a, b| {
        let norm = |bytes| f32::from_le_bytes(bytes);
        norm(b.1).total_cmp(&norm(a.1)).then(a.0.cmp(&b.0))
    });
    for (place, (row, _)) in order.chunks_exact_mut(4).zip(placed) {
        place.copy_from_slice(&row.to_le_bytes());
    }
    parts
}

fn packed(model: &hotshelf_model::Model, name: &str) -> Vec<u8> {
    let extra = hotshelf_model::CardExtra {
        parameters: hotshelf_model::FitParams::default(),
        evaluation: None,
        probes: 1,
    };
    let parts = model.pack(extra).unwrap().parts;
    parts
        .into_iter()
        .find(|part| part.name == name)
        .unwrap()
        .bytes
}

fn swap_ids(table: &mut [u8], from: &[u8], to: &[u8]) {
    let at = table
        .windows(from.len())
        .position(|window| window == from)
        .unwrap();
    table[at..at + to.len()].copy_from_slice(to);
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
        refused.message().contains("version 1 serves on"),
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
