//! The laws of the registry, run against every backend: memory, local disk, and a store on which
//! every third call fails, half of them after they were applied.

use crate::fault_store::{Fault, FaultStore};
use crate::shop::{
    assert_parts_of, authors_of_complete_versions, model, new_version, options, over, version,
};
use futures::future::join_all;
use hotshelf_registry::{
    CacheDir, Proposed, Registry, RolloutDraft, RolloutLog, Seen, VersionState,
};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A fresh registry, and the store below it for tests that write what the registry would not.
struct Fresh {
    registry: Registry,
    store: Arc<dyn ObjectStore>,
    root: Path,
    _folder: Option<tempfile::TempDir>,
}

impl Fresh {
    fn memory() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let registry = over(store.clone(), 1);
        Self {
            registry,
            store,
            root: Path::from("root"),
            _folder: None,
        }
    }

    fn disk() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/registry");
        let registry = Registry::open(&format!("file://{}", path.display())).unwrap();
        let root = Path::from_absolute_path(&path).unwrap();
        Self {
            registry: registry.with_options(options(1)),
            store: Arc::new(object_store::local::LocalFileSystem::new()),
            root,
            _folder: Some(folder),
        }
    }

    fn rough() -> Self {
        let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
        let rough = FaultStore::new(store.clone(), |call, _, _| match call % 6 {
            1 => Fault::Fail,
            4 => Fault::LoseAnswer,
            _ => Fault::None,
        });
        Self {
            registry: over(rough, 30),
            store,
            root: Path::from("root"),
            _folder: None,
        }
    }

    /// Writes below the model's folder past the registry.
    async fn put(&self, path: &str, text: &str) {
        let path = Path::parse(format!("{}/shop/{path}", self.root)).unwrap();
        self.store.put(&path, text.to_owned().into()).await.unwrap();
    }
}

macro_rules! on_every_backend {
    ($($law:ident),* $(,)?) => {
        on_every_backend!(@ memory: $($law),*);
        on_every_backend!(@ disk: $($law),*);
        on_every_backend!(@ rough: $($law),*);
    };
    (@ $backend:ident: $($law:ident),*) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $law() {
                    super::$law(super::Fresh::$backend()).await;
                }
            )*
        }
    };
}

on_every_backend!(
    an_empty_registry_has_nothing_and_gets_no_folder,
    what_was_published_is_what_is_loaded,
    racing_publishers_all_end_published_with_their_own_parts,
    readers_never_see_a_version_whose_parts_are_not_complete,
    publishing_moves_no_traffic,
    removed_and_unreadable_versions_keep_their_numbers,
    a_rollout_names_its_parent_and_that_ones_stored_bytes,
    of_racing_proposers_one_creates_and_all_others_see_it,
    the_chain_never_forks,
    junk_is_skipped_reported_and_never_reused,
    a_log_follows_without_listing,
);

async fn an_empty_registry_has_nothing_and_gets_no_folder(fresh: Fresh) {
    let registry = &fresh.registry;
    assert_eq!(registry.models().await.unwrap(), []);
    assert_eq!(registry.versions(&model()).await.unwrap(), []);
    assert_eq!(registry.newest(&model()).await.unwrap(), None);
    let error = registry.manifest(&model(), version(1)).await.unwrap_err();
    assert_eq!(error.to_string(), "version 1 of shop does not exist");
    let log = registry.rollouts(&model()).await.unwrap();
    assert!(log.head().is_none() && log.skipped().is_empty());
    if let Some(folder) = &fresh._folder {
        assert!(
            !folder.path().join("new").exists(),
            "reading creates nothing"
        );
    }
}

async fn what_was_published_is_what_is_loaded(fresh: Fresh) {
    let registry = &fresh.registry;
    let published = registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    assert_eq!(published.version, version(1));
    assert_eq!(registry.models().await.unwrap(), [model()]);
    assert_eq!(registry.newest(&model()).await.unwrap(), Some(version(1)));
    let read = registry.manifest(&model(), version(1)).await.unwrap();
    assert_eq!(read, published);
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(folder.path()).unwrap();
    let mut slices = Vec::new();
    let local = registry.fetch(&read, &cache).await.unwrap();
    assert_eq!(local.size_bytes(), 10_001);
    let parts = local.seal(&mut |bytes| slices.push(bytes)).unwrap();
    assert_parts_of("ann", &parts);
    assert_eq!(slices.iter().sum::<usize>(), 10_001);
    for bytes in parts.values().filter(|bytes| !bytes.is_empty()) {
        assert_eq!(
            bytes.as_ptr() as usize % 64,
            0,
            "sealed memory begins on a cache line"
        );
    }
}

async fn racing_publishers_all_end_published_with_their_own_parts(fresh: Fresh) {
    let racers = (0..32).map(|racer| {
        // Handles of their own: nothing but the store keeps them apart.
        let registry = fresh.registry.clone().with_options(options(30));
        async move {
            let author = format!("{racer:02} is my name");
            tokio::spawn(async move { registry.publish(&model(), new_version(&author)).await })
                .await
        }
    });
    let mut published = BTreeSet::new();
    for outcome in join_all(racers).await {
        published.insert(outcome.unwrap().unwrap().version.get());
    }
    assert_eq!(
        published,
        (1..=32).collect(),
        "distinct numbers, none left out"
    );
    let authors = authors_of_complete_versions(&fresh.registry).await;
    assert_eq!(authors.values().collect::<BTreeSet<_>>().len(), 32);
}

async fn readers_never_see_a_version_whose_parts_are_not_complete(fresh: Fresh) {
    let registry = fresh.registry.clone();
    let publisher = tokio::spawn(async move {
        for round in 0..10 {
            registry
                .publish(&model(), new_version(&format!("round {round}")))
                .await
                .unwrap();
        }
    });
    let mut seen = 0;
    while seen < 10 {
        let authors = authors_of_complete_versions(&fresh.registry).await;
        assert!(authors.len() >= seen, "what was seen stays");
        seen = authors.len();
    }
    publisher.await.unwrap();
}

async fn publishing_moves_no_traffic(fresh: Fresh) {
    let mut log = fresh.registry.rollouts(&model()).await.unwrap();
    fresh
        .registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    assert_eq!(log.poll().await.unwrap(), []);
    assert!(
        fresh
            .registry
            .rollouts(&model())
            .await
            .unwrap()
            .head()
            .is_none()
    );
}

async fn removed_and_unreadable_versions_keep_their_numbers(fresh: Fresh) {
    let registry = &fresh.registry;
    for author in ["ann", "bob", "cid"] {
        registry
            .publish(&model(), new_version(author))
            .await
            .unwrap();
    }
    let removed = r#"{"at": "2026-11-24T02:00:00Z", "by": "eve", "why": "leak"}"#;
    let stone = |number: u64| {
        format!(r#"{{"format": 1, "model": "shop", "version": {number}, "removed": {removed}}}"#)
    };
    fresh.put("versions/000003.json", &stone(3)).await;
    fresh.put("versions/000004.json", &stone(4)).await;
    assert_eq!(registry.newest(&model()).await.unwrap(), Some(version(2)));
    let error = registry.manifest(&model(), version(4)).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "version 4 of shop was removed by eve: leak"
    );
    fresh.put("versions/000005.json", "{").await;
    fresh.put("versions/000006.json", r#"{"format": 9}"#).await;
    fresh.put("versions/7.json", "not one of ours").await;
    let published = registry
        .publish(&model(), new_version("dan"))
        .await
        .unwrap();
    assert_eq!(published.version, version(7));
    let entries = registry.versions(&model()).await.unwrap();
    let kinds: Vec<_> = entries
        .iter()
        .map(|entry| match &entry.state {
            VersionState::Published { author, .. } => author.as_str(),
            VersionState::Removed(_) => "removed",
            VersionState::Unreadable { kind, .. } => kind,
        })
        .collect();
    assert_eq!(
        kinds,
        [
            "ann",
            "bob",
            "removed",
            "removed",
            "corrupt",
            "unsupported_format",
            "dan"
        ]
    );
    assert_eq!(entries[4].version, version(5));
    assert!(entries[5].problem().unwrap().contains("format 9"));
}

fn draft(number: u64, author: &str) -> RolloutDraft {
    RolloutDraft::all_to(version(number), author, "a test")
}

async fn propose(registry: &Registry, log: &RolloutLog, author: &str) -> Proposed {
    registry.propose(log, draft(1, author)).await.unwrap()
}

async fn a_rollout_names_its_parent_and_that_ones_stored_bytes(fresh: Fresh) {
    let registry = &fresh.registry;
    let mut log = registry.rollouts(&model()).await.unwrap();
    let Proposed::Created(first) = propose(registry, &log, "ann").await else {
        panic!("lost")
    };
    assert_eq!((first.number.get(), first.parent), (1, None));
    assert_eq!(log.poll().await.unwrap(), [Seen::Rollout(first.clone())]);
    let Proposed::Created(second) = propose(registry, &log, "bob").await else {
        panic!("lost")
    };
    assert_eq!(second.parent, Some(first.as_parent()));
    assert_ne!(first.salt, second.salt, "drawn afresh where none was given");
    let log = registry.rollouts(&model()).await.unwrap();
    assert_eq!(log.chain(), [second, first]);
}

async fn of_racing_proposers_one_creates_and_all_others_see_it(fresh: Fresh) {
    for round in 1..=5 {
        let log = fresh.registry.rollouts(&model()).await.unwrap();
        let racers = (0..16).map(|racer| {
            let registry = fresh.registry.clone().with_options(options(30));
            let log = log.clone();
            let author = format!("racer {racer}");
            tokio::spawn(async move { registry.propose(&log, draft(1, &author)).await })
        });
        let (mut created, mut lost) = (Vec::new(), Vec::new());
        for outcome in join_all(racers).await {
            match outcome.unwrap().unwrap() {
                Proposed::Created(record) => created.push(record),
                Proposed::Lost(winner) => lost.push(winner),
            }
        }
        assert_eq!((created.len(), lost.len()), (1, 15));
        assert!(lost.iter().all(|winner| *winner == created[0]));
        assert_eq!(created[0].number.get(), round);
    }
}

async fn the_chain_never_forks(fresh: Fresh) {
    let writers = (0..4).map(|writer| {
        let registry = fresh.registry.clone().with_options(options(30));
        tokio::spawn(async move {
            let mut log = registry.rollouts(&model()).await.unwrap();
            let mut written = 0;
            while written < 6 {
                log.poll().await.unwrap();
                let outcome = propose(&registry, &log, &format!("writer {writer}")).await;
                written += usize::from(matches!(outcome, Proposed::Created(_)));
            }
        })
    });
    join_all(writers)
        .await
        .into_iter()
        .for_each(|writer| writer.unwrap());
    let log = fresh.registry.rollouts(&model()).await.unwrap();
    assert_eq!(
        log.chain().len(),
        24,
        "every record that was created is in the one chain"
    );
    for pair in log.chain().windows(2) {
        assert_eq!(pair[0].parent, Some(pair[1].as_parent()));
    }
    assert_eq!(log.skipped(), []);
}

async fn junk_is_skipped_reported_and_never_reused(fresh: Fresh) {
    let registry = &fresh.registry;
    let log = registry.rollouts(&model()).await.unwrap();
    let Proposed::Created(first) = propose(registry, &log, "ann").await else {
        panic!("lost")
    };
    let mut follower = registry.rollouts(&model()).await.unwrap();
    let before_junk = follower.clone();
    let mut stranger = serde_json::to_value(&first).unwrap();
    stranger["number"] = 3.into();
    stranger["parent"] = serde_json::json!({ "number": 1, "sha256": "00".repeat(32) });
    fresh.put("rollouts/000002.json", "{").await;
    fresh
        .put("rollouts/000003.json", &stranger.to_string())
        .await;
    fresh.put("rollouts/000004.json", r#"{"format": 2}"#).await;
    fresh.put("rollouts/000005.json", &" ".repeat(70_000)).await;
    fresh.put("rollouts/readme.json", "not one of ours").await;

    let whys: Vec<_> = follower
        .poll()
        .await
        .unwrap()
        .into_iter()
        .map(|seen| match seen {
            Seen::Skipped { number, why } => (number.get(), why),
            Seen::Rollout(record) => panic!("{record:?}"),
        })
        .collect();
    let said = [
        "not a record",
        "does not chain",
        "format 2",
        "the limit is 65536",
    ];
    for ((number, why), (at, said)) in whys.iter().zip(said.iter().enumerate()) {
        assert_eq!(*number, at as u64 + 2);
        assert!(why.contains(said), "{why}");
    }
    assert_eq!(follower.head(), Some(&first));

    let next = propose(registry, &before_junk, "bob").await;
    let Proposed::Created(next) = next else {
        panic!("{next:?}")
    };
    assert_eq!(
        next.number.get(),
        6,
        "a proposer that has not seen them passes over them too"
    );
    assert_eq!(next.parent, Some(first.as_parent()));
    let opened = registry.rollouts(&model()).await.unwrap();
    assert_eq!(opened.chain(), [next, first]);
}

async fn a_log_follows_without_listing(fresh: Fresh) {
    let store = fresh.store.clone();
    let blind = FaultStore::new(store, |_, op, _| match op {
        crate::fault_store::Op::List => Fault::Fail,
        _ => Fault::None,
    });
    let mut log = fresh.registry.rollouts(&model()).await.unwrap();
    let Proposed::Created(first) = propose(&fresh.registry, &log, "ann").await else {
        panic!("lost")
    };
    log.poll().await.unwrap();
    let registry = Registry::with_store(blind, fresh.root.clone()).with_options(options(1));
    assert_eq!(
        registry.rollouts(&model()).await.unwrap_err().kind(),
        "unavailable"
    );
    let Proposed::Created(second) = propose(&registry, &log, "bob").await else {
        panic!("lost")
    };
    assert_eq!(log.poll().await.unwrap(), [Seen::Rollout(second.clone())]);
    assert_eq!(log.chain(), [second, first]);
    assert_eq!(log.poll().await.unwrap(), []);
}
