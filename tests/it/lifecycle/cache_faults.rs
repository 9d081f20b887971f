//! A cache folder that is full, closed, cut short or altered under a running server, and versions that
//! vanish from the store: what is live answers on, the failure is named, and it ends with its cause.

use std::collections::BTreeMap;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use rustix::process::{Pid, Resource, Rlimit, prlimit};

use crate::harness::{
    MODEL, Published, Season, Server, Shop, Traffic, http_get, open_to_all, until, until_kept,
};

pub(super) const RATE: u32 = 300;
pub(super) const PATIENT: [(&str, &str); 2] = [("retry-first-ms", "50"), ("retry-max-ms", "200")];

/// A shop with two versions, and what is to be seen of a server whose cache takes no more.
pub(super) struct Stage {
    pub(super) shop: Shop,
    pub(super) spring: Published,
    pub(super) autumn: Published,
}

impl Stage {
    async fn new() -> Self {
        Self::of(Shop::new()).await
    }

    pub(super) async fn of(shop: Shop) -> Self {
        let spring = shop.publish(Season::Spring).await;
        let autumn = shop.publish(Season::Autumn).await;
        Self {
            shop,
            spring,
            autumn,
        }
    }

    /// Another replica, whose cache is fine, makes the second version what everybody wants.
    async fn want_autumn(&self) {
        let other = Server::start(&self.shop, &[]).await;
        other.reload(self.autumn.version).await.unwrap();
        other.stop().await;
    }

    fn models(&self) -> BTreeMap<u64, &hotshelf_model::Model> {
        let both = [&self.spring, &self.autumn];
        both.map(|published| (published.version, &published.model))
            .into()
    }

    /// The server cannot follow to the second version, says this of it, tries on and serves the first.
    pub(super) async fn assert_stays_and_says(&self, server: &Server, said: &[&str]) {
        let degraded = until("the refusal", async || {
            let degraded = server.status().await.degraded;
            said.iter()
                .all(|part| degraded.contains(part))
                .then_some(degraded)
        })
        .await;
        let begins = "desired rollout 2, serving rollout 1, because version 2 was refused: ";
        assert!(degraded.starts_with(begins), "{degraded}");
        until("another attempt", async || {
            let status = server.status().await;
            let failure = status.versions[0].failure.as_ref()?;
            assert_eq!(failure.kind, "cache");
            (failure.attempts > 2).then_some(())
        })
        .await;
        assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
        assert_eq!(http_get(server.http, "/readyz").await.0, 200);
    }

    /// The cause is gone: the server follows, and nothing that it answered meanwhile was wrong.
    pub(super) async fn assert_recovers(&self, server: &Server, traffic: Traffic, cache: &Path) {
        server.until_live(self.autumn.version).await;
        until("the new version's answers", async || {
            (traffic.answers_of(2) > 20).then_some(())
        })
        .await;
        let seen = traffic.finish();
        seen.assert_all_answered();
        seen.assert_computed_by(&self.models());
        until("the end of the degradation", async || {
            server.status().await.degraded.is_empty().then_some(())
        })
        .await;
        assert_eq!(half_files(cache), Vec::<PathBuf>::new());
    }
}

/// Everything under way in a cache folder.
fn half_files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(folder).unwrap().map(Result::unwrap) {
        if entry.path().is_dir() {
            found.extend(half_files(&entry.path()));
        } else if entry.file_name().to_string_lossy().contains(".partial-") {
            found.push(entry.path());
        }
    }
    found
}

fn cached(server: &Server, upload: &str) -> Vec<PathBuf> {
    let folder = server.cache().join(MODEL).join(upload);
    let entries = std::fs::read_dir(folder).unwrap();
    entries.map(|entry| entry.unwrap().path()).collect()
}

/// The system refuses the process's own writes beyond a size, wherever the tests run: the same place in the
/// same call as on a full disk, with another word of the system.
fn limit_files(server: &Server, bytes_max: Option<u64>) {
    let limit = Rlimit {
        current: bytes_max,
        maximum: None,
    };
    let pid = Pid::from_raw(server.id().try_into().unwrap());
    prlimit(pid, Resource::Fsize, limit).unwrap();
}

#[tokio::test]
async fn full_cache_keeps_the_old_version_live_until_there_is_room() {
    let stage = Stage::new().await;
    let server = Server::start_with_failing_writes(&stage.shop, &PATIENT).await;
    server.reload(stage.spring.version).await.unwrap();
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    limit_files(&server, Some(2_000));
    stage.want_autumn().await;
    let said = [
        "cache folder: writing ",
        " bytes at 0 of ",
        "File too large",
    ];
    stage.assert_stays_and_says(&server, &said).await;
    limit_files(&server, None);
    let cache = server.cache();
    stage.assert_recovers(&server, traffic, cache).await;
    server.stop().await;
}

#[tokio::test]
async fn unwritable_cache_keeps_the_old_version_live_until_it_is_writable() {
    let stage = Stage::new().await;
    open_to_all(stage.shop.place(), 0o755);
    let other = Server::start(&stage.shop, &[]).await;
    other.reload(stage.spring.version).await.unwrap();
    other.stop().await;
    let server = Server::start_unprivileged(&stage.shop, stage.shop.place(), &PATIENT).await;
    server.until_live(stage.spring.version).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    let folder = server.cache().join(MODEL);
    until_kept(server.cache()).await;
    open_to_all(&folder, 0o555);
    stage.want_autumn().await;
    let said = ["cache folder: creating ", "/toy/", "Permission denied"];
    stage.assert_stays_and_says(&server, &said).await;
    open_to_all(&folder, 0o755);
    let cache = server.cache();
    stage.assert_recovers(&server, traffic, cache).await;
    server.stop().await;
}

#[tokio::test]
async fn unwritable_live_set_is_reported_and_persisted_later() {
    let stage = Stage::new().await;
    let server = Server::start_with_failing_writes(&stage.shop, &PATIENT).await;
    server.reload(stage.spring.version).await.unwrap();
    server.reload(stage.autumn.version).await.unwrap();
    until("what is live to be kept", async || {
        let kept = server.times_logged("live set persisted");
        (kept == 2).then_some(())
    })
    .await;
    // Both versions' parts are in the cache, so that only the memory has to be written.
    limit_files(&server, Some(100));
    let other = Server::start(&stage.shop, &[]).await;
    other.reload(stage.spring.version).await.unwrap();
    other.stop().await;
    until("the failure", async || {
        let degraded = server.status().await.degraded;
        let begins = "rollout 3 is not persisted, so a restart needs the registry: ";
        (degraded.starts_with(begins) && degraded.contains("live-set")).then_some(())
    })
    .await;
    let metrics = server.scrape().await;
    let errors = metrics.value("hotshelf_remember_errors_total", &[("model", MODEL)]);
    assert!(errors >= Some(1.0));
    assert_eq!(server.recommend("u0001").await.unwrap().version, 1);
    limit_files(&server, None);
    until("the end of the degradation", async || {
        server.status().await.degraded.is_empty().then_some(())
    })
    .await;
    server.stop().await;
}

#[tokio::test]
async fn truncated_and_altered_cache_files_are_never_served() {
    let stage = Stage::new().await;
    let server = Server::serving(&stage.shop, stage.spring.version, &PATIENT).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    let upload = stage.shop.manifest(1).await.upload.to_string();
    let files = cached(&server, &upload);
    assert!(files.len() >= 5);
    for (at, file) in files.iter().enumerate() {
        let mut bytes = std::fs::read(file).unwrap();
        match at % 2 {
            0 => bytes.truncate(bytes.len() / 2),
            _ => bytes.iter_mut().for_each(|byte| *byte ^= 0x55),
        }
        std::fs::write(file, bytes).unwrap();
    }
    let before = traffic.answers_of(1);
    until("answers", async || {
        (traffic.answers_of(1) > before + 50).then_some(())
    })
    .await;
    server.reload(stage.autumn.version).await.unwrap();
    // Back to what was damaged: every file is found out and fetched again.
    let done = server.reload(stage.spring.version).await.unwrap();
    assert!(done.changed);
    let seen = traffic.finish();
    seen.assert_all_answered();
    seen.assert_computed_by(&stage.models());
    server.stop().await;
}

#[tokio::test]
async fn version_deleted_from_the_store_keeps_serving_while_live() {
    let stage = Stage::new().await;
    let server = Server::serving(&stage.shop, stage.spring.version, &PATIENT).await;
    let traffic = Traffic::start(server.data, Shop::users(), RATE);
    let root = stage.shop.root().join(MODEL);
    let upload = stage.shop.manifest(1).await.upload.to_string();
    std::fs::remove_dir_all(root.join("parts").join(&upload)).unwrap();
    std::fs::remove_file(root.join("versions/000001.json")).unwrap();
    std::fs::remove_dir_all(server.cache().join(MODEL).join(upload)).unwrap();
    server.reload(stage.autumn.version).await.unwrap();
    // The rollout named its manifest, so a copy is there; the parts are not.
    let refused = server.reload(stage.spring.version).await.unwrap_err();
    assert_eq!(
        refused.code(),
        tonic::Code::FailedPrecondition,
        "{refused:?}"
    );
    let said = refused.message();
    assert!(
        said.contains("it is missing from the store (version 2 keeps serving)"),
        "{said}"
    );
    let status = server.status().await;
    assert_eq!(status.live.unwrap().arms[0].version, stage.autumn.version);
    let seen = traffic.finish();
    seen.assert_all_answered();
    seen.assert_computed_by(&stage.models());
    server.stop().await;
}

#[tokio::test]
async fn cache_replaces_a_registry_that_fails_after_its_rollouts_were_read() {
    let stage = Stage::new().await;
    let cache = tempfile::tempdir().unwrap();
    let folder = cache.path().display().to_string();
    let settings = [("cache-dir", &*folder)];
    let server = Server::serving(&stage.shop, stage.autumn.version, &settings).await;
    until("what is live to be kept", async || {
        let kept = server.times_logged("live set persisted");
        (kept == 1).then_some(())
    })
    .await;
    server.stop().await;
    let versions = stage.shop.root().join(MODEL).join("versions");
    std::fs::rename(&versions, versions.with_extension("aside")).unwrap();
    symlink(&versions, &versions).unwrap();
    let server = Server::start(&stage.shop, &settings).await;
    server.until_ready().await;
    assert_eq!(server.recommend("u0001").await.unwrap().version, 2);
    assert_eq!(
        server.status().await.degraded,
        "",
        "it serves the desired version"
    );
    server.stop().await;
}
