//! `kill -9` at the steps of publish and fetch: a child process dies, and this one goes on with what
//! it left, without repair.

use crate::fault_store::{Fault, FaultStore};
use crate::gc::{BY, assert_ended, assert_sound, fill, keep};
use crate::shop::{authors_of_complete_versions, load, model, new_version, options, version};
use hotshelf_registry::{CacheDir, Registry, S3Options};
use object_store::local::LocalFileSystem;
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

const ROLE: &str = "HOTSHELF_TEST_CHILD_ROLE";
const FOLDER: &str = "HOTSHELF_TEST_CHILD_FOLDER";
const STEP: &str = "HOTSHELF_TEST_CHILD_STEP";

/// Longest wait for a child to reach a state.
const WAIT_MAX: Duration = Duration::from_secs(60);

fn url(folder: &Path) -> String {
    format!("file://{}", folder.join("registry").display())
}

fn registry(folder: &Path) -> Registry {
    Registry::open(&url(folder), &S3Options::default())
        .unwrap()
        .with_options(options(1))
}

/// A registry on local disk whose process ends at call `step / 2`, before or after it.
fn dying_registry(folder: &Path, step: usize) -> Registry {
    let fault = if step.is_multiple_of(2) {
        Fault::KillBefore
    } else {
        Fault::KillAfter
    };
    let root = object_store::path::Path::from_absolute_path(folder.join("registry")).unwrap();
    let dying = FaultStore::new(
        std::sync::Arc::new(LocalFileSystem::new()),
        move |call, _, _| {
            if call == step / 2 { fault } else { Fault::None }
        },
    );
    Registry::with_store(dying, root).with_options(options(1))
}

/// What a child process of the tests below does: it never reports, it only dies or comes to its end.
/// Run by itself, without a role, it has nothing to do.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the parent speaks through the environment"
)]
async fn child_process() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let folder = std::path::PathBuf::from(std::env::var(FOLDER).unwrap());
    let step = std::env::var(STEP).ok().map(|step| step.parse().unwrap());
    let registry = match step {
        Some(step) => dying_registry(&folder, step),
        None => registry(&folder),
    };
    let cache = || CacheDir::open(folder.join("cache")).unwrap();
    loop {
        if role == "gc" {
            registry.apply_gc(&model(), &keep(1), BY).await.unwrap();
        } else if role == "publish" {
            registry
                .publish(&model(), new_version("child"))
                .await
                .unwrap();
        } else {
            // Asked past the dying store, so that every step is one of fetch.
            let manifest = self::registry(&folder)
                .manifest(&model(), version(1))
                .await
                .unwrap();
            load(&registry, &manifest, &cache()).await.unwrap();
        }
        if step.is_some() {
            return;
        }
        cache().evict_except(&model(), &[].into()).unwrap();
    }
}

fn spawn(role: &str, folder: &Path, step: Option<usize>) -> Child {
    let mut child = Command::new(std::env::current_exe().unwrap());
    child.args(["--exact", "kill::child_process"]);
    child.env(ROLE, role).env(FOLDER, folder);
    if let Some(step) = step {
        child.env(STEP, step.to_string());
    }
    child
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap()
}

/// Whether the child was killed; panics if it failed in any other way.
fn was_killed(mut child: Child) -> bool {
    let status = child.wait().unwrap();
    assert!(status.success() || status.signal() == Some(9), "{status}");
    !status.success()
}

/// Ends a child as soon as `reached` holds.
fn kill_when(mut child: Child, reached: impl Fn() -> bool) {
    let began = Instant::now();
    while !reached() {
        assert!(began.elapsed() < WAIT_MAX, "the child did not get there");
        assert!(
            child.try_wait().unwrap().is_none(),
            "the child ended by itself"
        );
        std::thread::yield_now();
    }
    child.kill().unwrap();
    assert!(was_killed(child));
}

fn partials(folder: &Path) -> usize {
    let mut count = 0;
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        count += usize::from(name.to_string_lossy().contains(".partial-"));
        count += partials(&entry.path());
    }
    count
}

#[tokio::test]
async fn registry_goes_on_after_publish_was_killed_at_any_step() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let mut spent = 0;
    let mut kills = 0;
    while was_killed(spawn("publish", folder.path(), Some(kills))) {
        kills += 1;
        let published = registry
            .publish(&model(), new_version("parent"))
            .await
            .unwrap();
        // Killed after the commit the child's version is there and whole, else it left no trace.
        assert!((spent + 1..=spent + 2).contains(&published.version.get()));
        spent = published.version.get();
    }
    assert!(kills > 30, "{kills} steps");
    let authors = authors_of_complete_versions(&registry).await;
    assert_eq!(
        authors.len() as u64,
        spent + 1,
        "no gap, and the child that lived"
    );
}

#[tokio::test]
async fn cache_goes_on_after_fetch_was_killed_at_any_step() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let manifest = registry
        .publish(&model(), new_version("parent"))
        .await
        .unwrap();
    let mut kills = 0;
    while was_killed(spawn("fetch", folder.path(), Some(kills))) {
        kills += 1;
        let cache = CacheDir::open(folder.path().join("cache")).unwrap();
        assert_eq!(
            partials(cache.path()),
            0,
            "what the dead writer left is gone"
        );
        load(&registry, &manifest, &cache).await.unwrap();
        cache.evict_except(&model(), &[].into()).unwrap();
    }
    assert!(kills >= 22, "{kills} steps");
}

#[tokio::test]
async fn registry_goes_on_after_removal_was_killed_at_any_step() {
    let store: std::sync::Arc<dyn object_store::ObjectStore> =
        std::sync::Arc::new(LocalFileSystem::new());
    let mut kills = 0;
    loop {
        let folder = tempfile::tempdir().unwrap();
        let registry = registry(folder.path());
        let root = folder.path().join("registry");
        let root = object_store::path::Path::from_absolute_path(root).unwrap();
        fill(&store, &root, &registry).await;
        // Three at a time: each registry is made anew, and three is odd, so that kills before and after a
        // call take turns.
        let was_killed = was_killed(spawn("gc", folder.path(), Some(kills * 3)));
        assert_sound(&registry).await;
        registry.apply_gc(&model(), &keep(1), BY).await.unwrap();
        assert_ended(&store, &root, &registry).await;
        if !was_killed {
            break;
        }
        kills += 1;
    }
    assert!(kills > 30, "{kills} steps");
}

#[tokio::test]
async fn registry_goes_on_after_publish_was_killed_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let mut spent = 0;
    for round in 0..8 {
        let child = spawn("publish", folder.path(), None);
        let file = format!("registry/shop/versions/{:06}.json", spent + 1 + round % 3);
        kill_when(child, || folder.path().join(&file).exists());
        spent = registry
            .publish(&model(), new_version("parent"))
            .await
            .unwrap()
            .version
            .get();
    }
    assert_eq!(
        authors_of_complete_versions(&registry).await.len() as u64,
        spent
    );
}

#[tokio::test]
async fn cache_goes_on_after_fetch_was_killed_from_outside() {
    let folder = tempfile::tempdir().unwrap();
    let registry = registry(folder.path());
    let manifest = registry
        .publish(&model(), new_version("parent"))
        .await
        .unwrap();
    for _ in 0..8 {
        let child = spawn("fetch", folder.path(), None);
        kill_when(child, || partials(&folder.path().join("cache")) > 0);
        let cache = CacheDir::open(folder.path().join("cache")).unwrap();
        assert_eq!(partials(cache.path()), 0);
        load(&registry, &manifest, &cache).await.unwrap();
        cache.evict_except(&model(), &[].into()).unwrap();
    }
}
