//! The golden registry in `model-registry/seed`, served by today's server.

use std::fs;
use std::path::Path;

use crate::harness::{MODEL, Server, Shop, hotshelf};

/// Copies a folder and all below it.
fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        if entry.path().is_dir() {
            copy(&entry.path(), &to);
        } else {
            fs::copy(entry.path(), to).unwrap();
        }
    }
}

fn seeded() -> Shop {
    let shop = Shop::new();
    let seed = Path::new(env!("CARGO_MANIFEST_DIR")).join("model-registry/seed");
    copy(&seed, &shop.root());
    shop
}

#[tokio::test]
async fn newest_rollout_of_the_seed_is_served_as_it_was_published() {
    let shop = seeded();
    let server = Server::start(&shop, &[]).await;
    server.until_live(2).await;
    let answer = server.recommend("u02").await.unwrap();
    assert_eq!(
        (answer.version, answer.rollout, answer.arm.as_str()),
        (2, 2, "main")
    );
    // Even people buy even products; that is what the seed was fitted on.
    let first = &answer.items[0].product_id;
    assert!(
        ["p00", "p02", "p04", "p06", "p08"].contains(&first.as_str()),
        "{first}"
    );
    server.reload(1).await.unwrap();
    assert_eq!(server.recommend("u02").await.unwrap().version, 1);
    server.stop().await;
}

#[test]
fn every_version_of_the_seed_passes_every_check() {
    let shop = seeded();
    for version in ["1", "2"] {
        let url = shop.url();
        let args = [
            "models",
            "verify",
            version,
            "--registry",
            &url,
            "--model",
            MODEL,
            "--json",
        ];
        assert_eq!(hotshelf(&args).json()["is_good"], true, "version {version}");
    }
}
