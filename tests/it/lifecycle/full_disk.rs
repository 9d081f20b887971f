//! A disk that somebody else fills while a version is fetched onto it.

use super::cache_faults::{PATIENT, RATE, Stage};
use crate::harness::{MODEL, Server, Shop, SmallDisk, Traffic, until_kept};
use crate::store_outage::Store;
use crate::store_outage::proxy::Point;

/// Room for both versions several times over, so that the look before a fetch finds nothing wrong.
const DISK_BYTES: u64 = 4 << 20;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn disk_that_fills_up_during_a_fetch_keeps_the_old_version_live_until_there_is_room() {
    let Some(disk) = SmallDisk::new(DISK_BYTES) else {
        return;
    };
    let Some(mut store) = Store::new().await else {
        return;
    };
    let stage = Stage::of(store.direct.beside(MODEL)).await;
    let server = Server::start_on(&disk, &store.shop, &PATIENT).await;
    server.reload(stage.spring.version).await.unwrap();
    until_kept(&disk.of(&server)).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);

    // The room was looked for by then, and half of a part has come.
    store
        .proxy
        .hold("GET", "als.safetensors", Point::HalfAnswered);
    stage.shop.propose(stage.autumn.version).await;
    store.proxy.reached().await;
    // The next attempt is held at its first read, so that status tells what this one meets.
    store
        .proxy
        .hold("GET", "/versions/000002", Point::HalfAnswered);
    let somebody_elses = disk.fill(&server);
    store.proxy.cut();
    store.proxy.reached().await;
    let status = server.status().await;
    let begins = "desired rollout 2, serving rollout 1, because version 2 was refused: ";
    assert!(status.degraded.starts_with(begins), "{}", status.degraded);
    let folder = disk.folder().display().to_string();
    for said in [
        "cache folder: writing ",
        " bytes at 0 of ",
        &folder,
        "No space left on device",
    ] {
        assert!(status.degraded.contains(said), "{}", status.degraded);
    }

    store.proxy.cut();
    let said = [
        "cache folder: fetching ",
        " bytes, but only ",
        " are free in ",
    ];
    stage.assert_stays_and_says(&server, &said).await;
    std::fs::remove_file(somebody_elses).unwrap();
    stage
        .assert_recovers(&server, traffic, &disk.of(&server))
        .await;
    server.stop().await;
}
