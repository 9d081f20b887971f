//! Starting while the registry cannot be read: from what was live before, kept on disk, or not at all.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness::{MODEL, Published, Season, Server, Shop, http_get, top, until};
use crate::store_outage::Store;
use crate::store_outage::proxy::Point;
use crate::tools::s3_server::{Kind, S3Server};
use crate::tools::{self, Tool};

const KEPT: &str = "live set persisted";

/// A shop whose server has served two rollouts and ended.
struct Closed {
    shop: Shop,
    cache: TempDir,
    spring: Published,
    autumn: Published,
}

impl Closed {
    /// Version 2 was live last, by rollout 2.
    async fn new() -> Self {
        let shop = Shop::new();
        let cache = tempfile::tempdir().unwrap();
        let spring = shop.publish(Season::Spring).await;
        let autumn = shop.publish(Season::Autumn).await;
        let closed = Self {
            shop,
            cache,
            spring,
            autumn,
        };
        let server = closed.start().await;
        server.reload(closed.spring.version).await.unwrap();
        server.reload(closed.autumn.version).await.unwrap();
        until_remembered(&server, 2).await;
        server.stop().await;
        closed
    }

    async fn start(&self) -> Server {
        let cache = self.cache.path().display().to_string();
        let settings = [
            ("cache-dir", cache.as_str()),
            ("retry-first-ms", "50"),
            ("retry-max-ms", "200"),
        ];
        Server::start(&self.shop, &settings).await
    }

    /// From now on every look at the registry fails.
    fn break_registry(&self) -> Broken {
        Broken::new(self.shop.root().join(MODEL))
    }

    fn live_set(&self) -> PathBuf {
        self.cache.path().join(MODEL).join("live-set")
    }

    async fn cached_part(&self, version: u64, part: &str) -> PathBuf {
        let upload = self.shop.manifest(version).await.upload.to_string();
        self.cache.path().join(MODEL).join(upload).join(part)
    }
}

/// A folder in whose place stands a link that leads nowhere: not even root can read it.
struct Broken {
    path: PathBuf,
    aside: PathBuf,
}

impl Broken {
    fn new(path: PathBuf) -> Self {
        let aside = path.with_extension("aside");
        std::fs::rename(&path, &aside).unwrap();
        symlink(&path, &path).unwrap();
        Self { path, aside }
    }

    fn mend(self) {
        std::fs::remove_file(&self.path).unwrap();
        std::fs::rename(&self.aside, &self.path).unwrap();
    }
}

async fn until_remembered(server: &Server, rollout: u64) {
    let rollout = rollout.to_string();
    until("what is live to be kept", async || {
        let lines = server.lines();
        let is_it = |line: &&serde_json::Value| {
            line["message"] == KEPT && line["rollout"] == rollout.as_str()
        };
        lines.iter().find(is_it).map(drop)
    })
    .await;
}

async fn until_degraded(server: &Server, said: &[&str]) -> String {
    until(&format!("{said:?} in status"), async || {
        let degraded = server.status().await.degraded;
        let is_said = said.iter().all(|part| degraded.contains(part));
        is_said.then_some(degraded)
    })
    .await
}

async fn assert_answers_as(server: &Server, published: &Published) {
    for user in ["u0001", "u0017", "u0123"] {
        let answer = server.recommend(user).await.unwrap();
        assert_eq!(answer.version, published.version);
        let given = answer.items.iter();
        let given: Vec<_> = given
            .map(|item| (item.product_id.clone(), item.score as f32))
            .collect();
        assert_eq!(given, top(&published.model, user));
    }
}

#[tokio::test]
async fn server_starts_from_its_live_set_and_follows_the_registry_once_it_is_back() {
    let closed = Closed::new().await;
    let broken = closed.break_registry();
    let mut server = closed.start().await;
    server.until_ready().await;
    assert_answers_as(&server, &closed.autumn).await;
    let status = server.status().await;
    let live = status.live.as_ref().unwrap().number;
    assert_eq!((live, status.desired.as_ref()), (2, None));
    let said = "the registry cannot be read; serving rollout 2 persisted on disk since 2";
    assert!(status.degraded.starts_with(said), "{}", status.degraded);
    assert!(
        status.degraded.contains(&status.registry_error) && !status.registry_error.is_empty(),
        "{status:?}"
    );
    let metrics = server.scrape().await;
    let model = [("model", MODEL)];
    assert_eq!(metrics.value("hotshelf_degraded", &model), Some(1.0));
    assert!(metrics.value("hotshelf_registry_errors_total", &model) >= Some(1.0));
    let line = server.logged("degraded").await;
    assert!(
        line["degraded"]
            .as_str()
            .unwrap()
            .starts_with("the registry cannot be read")
    );

    broken.mend();
    until("the end of the degradation", async || {
        let status = server.status().await;
        (status.degraded.is_empty() && status.desired.is_some()).then_some(())
    })
    .await;
    let metrics = server.scrape().await;
    assert_eq!(metrics.value("hotshelf_degraded", &model), Some(0.0));
    server.logged("no longer degraded").await;
    server.reload(closed.spring.version).await.unwrap();
    assert_answers_as(&server, &closed.spring).await;
    assert_eq!(server.live().await.number, 3);
    server.stop().await;
}

#[tokio::test]
async fn newer_rollout_is_followed_once_the_registry_is_back() {
    let closed = Closed::new().await;
    // Another replica moves on while this one is closed.
    let other = Server::start(&closed.shop, &[]).await;
    other.reload(closed.spring.version).await.unwrap();
    other.stop().await;
    let broken = closed.break_registry();
    let server = closed.start().await;
    server.until_ready().await;
    assert_answers_as(&server, &closed.autumn).await;
    broken.mend();
    server.until_live(closed.spring.version).await;
    assert_eq!(server.status().await.degraded, "");
    until_remembered(&server, 3).await;
    server.stop().await;
}

#[tokio::test]
async fn empty_registry_takes_no_live_version_away() {
    let closed = Closed::new().await;
    let aside = closed.shop.place().join("aside");
    std::fs::rename(closed.shop.root(), &aside).unwrap();
    let server = closed.start().await;
    server.until_ready().await;
    assert_answers_as(&server, &closed.autumn).await;
    let said = "the registry has no rollout; serving rollout 2 persisted on disk since";
    until_degraded(&server, &[said]).await;
    // The self-test of conditional writes may have made a folder.
    std::fs::remove_dir_all(closed.shop.root()).ok();
    std::fs::rename(&aside, closed.shop.root()).unwrap();
    until("the end of the degradation", async || {
        server.status().await.degraded.is_empty().then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn server_starts_on_its_cache_while_its_s3_server_is_dead() {
    let Some(program) = tools::find(Tool::Versitygw) else {
        return;
    };
    let folder = Shop::bucket_folder();
    let s3 = S3Server::own(Kind::Versitygw, program, folder.path()).await;
    let shop = Shop::in_bucket(&folder, &s3.endpoint());
    let published = shop.publish(Season::Spring).await;
    let cache = folder.path().join("cache").display().to_string();
    let settings = [("cache-dir", cache.as_str()), ("retry-first-ms", "50")];
    let server = Server::serving(&shop, published.version, &settings).await;
    until_remembered(&server, 1).await;
    server.stop().await;
    s3.kill();
    let server = Server::start(&shop, &settings).await;
    server.until_ready().await;
    assert_answers_as(&server, &published).await;
    let said = "the registry cannot be read; serving rollout 1 persisted on disk since";
    until_degraded(&server, &[said]).await;
    s3.start().await;
    until("the end of the degradation", async || {
        server.status().await.degraded.is_empty().then_some(())
    })
    .await;
    assert_eq!(server.status().await.desired.unwrap().number, 1);
    server.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn start_does_not_wait_for_a_stalled_registry() {
    let Some(mut store) = Store::new().await else {
        return;
    };
    let cache = tempfile::tempdir().unwrap();
    let cache_dir = cache.path().display().to_string();
    let settings = [("cache-dir", cache_dir.as_str())];
    let autumn = store.direct.publish(Season::Autumn).await;
    let server = Server::serving(&store.shop, autumn.version, &settings).await;
    until_remembered(&server, 1).await;
    server.stop().await;
    // The store takes the first look at the rollouts and does not answer.
    store.proxy.hold("GET", "rollouts", Point::Done);
    let server = Server::start(&store.shop, &settings).await;
    store.proxy.reached().await;
    server.until_ready().await;
    assert_answers_as(&server, &autumn).await;
    until_degraded(&server, &["because no answer within 5 s"]).await;
    store.proxy.cut();
    server.stop().await;
}

/// Not ready, alive, says why, tries again; and serves as soon as the registry is back.
async fn assert_waits_for_the_registry(closed: &Closed, said: &[&str]) {
    let broken = closed.break_registry();
    let server = closed.start().await;
    let degraded = until_degraded(&server, said).await;
    assert!(degraded.contains("serving nothing, because"), "{degraded}");
    assert_eq!(http_get(server.http, "/livez").await.0, 200);
    assert_eq!(http_get(server.http, "/readyz").await.0, 503);
    assert!(!Server::is_serving(server.data, "").await.unwrap());
    assert_eq!(
        server
            .scrape()
            .await
            .value("hotshelf_degraded", &[("model", MODEL)]),
        Some(1.0)
    );
    broken.mend();
    server.until_ready().await;
    assert_answers_as(&server, &closed.autumn).await;
    assert_eq!(server.status().await.degraded, "");
    server.stop().await;
}

#[tokio::test]
async fn cache_that_lacks_a_part_serves_nothing_until_the_registry_is_back() {
    let closed = Closed::new().await;
    std::fs::remove_file(closed.cached_part(2, "users.arrow").await).unwrap();
    let said = [
        "rollout 2 persisted on disk since",
        "version 2 was refused: part users.arrow of version 2 of toy",
        "it is not in the cache folder",
    ];
    assert_waits_for_the_registry(&closed, &said).await;
}

#[tokio::test]
async fn altered_part_of_the_cache_is_never_served() {
    let closed = Closed::new().await;
    let file = closed.cached_part(2, "als.safetensors").await;
    flip_last_byte(&file);
    // Found out by its checksum and deleted; from then on it is missing.
    let said = ["version 2 was refused: part als.safetensors of version 2 of toy"];
    assert_waits_for_the_registry(&closed, &said).await;
}

#[tokio::test]
async fn altered_live_set_is_ignored() {
    let closed = Closed::new().await;
    flip_last_byte(&closed.live_set());
    let said = ["the persisted live set cannot be used", "expected sha256"];
    assert_waits_for_the_registry(&closed, &said).await;
}

#[tokio::test]
async fn truncated_live_set_is_ignored() {
    let closed = Closed::new().await;
    let bytes = std::fs::read(closed.live_set()).unwrap();
    std::fs::write(closed.live_set(), &bytes[..bytes.len() / 2]).unwrap();
    let said = ["the persisted live set cannot be used", "expected sha256"];
    assert_waits_for_the_registry(&closed, &said).await;
}

#[tokio::test]
async fn fresh_server_without_a_registry_reports_that_no_live_set_is_persisted() {
    let closed = Closed::new().await;
    std::fs::remove_file(closed.live_set()).unwrap();
    let said = ["the registry cannot be read; nothing is persisted on disk"];
    assert_waits_for_the_registry(&closed, &said).await;
}

#[tokio::test]
async fn live_set_of_one_registry_is_not_served_under_another() {
    let closed = Closed::new().await;
    let (cache, other) = (closed.cache.path().display().to_string(), Shop::new());
    other.publish(Season::Spring).await;
    let broken = Broken::new(other.root().join(MODEL));
    let server = Server::start(&other, &[("cache-dir", &cache)]).await;
    let url = closed.shop.url();
    until_degraded(&server, &["rollout 2 was persisted of registry", &url]).await;
    assert_eq!(http_get(server.http, "/readyz").await.0, 503);
    broken.mend();
    server.stop().await;
}

#[tokio::test]
async fn parts_of_the_live_set_survive_a_newer_load() {
    let closed = Closed::new().await;
    let other = Server::start(&closed.shop, &[]).await;
    other.reload(closed.spring.version).await.unwrap();
    other.stop().await;
    // A part of the newest rollout is not to be had: the load clears room and then fails.
    let stored = closed.shop.part_file(1, "als.safetensors").await;
    let cached = closed.cached_part(1, "als.safetensors").await;
    for file in [stored, cached] {
        std::fs::remove_file(file).unwrap();
    }
    let server = closed.start().await;
    server.until_ready().await;
    let said = ["desired rollout 3, serving rollout 2, because version 1 was refused"];
    until_degraded(&server, &said).await;
    server.stop().await;
    let broken = closed.break_registry();
    let server = closed.start().await;
    server.until_ready().await;
    assert_answers_as(&server, &closed.autumn).await;
    broken.mend();
    server.stop().await;
}

fn flip_last_byte(file: &Path) {
    let mut bytes = std::fs::read(file).unwrap();
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(file, bytes).unwrap();
}
