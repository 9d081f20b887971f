//! Removal under faults: stopped at any call, raced by a rollout, kept from seeing who needs what.

use crate::backends::Fresh;
use crate::fault_store::{Fault, FaultStore, Op};
use crate::replicas::state;
use crate::shop::{assert_parts_of, load, model, new_version, options, over, version};
use futures::TryStreamExt;
use hotshelf_registry::{
    CacheDir, Clock, Error, Fate, GcRules, Manifest, Options, Proposed, REPLICA_GONE_AFTER,
    Registry, RolloutDraft, Version,
};
use object_store::local::LocalFileSystem;
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;
use std::fs::File;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

/// Who removes, and why.
pub(crate) const BY: (&str, &str) = ("gus", "no longer needed");

/// Of the last rollouts so many; whatever is removed may be as young as can be.
pub(crate) fn keep(keep_rollouts: usize) -> GcRules {
    GcRules {
        keep_rollouts,
        min_age: Duration::ZERO,
        upload_age: Duration::ZERO,
    }
}

/// Rolls each of these versions out, one after the other.
pub(crate) async fn rollouts_of(registry: &Registry, versions: &[u64]) {
    let mut log = registry.rollouts(&model()).await.unwrap();
    for number in versions {
        let draft = RolloutDraft::all_to(version(*number), "ann", "a test");
        let proposed = registry.propose(&log, draft).await.unwrap();
        assert!(matches!(proposed, Proposed::Created(_)), "{proposed:?}");
        log.poll().await.unwrap();
    }
}

/// Folders below `parts/` that have anything in them.
pub(crate) async fn parts(fresh: &Fresh) -> BTreeSet<String> {
    uploads(&fresh.store, &fresh.root).await
}

async fn uploads(store: &Arc<dyn ObjectStore>, root: &Path) -> BTreeSet<String> {
    let folder = Path::parse(format!("{root}/shop/parts")).unwrap();
    let files: Vec<_> = store.list(Some(&folder)).try_collect().await.unwrap();
    let below = files.iter().filter_map(|file| {
        let mut below = file.location.prefix_match(&folder)?;
        Some(below.next()?.as_ref().to_owned())
    });
    below.collect()
}

/// Versions 1 to 3, of which 3 is rolled out last, and an upload that nothing names.
async fn shop() -> (Arc<dyn ObjectStore>, Registry) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = over(store.clone(), 1);
    fill(&store, &Path::from("root"), &registry).await;
    (store, registry)
}

pub(crate) async fn fill(store: &Arc<dyn ObjectStore>, root: &Path, registry: &Registry) {
    for author in ["ann", "bob", "cid"] {
        registry
            .publish(&model(), new_version(author))
            .await
            .unwrap();
    }
    rollouts_of(registry, &[1, 2, 3]).await;
    let path = format!("{root}/shop/parts/{}/users.arrow", "0f".repeat(16));
    store
        .put(&Path::parse(path).unwrap(), "left".into())
        .await
        .unwrap();
}

/// Asserts that this version can be loaded whole.
async fn assert_whole(registry: &Registry, number: u64, author: &str) {
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(dir.path()).unwrap();
    let manifest = registry.manifest(&model(), version(number)).await.unwrap();
    let parts = load(registry, &manifest, &cache).await.unwrap();
    assert_parts_of(author, &parts);
}

/// What must hold of [`shop`] at every moment of a removal: what is rolled out is whole, and every
/// manifest has its parts.
pub(crate) async fn assert_sound(registry: &Registry) {
    for (number, author) in [(1, "ann"), (2, "bob"), (3, "cid")] {
        match registry.manifest(&model(), version(number)).await {
            Ok(_) => assert_whole(registry, number, author).await,
            Err(Error::Removed { .. }) => assert_ne!(number, 3),
            Err(error) => panic!("{error}"),
        }
    }
}

/// A run that comes to its end leaves this, whatever came before it.
pub(crate) async fn assert_ended(store: &Arc<dyn ObjectStore>, root: &Path, registry: &Registry) {
    let removed: Vec<Version> = [1, 2].map(version).into();
    for version in removed {
        let error = registry.manifest(&model(), version).await.unwrap_err();
        assert_eq!(error.kind(), "removed");
    }
    assert_whole(registry, 3, "cid").await;
    assert_eq!(uploads(store, root).await.len(), 1);
}

#[tokio::test]
async fn run_stopped_at_any_call_leaves_a_sound_registry_and_the_next_one_ends_it() {
    let mut k = 0;
    loop {
        let (store, healthy) = shop().await;
        let stopped = FaultStore::new(store.clone(), move |call, _, _| {
            if call >= k { Fault::Fail } else { Fault::None }
        });
        let outcome = over(stopped, 1).apply_gc(&model(), &keep(1), BY).await;
        assert_sound(&healthy).await;
        healthy.apply_gc(&model(), &keep(1), BY).await.unwrap();
        assert_ended(&store, &Path::from("root"), &healthy).await;
        if outcome.is_ok() {
            break;
        }
        k += 1;
    }
    assert!(k > 40, "{k} calls");
}

/// The rollout comes between the tombstone and the deletion of the first part, whichever call that is.
#[tokio::test]
async fn version_that_is_rolled_out_while_it_is_removed_is_not_lost() {
    let mut taken_back = 0;
    let mut k = 0;
    loop {
        let (store, healthy) = shop().await;
        // The run is stopped, the rollout is made, the run ends: as one process after the other, so that
        // every order is one of the loop.
        let stopped = FaultStore::new(store.clone(), move |call, _, _| {
            if call >= k { Fault::Fail } else { Fault::None }
        });
        let outcome = over(stopped, 1).apply_gc(&model(), &keep(1), BY).await;
        let is_published = healthy.manifest(&model(), version(1)).await.is_ok();
        // As a proposer does, who finds out first whether the version is there.
        if is_published {
            rollouts_of(&healthy, &[1]).await;
            let done = healthy.apply_gc(&model(), &keep(1), BY).await.unwrap();
            assert!(!done.removed.contains(&version(1)));
            assert_whole(&healthy, 1, "ann").await;
        } else {
            // Who decided a moment before the tombstone, and writes the record after it.
            rollouts_of(&healthy, &[1]).await;
            let plan = healthy.plan_gc(&model(), &keep(1)).await.unwrap();
            let first = plan.versions.iter().find(|v| v.version == version(1));
            let is_back = first.is_some_and(|first| first.fate == Fate::TakenBack);
            let done = healthy.apply_gc(&model(), &keep(1), BY).await.unwrap();
            assert_eq!(done.taken_back.contains(&version(1)), is_back);
            if is_back {
                taken_back += 1;
                assert_whole(&healthy, 1, "ann").await;
            }
        }
        if outcome.is_ok() {
            break;
        }
        k += 1;
    }
    assert!(taken_back > 3, "{taken_back} of {k}");
}

/// Within one run: the first tombstone is held up until the record is there.
#[tokio::test]
#[expect(
    clippy::disallowed_methods,
    reason = "the run is held up where its store is called, on a thread of its own"
)]
async fn gc_restores_a_version_that_is_rolled_out_after_its_plan() {
    let (store, healthy) = shop().await;
    // Whatever its bytes are, they come back.
    let path = Path::from("root/shop/versions/000001.json");
    let written = store.get(&path).await.unwrap().bytes().await.unwrap();
    let tree: serde_json::Value = serde_json::from_slice(&written).unwrap();
    let odd = format!("\t{}\r\n \n", tree).replace("ann", "\\u0061nn");
    store.put(&path, odd.clone().into()).await.unwrap();
    let (reached, hold) = std::sync::mpsc::sync_channel(1);
    let (go_on, held) = std::sync::mpsc::sync_channel(1);
    let held = Mutex::new(held);
    let raced = FaultStore::new(store.clone(), move |_, op, path| {
        if *op == Op::Put && path.as_ref().ends_with("versions/000001.json") {
            // Once; what is put back later finds nobody at the other end.
            if reached.send(()).is_ok() {
                held.lock().unwrap().recv().ok();
            }
        }
        Fault::None
    });
    let gc = over(raced, 1);
    let run = tokio::task::spawn_blocking(move || {
        let mut builder = tokio::runtime::Builder::new_current_thread();
        let runtime = builder.enable_time().build().unwrap();
        runtime.block_on(gc.apply_gc(&model(), &keep(1), BY))
    });
    let hold = tokio::task::spawn_blocking(move || hold.recv().unwrap());
    hold.await.unwrap();
    rollouts_of(&healthy, &[1]).await;
    go_on.send(()).unwrap();
    drop(go_on);
    let done = run.await.unwrap().unwrap();
    assert_eq!(done.taken_back, [version(1)]);
    assert_eq!(done.removed, [version(2)]);
    assert_whole(&healthy, 1, "ann").await;
    assert_eq!(store.get(&path).await.unwrap().bytes().await.unwrap(), odd);
}

/// Version 3 is live by its digest, and was rewritten to the parts of version 2.
#[tokio::test]
async fn what_a_named_manifest_needs_stays_and_copies_that_nobody_names_go() {
    let (store, registry) = shop().await;
    let manifest = async |number| registry.manifest(&model(), version(number)).await.unwrap();
    let (one, two, three) = (manifest(1).await, manifest(2).await, manifest(3).await);
    for manifest in [&one, &three] {
        registry.copy_manifest(manifest).await.unwrap();
    }
    let mut draft = RolloutDraft::all_to(version(3), "ann", "by its digest");
    draft.arms[0].manifest_sha256 = Some(three.sha256);
    let log = registry.rollouts(&model()).await.unwrap();
    registry.propose(&log, draft).await.unwrap();
    let path = Path::from("root/shop/versions/000003.json");
    let mut rewritten = serde_json::to_value(&three).unwrap();
    rewritten["parts"] = serde_json::to_value(&two.parts).unwrap();
    rewritten["upload"] = two.upload.to_string().into();
    store
        .put(&path, rewritten.to_string().into())
        .await
        .unwrap();
    registry.apply_gc(&model(), &keep(1), BY).await.unwrap();
    let left = uploads(&store, &Path::from("root")).await;
    assert_eq!(
        left,
        BTreeSet::from([two.upload, three.upload].map(|upload| upload.to_string()))
    );
    let copied = async |of: &Manifest| {
        let found = registry
            .copied_manifest(&model(), of.version, of.sha256)
            .await;
        found.unwrap()
    };
    assert_eq!(copied(&one).await, None);
    assert_eq!(copied(&three).await.as_ref(), Some(&three));
}

#[tokio::test]
async fn gc_sweeps_a_model_without_versions() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let left = format!("root/shop/parts/{}/rest.json", "ab".repeat(16));
    let left = Path::parse(left).unwrap();
    store.put(&left, "{}".into()).await.unwrap();
    let registry = over(store.clone(), 1);
    let plan = registry.plan_gc(&model(), &keep(1)).await.unwrap();
    assert!(plan.uploads[0].is_removed, "{plan:?}");
    let done = registry.apply_gc(&model(), &keep(1), BY).await.unwrap();
    assert_eq!(done.plan.uploads.len(), 1, "{done:?}");
    assert!(uploads(&store, &Path::from("root")).await.is_empty());
}

#[tokio::test]
async fn replica_that_comes_back_while_a_run_removes_keeps_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let disk = LocalFileSystem::new_with_prefix(folder.path()).unwrap();
    let store: Arc<dyn ObjectStore> = Arc::new(disk);
    let healthy = over(store.clone(), 1);
    fill(&store, &Path::from("root"), &healthy).await;
    healthy.write_replica(&state("back")).await.unwrap();
    let file = folder.path().join("root/shop/replicas/back.json");
    let told_at = {
        let file = file.clone();
        move |time: SystemTime| {
            let file = File::options().write(true).open(&file).unwrap();
            file.set_modified(time).unwrap();
        }
    };
    told_at(SystemTime::now() - REPLICA_GONE_AFTER - Duration::from_secs(60));
    let raced = FaultStore::new(store.clone(), move |_, op, path| {
        if *op == Op::Put && path.as_ref().ends_with("versions/000002.json") {
            told_at(SystemTime::now());
        }
        Fault::None
    });
    let done = over(raced, 1)
        .apply_gc(&model(), &keep(1), BY)
        .await
        .unwrap();
    assert!(done.removed.contains(&version(2)), "{done:?}");
    assert!(done.plan.replicas.is_empty(), "{done:?}");
    assert!(file.exists());
}

#[tokio::test]
async fn gc_that_cannot_read_references_removes_nothing() {
    let (store, registry) = shop().await;
    registry.write_replica(&state("pod-1")).await.unwrap();
    let path = Path::from("root/shop/replicas/pod-2.json");
    let newer = r#"{ "format": 2 }"#;
    store.put(&path, newer.into()).await.unwrap();
    let refused = registry.apply_gc(&model(), &keep(1), BY).await.unwrap_err();
    let said = refused.to_string();
    assert!(said.contains("replica pod-2"), "{said}");
    assert!(said.contains("what it needs is unknown"), "{said}");
    assert_eq!(uploads(&store, &Path::from("root")).await.len(), 4);
    store.delete(&path).await.unwrap();
    // A listing of replicas that fails, or of rollouts that shows none.
    let failing = FaultStore::new(store.clone(), |_, op, path| {
        let is_it = *op == Op::List && path.as_ref().ends_with("replicas");
        if is_it { Fault::Fail } else { Fault::None }
    });
    let refused = over(failing, 1).apply_gc(&model(), &keep(1), BY).await;
    assert_eq!(refused.unwrap_err().kind(), "unavailable");
    let hiding = FaultStore::new(store.clone(), |_, _, path| {
        let is_it = path.as_ref().contains("rollouts");
        if is_it {
            Fault::ListNothing
        } else {
            Fault::None
        }
    });
    let mut rules = keep(1);
    rules.upload_age = Duration::MAX;
    let done = over(hiding, 1)
        .apply_gc(&model(), &rules, BY)
        .await
        .unwrap();
    assert!(!done.removed.contains(&version(3)), "{done:?}");
    assert_whole(&registry, 3, "cid").await;
}

#[tokio::test]
async fn young_objects_stay_by_the_stores_clock() {
    let (store, registry) = shop().await;
    let year = jiff::SignedDuration::from_hours(24 * 365);
    let clock = Clock::from_fn(move || jiff::Timestamp::now() + year);
    let ahead = registry.with_options(Options {
        clock,
        ..options(1)
    });
    let rules = GcRules {
        keep_rollouts: 1,
        ..GcRules::default()
    };
    let done = ahead.apply_gc(&model(), &rules, BY).await.unwrap();
    assert_eq!((done.removed, done.freed_bytes), (vec![], 0));
    let fates: Vec<_> = done.plan.versions.iter().map(|v| &v.fate).collect();
    assert_eq!(fates[..2], [&Fate::Young, &Fate::Young]);
    assert_eq!(uploads(&store, &Path::from("root")).await.len(), 4);
}

/// Its parts may have been swept: a version without them must not come to be.
#[tokio::test(start_paused = true)]
async fn publish_that_took_longer_than_its_parts_are_safe_makes_no_version() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let hours = Arc::new(std::sync::atomic::AtomicI64::new(0));
    let late = Arc::clone(&hours);
    let slow = FaultStore::new(store.clone(), move |_, op, path| {
        if *op == Op::Put && path.as_ref().ends_with("users.arrow") {
            late.store(13, std::sync::atomic::Ordering::SeqCst);
        }
        Fault::None
    });
    let clock = Clock::from_fn(move || {
        let hours = hours.load(std::sync::atomic::Ordering::SeqCst);
        jiff::Timestamp::UNIX_EPOCH + jiff::SignedDuration::from_hours(hours)
    });
    let registry = over(slow, 1).with_options(Options {
        clock,
        ..options(1)
    });
    let error = registry.publish(&model(), new_version("ann")).await;
    let error = error.unwrap_err();
    assert!(error.is_retryable(), "{error}");
    let healthy = over(store, 1);
    assert_eq!(healthy.versions(&model()).await.unwrap(), []);
}
