//! Objects that no writer of ours made: whatever their names are, everybody goes on, and all readers agree.

use crate::backends::Fresh;
use crate::shop::{model, new_version, over, version};
use hotshelf_registry::{
    GcRules, LogEntry, Proposed, Registry, RolloutDraft, RolloutLog, RolloutRecord,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;
use std::time::Duration;

/// Empty objects with these names, one at a time.
const NAMES: [&str; 9] = [
    "000999.json",
    "100000.json",
    "1000000.json",
    "9007199254740990.json",
    "9007199254740991.json",
    "9007199254740992.json",
    "18446744073709551614.json",
    "18446744073709551615.json",
    "99999999999999999999999.json",
];

/// Longer than the time between two listings of a log.
const A_LISTING_LATER: Duration = Duration::from_secs(11);

fn memory() -> (Arc<dyn ObjectStore>, Registry) {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    (store.clone(), over(store, 1))
}

fn at(name: &str) -> Path {
    Path::from(format!("root/shop/{name}"))
}

async fn put(store: &Arc<dyn ObjectStore>, name: &str, text: &str) {
    store.put(&at(name), text.to_owned().into()).await.unwrap();
}

async fn open(registry: &Registry) -> RolloutLog {
    registry.rollouts(&model()).await.unwrap()
}

async fn propose(registry: &Registry, log: &mut RolloutLog, number: u64) -> RolloutRecord {
    let draft = RolloutDraft::all_to(version(number), "ann", "next");
    let Proposed::Created(record) = registry.propose(log, draft).await.unwrap() else {
        panic!("lost")
    };
    log.poll().await.unwrap();
    record
}

fn head(log: &RolloutLog) -> u64 {
    log.head().map_or(0, |head| head.number.get())
}

fn skipped(log: &RolloutLog) -> Vec<(u64, String)> {
    let entry = |entry| match entry {
        LogEntry::Skipped { number, why } => (number.get(), why),
        entry => panic!("{entry:?}"),
    };
    log.skipped().into_iter().map(entry).collect()
}

#[tokio::test(start_paused = true)]
async fn stray_number_among_rollouts_stops_no_writer_and_parts_no_readers() {
    for name in NAMES {
        let (store, registry) = memory();
        let mut before = open(&registry).await;
        propose(&registry, &mut before, 1).await;
        put(&store, &format!("rollouts/{name}"), "").await;
        let mut after = open(&registry).await;
        assert_eq!((head(&before), head(&after)), (1, 1), "{name}");
        // Each decides once, and both follow.
        assert_eq!(
            propose(&registry, &mut before, 2).await.number.get(),
            2,
            "{name}"
        );
        after.poll().await.unwrap();
        assert_eq!(
            propose(&registry, &mut after, 3).await.number.get(),
            3,
            "{name}"
        );
        before.poll().await.unwrap();
        assert_eq!((head(&before), head(&after)), (3, 3), "{name}");
        assert_eq!(head(&open(&registry).await), 3, "{name}");
        let history = registry.history(&model(), 10).await.unwrap();
        assert_eq!(history.records.len(), 3, "{name}");
    }
}

#[tokio::test(start_paused = true)]
async fn stray_is_reported_by_all_and_its_removal_heals_running_logs() {
    let (store, registry) = memory();
    let mut before = open(&registry).await;
    propose(&registry, &mut before, 1).await;
    put(&store, "rollouts/000999.json", "").await;
    let mut after = open(&registry).await;
    assert_eq!(skipped(&before), [], "it has not been listed yet");
    tokio::time::advance(A_LISTING_LATER).await;
    before.poll().await.unwrap();
    for log in [&before, &after] {
        assert_eq!(skipped(log)[0].0, 999);
    }
    store.delete(&at("rollouts/000999.json")).await.unwrap();
    tokio::time::advance(A_LISTING_LATER).await;
    for log in [&mut before, &mut after] {
        assert_eq!(log.poll().await.unwrap(), []);
        assert_eq!(skipped(log), []);
    }
}

/// As an older release writes it: after the greatest number there is.
#[tokio::test(start_paused = true)]
async fn decision_beyond_a_gap_is_found_by_those_who_follow() {
    let (store, registry) = memory();
    let mut follower = open(&registry).await;
    let first = propose(&registry, &mut follower, 1).await;
    let mut far = serde_json::to_value(&first).unwrap();
    far["number"] = 1_000.into();
    far["parent"] = serde_json::to_value(first.as_parent()).unwrap();
    put(&store, "rollouts/001000.json", &far.to_string()).await;
    assert_eq!(head(&open(&registry).await), 1_000);
    follower.poll().await.unwrap();
    tokio::time::advance(A_LISTING_LATER).await;
    follower.poll().await.unwrap();
    assert_eq!(head(&follower), 1_000);
    assert_eq!(
        propose(&registry, &mut follower, 2).await.number.get(),
        1_001
    );
}

#[tokio::test(start_paused = true)]
async fn number_of_junk_that_was_removed_is_read_again() {
    let (store, registry) = memory();
    let mut old = open(&registry).await;
    propose(&registry, &mut old, 1).await;
    put(&store, "rollouts/000002.json", "{").await;
    old.poll().await.unwrap();
    assert_eq!(old.next_number().unwrap().get(), 3);
    store.delete(&at("rollouts/000002.json")).await.unwrap();
    let mut fresh = open(&registry).await;
    let second = propose(&registry, &mut fresh, 2).await;
    assert_eq!(second.number.get(), 2);
    old.poll().await.unwrap();
    assert_eq!(old.head(), Some(&second));
}

/// Two decided over the same record: the older one does not count, and all say so.
#[tokio::test(start_paused = true)]
async fn decision_that_a_newer_one_did_not_know_is_reported() {
    let (store, registry) = memory();
    let mut one = open(&registry).await;
    propose(&registry, &mut one, 1).await;
    put(&store, "rollouts/000002.json", "{").await;
    one.poll().await.unwrap();
    store.delete(&at("rollouts/000002.json")).await.unwrap();
    let mut other = open(&registry).await;
    propose(&registry, &mut other, 2).await;
    // It goes by what it knew, and writes beyond the number that was junk.
    let draft = RolloutDraft::all_to(version(3), "bob", "meanwhile");
    assert!(matches!(
        registry.propose(&one, draft).await.unwrap(),
        Proposed::Created(_)
    ));
    let why = "rollout 3 was decided without it, and is newer";
    tokio::time::advance(A_LISTING_LATER).await;
    for log in [&mut one, &mut other, &mut open(&registry).await] {
        log.poll().await.unwrap();
        assert_eq!(head(log), 3);
        assert_eq!(skipped(log), [(2, why.to_owned())]);
    }
}

#[tokio::test]
async fn stray_number_among_versions_stops_no_publisher() {
    for name in NAMES {
        let (store, registry) = memory();
        registry
            .publish(&model(), new_version("ann"))
            .await
            .unwrap();
        put(&store, &format!("versions/{name}"), "").await;
        let next = registry
            .publish(&model(), new_version("bob"))
            .await
            .unwrap();
        assert_eq!(next.version, version(2), "{name}");
        assert_eq!(
            registry.newest(&model()).await.unwrap(),
            Some(version(2)),
            "{name}"
        );
    }
}

/// It may be the newest version, damaged: nothing older is taken for it.
#[tokio::test]
async fn unreadable_version_right_after_the_last_one_counts() {
    let (store, registry) = memory();
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    put(&store, "versions/000002.json", "{").await;
    assert_eq!(registry.newest(&model()).await.unwrap(), Some(version(2)));
    put(&store, "versions/000009.json", r#"{"format": 2}"#).await;
    assert_eq!(registry.newest(&model()).await.unwrap(), Some(version(9)));
}

#[tokio::test]
async fn junk_among_replica_files_is_reported_and_stops_no_garbage_collection() {
    let (store, registry) = memory();
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    for (name, text) in [
        ("notes", "hello"),
        ("empty", ""),
        ("other", r#"{"format": 1}"#),
    ] {
        put(&store, &format!("replicas/{name}.json"), text).await;
    }
    let by = ("ann", "tidy");
    let done = registry
        .apply_gc(&model(), &GcRules::default(), by)
        .await
        .unwrap();
    let junk = done.plan.junk.iter().map(|(replica, _)| replica.as_str());
    assert_eq!(junk.collect::<Vec<_>>(), ["empty", "notes", "other"]);
    assert_eq!(done.plan.replicas, []);
    assert!(
        store.head(&at("replicas/notes.json")).await.is_ok(),
        "it stays"
    );
}

/// What S3 allows as a key and the client does not take as a path.
#[tokio::test]
async fn invalid_keys_do_not_end_a_listing() {
    let fresh = Fresh::s3s().await.unwrap();
    let registry = &fresh.registry;
    let mut log = open(registry).await;
    propose(registry, &mut log, 1).await;
    registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    for below in ["rollouts", "versions", "parts", "replicas"] {
        for name in ["/", "//x", "..", "../x", "0/", "000001.json//", "zz//zz//"] {
            let key = format!("{}/shop/{below}/{name}", fresh.root);
            fresh.server().insert(&key);
        }
    }
    for name in ["/", "//x", "./x", "shop//", "shop//x"] {
        fresh.server().insert(&format!("{}/{name}", fresh.root));
    }
    let mut opened = open(registry).await;
    assert_eq!(head(&opened), 1);
    for number in 2..=45 {
        propose(registry, &mut opened, number).await;
    }
    assert_eq!(head(&open(registry).await), 45, "over several pages");
    let next = registry
        .publish(&model(), new_version("bob"))
        .await
        .unwrap();
    assert_eq!(next.version, version(2));
    assert_eq!(registry.versions(&model()).await.unwrap().len(), 2);
    assert_eq!(registry.models().await.unwrap(), [model()]);
    assert_eq!(registry.replicas(&model()).await.unwrap(), []);
    let plan = registry
        .plan_gc(&model(), &GcRules::default())
        .await
        .unwrap();
    assert_eq!(plan.versions.len(), 2);
}

#[cfg(unix)]
mod on_disk {
    use super::*;

    struct OnDisk {
        fresh: Fresh,
        rollouts: std::path::PathBuf,
    }

    async fn on_disk() -> OnDisk {
        let fresh = Fresh::disk().await.unwrap();
        let folder = fresh.folder.as_ref().unwrap().path();
        let rollouts = folder.join("new/registry/shop/rollouts");
        OnDisk { fresh, rollouts }
    }

    fn make_fifo(path: &std::path::Path) {
        let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
        rustix::fs::mknodat(rustix::fs::CWD, path, rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }

    #[tokio::test]
    async fn folder_or_fifo_where_a_rollout_belongs_is_skipped_and_said() {
        for kind in ["folder", "FIFO"] {
            let OnDisk { fresh, rollouts } = on_disk().await;
            let registry = &fresh.registry;
            let mut follower = open(registry).await;
            propose(registry, &mut follower, 1).await;
            let odd = rollouts.join("000002.json");
            match kind {
                "folder" => std::fs::create_dir(&odd).unwrap(),
                _ => make_fifo(&odd),
            }
            follower.poll().await.unwrap();
            let why = format!("it is a {kind} and not a file");
            assert!(
                skipped(&follower)[0].1.contains(&why),
                "{:?}",
                skipped(&follower)
            );
            assert_eq!(propose(registry, &mut follower, 2).await.number.get(), 3);
            let mut opened = open(registry).await;
            assert_eq!(head(&opened), 3);
            let said = opened.obstruction().unwrap().to_owned();
            assert!(said.contains(&format!("000002.json is a {kind}")), "{said}");
            follower.refresh().await.unwrap();
            assert_eq!(follower.obstruction(), Some(said.as_str()));
            match kind {
                "folder" => std::fs::remove_dir(&odd).unwrap(),
                _ => std::fs::remove_file(&odd).unwrap(),
            }
            opened.refresh().await.unwrap();
            assert_eq!((opened.obstruction(), skipped(&opened)), (None, Vec::new()));
        }
    }

    #[tokio::test]
    async fn fifo_among_versions_replicas_or_parts_blocks_nothing() {
        let OnDisk { fresh, rollouts } = on_disk().await;
        let registry = &fresh.registry;
        let manifest = registry
            .publish(&model(), new_version("ann"))
            .await
            .unwrap();
        let shop = rollouts.parent().unwrap();
        std::fs::create_dir_all(shop.join("replicas")).unwrap();
        for name in ["versions/000002.json", "replicas/pod-1.json"] {
            make_fifo(&shop.join(name));
        }
        let entries = registry.versions(&model()).await.unwrap();
        assert!(entries[1].problem().unwrap().contains("it is a FIFO"));
        assert_eq!(registry.replicas(&model()).await.unwrap().len(), 1);
        let part = shop.join(format!("parts/{}/users.arrow", manifest.upload));
        std::fs::remove_file(&part).unwrap();
        make_fifo(&part);
        let folder = tempfile::tempdir().unwrap();
        let cache = hotshelf_registry::CacheDir::open(folder.path()).unwrap();
        let error = registry.fetch(&manifest, &cache).await.unwrap_err();
        assert!(error.to_string().contains("it is a FIFO"), "{error}");
    }

    /// Names that a disk allows and no store does.
    #[tokio::test]
    async fn names_that_are_not_text_do_not_end_a_listing() {
        use std::os::unix::ffi::OsStrExt;
        let OnDisk { fresh, rollouts } = on_disk().await;
        let registry = &fresh.registry;
        let mut log = open(registry).await;
        propose(registry, &mut log, 1).await;
        for name in [&b"\xff\xfe.json"[..], b"a\\b", b"000002.json\n", b"{}^%2F#"] {
            std::fs::write(rollouts.join(std::ffi::OsStr::from_bytes(name)), b"").unwrap();
        }
        std::os::unix::fs::symlink("nowhere", rollouts.join("000007.json")).unwrap();
        let opened = open(registry).await;
        assert_eq!((head(&opened), skipped(&opened)), (1, Vec::new()));
    }
}
