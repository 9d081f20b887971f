use crate::harness::{Season, Server, Shop, until};

#[tokio::test]
async fn rollback_to_a_resident_version_downloads_nothing() {
    let shop = Shop::with_two_versions().await;
    let server = Server::serving(&shop, 1, &[("previous-version", "keep")]).await;
    server.reload(2).await.unwrap();
    // It could neither be fetched nor read from the cache any more.
    let upload = shop.manifest(1).await.upload.to_string();
    let root = shop.root().join("toy");
    std::fs::remove_dir_all(root.join("parts").join(&upload)).unwrap();
    std::fs::remove_dir_all(server.cache().join("toy").join(upload)).unwrap();
    let done = server.rollout(&["rollback"]);
    assert_eq!(
        (&done["changed"], &done["previous_version"]),
        (&true.into(), &2.into())
    );
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    let phases = done["phases"].as_array().unwrap();
    let names: Vec<_> = phases
        .iter()
        .map(|phase| phase["name"].as_str().unwrap())
        .collect();
    assert_eq!(names, ["rollout", "activate"]);
    // And forward again, by the same command.
    server.rollout(&["rollback"]);
    assert_eq!(server.recommend("u0001").await.unwrap().version, 2);
    server.stop().await;
}

#[tokio::test]
async fn previous_version_is_unloaded_for_the_next_one() {
    let shop = Shop::new();
    for factors in [8, 16, 24] {
        shop.publish_sized(Season::Spring, factors).await;
    }
    let server = Server::serving(&shop, 1, &[("previous-version", "keep")]).await;
    for version in [2, 3] {
        server.reload(version).await.unwrap();
        until("two versions in memory", async || {
            let held = server
                .scrape()
                .await
                .value("hotshelf_resident_versions", &[]);
            assert!(held <= Some(3.0), "{held:?}");
            (held == Some(2.0)).then_some(())
        })
        .await;
    }
    let resident = |status: hotshelf::grpc::proto::GetModelStatusResponse| {
        let held = status.versions.into_iter().filter(|v| v.resident_bytes > 0);
        held.map(|version| version.version).collect::<Vec<_>>()
    };
    assert_eq!(resident(server.status().await), [3, 2]);
    server.stop().await;
}

#[tokio::test]
async fn removed_version_is_no_rollback_target_though_it_is_resident() {
    let shop = Shop::with_two_versions().await;
    let server = Server::serving(&shop, 1, &[("previous-version", "keep")]).await;
    server.reload(2).await.unwrap();
    let manifest = shop.root().join("toy/versions/000001.json");
    std::fs::remove_file(manifest).unwrap();
    // The copy that rollout 1 names by its digest.
    std::fs::remove_dir_all(shop.root().join("toy/manifests")).unwrap();
    let run = server.try_rollout(&["rollback"]);
    let told = run.refusal(1);
    assert!(
        told.contains("FAILED_PRECONDITION (VERSION_REFUSED)"),
        "{run:?}"
    );
    assert!(told.contains("version 1"), "{run:?}");
    assert_eq!(
        server.status().await.desired.unwrap().number,
        2,
        "nothing was written"
    );
    assert_eq!(server.recommend("u0001").await.unwrap().version, 2);
    server.stop().await;
}
