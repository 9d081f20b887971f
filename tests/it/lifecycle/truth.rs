//! Two servers of one registry, one that was there before something happened to it, and one that starts after.

use std::path::PathBuf;

use crate::harness::{MODEL, Season, Server, Shop, until};

fn object(shop: &Shop, name: &str) -> PathBuf {
    shop.root().join(MODEL).join(name)
}

/// Spring and then autumn are live on a server.
async fn before(shop: &Shop) -> Server {
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let server = Server::serving(shop, spring, &[]).await;
    server.reload(autumn).await.unwrap();
    server
}

async fn live_rollout(server: &Server) -> Option<u64> {
    server.status().await.live.map(|live| live.number)
}

/// The newest rollout becomes something that is none: both go by the one before it, and say so; put back, both
/// go by it again.
#[tokio::test]
async fn servers_that_started_before_and_after_its_loss_agree_on_the_newest_rollout() {
    let shop = Shop::new();
    let before = before(&shop).await;
    let newest = object(&shop, "rollouts/000002.json");
    let bytes = std::fs::read(&newest).unwrap();
    for (what, becomes) in [
        ("junk", Some(&b"{"[..])),
        ("nothing", None),
        ("a folder", None),
    ] {
        std::fs::remove_file(&newest).unwrap();
        match (what, becomes) {
            (_, Some(bytes)) => std::fs::write(&newest, bytes).unwrap(),
            ("a folder", None) => std::fs::create_dir(&newest).unwrap(),
            _ => {}
        }
        let after = Server::start(&shop, &[]).await;
        for server in [&before, &after] {
            until(&format!("{what}: rollout 1 on both"), async || {
                (live_rollout(server).await == Some(1)).then_some(())
            })
            .await;
            assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
        }
        let said = before.status().await.skipped_rollouts;
        assert!(said[0].contains("withdrawn: rollout 2"), "{what}: {said:?}");
        if what == "a folder" {
            std::fs::remove_dir(&newest).unwrap();
        }
        std::fs::write(&newest, &bytes).unwrap();
        for server in [&before, &after] {
            until(&format!("{what}: rollout 2 on both"), async || {
                (live_rollout(server).await == Some(2)).then_some(())
            })
            .await;
        }
        after.stop().await;
    }
    before.stop().await;
}

/// A store that lost all rollouts ends nothing, and the next decision is the first of it.
#[tokio::test]
async fn registry_without_its_only_rollout_takes_the_next_one_as_its_first() {
    let shop = Shop::new();
    let spring = shop.publish(Season::Spring).await.version;
    let autumn = shop.publish(Season::Autumn).await.version;
    let before = Server::serving(&shop, spring, &[]).await;
    std::fs::remove_file(object(&shop, "rollouts/000001.json")).unwrap();
    until("the server says so", async || {
        let said = before.status().await.registry_error;
        said.contains("shows no rollout").then_some(())
    })
    .await;
    assert_eq!(before.recommend("u0001").await.unwrap().version, spring);
    before.reload(autumn).await.unwrap();
    let after = Server::start(&shop, &[]).await;
    after.until_live(autumn).await;
    for server in [&before, &after] {
        let status = server.status().await;
        assert_eq!(status.live.unwrap().number, 1);
        assert_eq!(status.registry_error, "");
    }
    before.stop().await;
    after.stop().await;
}

/// Points version 2 to the parts and the card of version 1.
fn rewrite(shop: &Shop) -> Vec<u8> {
    let file = |version: u64| object(shop, &format!("versions/{version:06}.json"));
    let read = |version| std::fs::read(file(version)).unwrap();
    let (one, original) = (read(1), read(2));
    let one: serde_json::Value = serde_json::from_slice(&one).unwrap();
    let mut two: serde_json::Value = serde_json::from_slice(&original).unwrap();
    for field in ["parts", "upload", "card"] {
        two[field] = one[field].clone();
    }
    std::fs::write(file(2), two.to_string()).unwrap();
    original
}

/// What a rollout names by its digest is what every server serves, whatever the number leads to.
#[tokio::test]
async fn version_that_was_rewritten_is_never_served_as_the_one_that_was_rolled_out() {
    let shop = Shop::new();
    let before = before(&shop).await;
    let named = before.recommend("u0001").await.unwrap();
    let original = rewrite(&shop);
    let after = Server::start(&shop, &[]).await;
    after.until_live(2).await;
    let answered = after.recommend("u0001").await.unwrap();
    assert_eq!(answered.items, named.items);
    assert_eq!(answered.manifest_sha256, named.manifest_sha256);
    let status = after.status().await;
    let said =
        "version 2 serves although version 2 of toy was rewritten: its rollout names the manifest";
    assert!(status.degraded.contains(said), "{}", status.degraded);
    assert_eq!(status.versions[0].manifest_sha256, named.manifest_sha256);
    // Without the copy of the original there is nothing to serve under that number.
    let copy = object(&shop, &format!("manifests/{}.json", named.manifest_sha256));
    assert_eq!(std::fs::read(&copy).unwrap(), original);
    std::fs::remove_file(&copy).unwrap();
    let refused = Server::start(&shop, &[]).await;
    refused.until_live(1).await;
    let status = refused.status().await;
    let failed = status.versions.iter().find(|entry| entry.version == 2);
    assert_eq!(failed.unwrap().failure.as_ref().unwrap().kind, "rewritten");
    let said = "desired rollout 2, serving rollout 1, because version 2 was refused";
    assert!(status.degraded.contains(said), "{}", status.degraded);
    // Put back, it is loaded.
    std::fs::write(object(&shop, "versions/000002.json"), original).unwrap();
    refused.until_live(2).await;
    assert_eq!(refused.status().await.degraded, "");
    for server in [before, after, refused] {
        server.stop().await;
    }
}

/// A version is rewritten between its load and its rollout: what was verified is what is recorded.
#[tokio::test]
async fn version_that_was_rewritten_after_its_load_is_refused_for_new_rollouts() {
    let shop = Shop::new();
    let server = before(&shop).await;
    server.reload(1).await.unwrap();
    rewrite(&shop);
    for entry in std::fs::read_dir(object(&shop, "manifests")).unwrap() {
        std::fs::remove_file(entry.unwrap().path()).unwrap();
    }
    // The version before stays in memory, as it was loaded.
    let refused = server.reload(2).await.unwrap_err();
    assert_eq!(refused.code(), tonic::Code::FailedPrecondition);
    assert!(refused.message().contains("was rewritten"), "{refused:?}");
    assert_eq!(live_rollout(&server).await, Some(3));
    server.stop().await;
}
