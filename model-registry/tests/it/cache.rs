//! The cache folder between fetch and seal, and after.

use crate::fault_store::{Fault, FaultStore, Op};
use crate::shop::{assert_parts_of, load, model, new_version, over};
use bytes::Bytes;
use futures::FutureExt;
use hotshelf_registry::{CacheDir, Error, Limits, LocalParts, Manifest, Options, Registry};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;

struct Fetched {
    store: Arc<FaultStore>,
    registry: Registry,
    manifest: Manifest,
    cache: CacheDir,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Fetched {
    async fn fetch(&self) -> Result<LocalParts, Error> {
        self.registry.fetch(&self.manifest, &self.cache).await
    }

    async fn load(&self) -> Result<BTreeMap<String, Bytes>, Error> {
        load(&self.registry, &self.manifest, &self.cache).await
    }
}

/// A version that was loaded once.
async fn fetched() -> Fetched {
    let memory: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let store = FaultStore::new(memory, |_, _, _| Fault::None);
    let registry = over(store.clone(), 1);
    let manifest = registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(folder.path()).unwrap();
    load(&registry, &manifest, &cache).await.unwrap();
    let upload = folder.path().join("shop").join(manifest.upload.to_string());
    let file = upload.join("als.safetensors");
    Fetched {
        store,
        registry,
        manifest,
        cache,
        file,
        _folder: folder,
    }
}

#[tokio::test]
async fn complete_files_are_reused() {
    let fetched = fetched().await;
    let calls = fetched.store.calls();
    assert_parts_of("ann", &fetched.load().await.unwrap());
    assert_eq!(
        fetched.store.calls(),
        calls,
        "nothing was asked of the store"
    );
}

#[tokio::test]
async fn truncated_file_is_fetched_again() {
    let fetched = fetched().await;
    fs::write(&fetched.file, b"short").unwrap();
    assert_parts_of("ann", &fetched.load().await.unwrap());
}

#[tokio::test]
async fn altered_file_is_detected_deleted_and_refetched() {
    let fetched = fetched().await;
    let mut bytes = fs::read(&fetched.file).unwrap();
    bytes[5_000] ^= 1;
    fs::write(&fetched.file, bytes).unwrap();
    let error = fetched.load().await.unwrap_err();
    assert_eq!(error.kind(), "corrupt");
    assert!(error.is_retryable(), "the store may well have it right");
    assert!(!fetched.file.exists());
    assert_parts_of("ann", &fetched.load().await.unwrap());
}

#[tokio::test]
async fn all_altered_files_are_detected_at_once() {
    let fetched = fetched().await;
    let other = fetched.file.with_file_name("users.arrow");
    let mut bytes = fs::read(&fetched.file).unwrap();
    bytes[5_000] ^= 1;
    fs::write(&fetched.file, bytes).unwrap();
    fs::write(&other, b"?").unwrap();
    let error = fetched.load().await.unwrap_err();
    assert!(error.to_string().contains("als.safetensors"), "{error}");
    assert!(!fetched.file.exists() && !other.exists());
    assert_parts_of("ann", &fetched.load().await.unwrap());
}

#[tokio::test]
async fn file_that_shrinks_between_fetch_and_seal_is_refused() {
    let fetched = fetched().await;
    let mut local = fetched.fetch().await.unwrap();
    fs::write(&fetched.file, b"short").unwrap();
    let error = local.seal(&mut |_| {}).unwrap_err();
    assert!(
        error.to_string().contains("expected 10000 bytes, found 5"),
        "{error}"
    );
    assert!(error.is_retryable() && !fetched.file.exists());
}

#[tokio::test]
async fn sealed_parts_do_not_look_at_the_file_again() {
    let fetched = fetched().await;
    let parts = fetched.load().await.unwrap();
    fs::write(&fetched.file, vec![0; 10_000]).unwrap();
    assert_parts_of("ann", &parts);
    fs::remove_dir_all(fetched.cache.path().join("shop")).unwrap();
    assert_parts_of("ann", &parts);
}

#[tokio::test]
async fn evicted_version_can_be_loaded_again() {
    let fetched = fetched().await;
    let mut local = fetched.fetch().await.unwrap();
    let evicted = fetched
        .cache
        .evict_except(&model(), &BTreeSet::new())
        .unwrap();
    assert_eq!((evicted.uploads, evicted.bytes), (1, 10_001));
    assert!(!fetched.file.exists());
    let error = local.seal(&mut |_| {}).unwrap_err();
    assert!(error.kind() == "cache" && error.is_retryable(), "{error}");
    assert_parts_of("ann", &fetched.load().await.unwrap());
}

#[tokio::test]
async fn two_fetches_of_one_version_do_not_disturb_each_other() {
    let fetched = fetched().await;
    fetched
        .cache
        .evict_except(&model(), &BTreeSet::new())
        .unwrap();
    let (one, other) = tokio::join!(fetched.fetch(), fetched.fetch());
    for mut local in [one.unwrap(), other.unwrap()] {
        assert_parts_of("ann", &local.seal(&mut |_| {}).unwrap());
    }
}

#[tokio::test]
async fn full_disk_is_refused_with_need_and_free_space_before_the_first_byte() {
    let mut fetched = fetched().await;
    // More than any file system has: an exbibyte in two parts that are not in the cache.
    for part in &mut fetched.manifest.parts[..2] {
        part.size_bytes = 1 << 59;
    }
    let limits = Limits {
        part_bytes_max: 1 << 60,
        ..Limits::default()
    };
    let registry = fetched.registry.clone().with_options(Options {
        limits,
        ..Options::default()
    });
    let calls = fetched.store.calls();
    let error = registry
        .fetch(&fetched.manifest, &fetched.cache)
        .await
        .unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), ("cache", true));
    let said = error.to_string();
    assert!(
        said.contains("fetching version 1 of shop needs 1152921504606846976 bytes, but only "),
        "{said}"
    );
    assert!(said.contains(" are free in "), "{said}");
    assert_eq!(
        fetched.store.calls(),
        calls,
        "nothing was asked of the store"
    );
    assert_eq!(partials(&fetched), 0);
}

#[tokio::test]
async fn part_deleted_during_its_fetch_is_named_and_leaves_no_partial_file() {
    let (fetched, error) = disturbed(|objects, path| {
        objects.delete(path).now_or_never().unwrap().unwrap();
    })
    .await;
    assert_eq!(error.kind(), "corrupt");
    let said = error.to_string();
    assert!(
        said.contains("part als.safetensors of version 1 of shop is corrupt: it is missing"),
        "{said}"
    );
    assert_eq!(partials(&fetched), 0);
    assert!(!fetched.file.exists());
}

#[tokio::test]
async fn part_overwritten_during_its_fetch_is_never_sealed() {
    let (fetched, error) = disturbed(|objects, path| {
        let other = Bytes::from(vec![b'x'; 10_000]);
        let put = objects.put(path, other.into());
        put.now_or_never().unwrap().unwrap();
    })
    .await;
    assert_eq!(error.kind(), "corrupt");
    assert!(error.to_string().contains("expected sha256"), "{error}");
    assert!(!fetched.file.exists(), "nobody finds it there later");
}

/// Fetches a version while something happens to its large part after the third range.
async fn disturbed(happens: impl Fn(&InMemory, &Path) + Send + Sync + 'static) -> (Fetched, Error) {
    let mut fetched = fetched().await;
    fetched
        .cache
        .evict_except(&model(), &BTreeSet::new())
        .unwrap();
    let memory = Arc::new(InMemory::new());
    let objects = Arc::clone(&memory);
    let store = FaultStore::new(memory, move |_, op, path| {
        if *op == Op::Get(Some(3 * 1_024)) {
            happens(&objects, path);
        }
        Fault::None
    });
    fetched.registry = over(store.clone(), 1);
    fetched.store = store;
    let published = fetched.registry.publish(&model(), new_version("ann")).await;
    fetched.manifest = published.unwrap();
    let upload = fetched.manifest.upload.to_string();
    fetched.file = fetched
        .cache
        .path()
        .join("shop")
        .join(upload)
        .join("als.safetensors");
    let error = fetched.load().await.unwrap_err();
    (fetched, error)
}

/// Half files in the folder of the version.
fn partials(fetched: &Fetched) -> usize {
    let names = fs::read_dir(fetched.file.parent().unwrap()).unwrap();
    let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| name.contains(".partial-")).count()
}
