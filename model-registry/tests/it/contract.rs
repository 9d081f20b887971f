//! The laws of the registry, run against every backend: memory, local disk, a store on which every
//! third call fails, half of them after they were applied, and S3 servers over HTTP.

use crate::backends::Fresh;
use crate::shop::{
    assert_parts_of, authors_of_complete_versions, model, new_version, options, version,
};
use futures::future::join_all;
use hotshelf_registry::{CacheDir, VersionState};
use std::collections::BTreeSet;

mod gc;
mod replicas;
mod rollouts;

use gc::{
    an_upload_that_nothing_names_goes_once_it_is_old,
    what_nobody_needs_is_removed_and_its_number_stays_spent,
};
use replicas::{
    a_replica_overwrites_its_own_file_and_no_other, a_replica_that_cannot_be_read_is_an_entry,
};
use rollouts::{
    a_log_follows_without_listing, a_rollout_names_its_parent_and_that_ones_stored_bytes,
    junk_is_skipped_reported_and_never_reused,
    of_racing_proposers_one_creates_and_all_others_see_it, the_chain_never_forks,
};

macro_rules! on_every_backend {
    ($($law:ident),* $(,)?) => {
        on_every_backend!(@ memory: $($law),*);
        on_every_backend!(@ disk: $($law),*);
        on_every_backend!(@ rough: $($law),*);
        on_every_backend!(@ s3s: $($law),*);
        on_every_backend!(@ rough_s3s: $($law),*);
        on_every_backend!(@ versitygw: $($law),*);
        on_every_backend!(@ moto: $($law),*);
    };
    (@ $backend:ident: $($law:ident),*) => {
        mod $backend {
            $(
                #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
                async fn $law() {
                    if let Some(fresh) = super::Fresh::$backend().await {
                        super::$law(fresh).await;
                    }
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
    a_replica_overwrites_its_own_file_and_no_other,
    a_replica_that_cannot_be_read_is_an_entry,
    what_nobody_needs_is_removed_and_its_number_stays_spent,
    an_upload_that_nothing_names_goes_once_it_is_old,
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
    if let Some(folder) = &fresh.folder {
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
    let mut local = registry.fetch(&read, &cache).await.unwrap();
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
