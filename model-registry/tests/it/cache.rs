//! The cache folder between fetch and seal, and after.

use crate::fault_store::{Fault, FaultStore};
use crate::shop::{assert_parts_of, load, model, new_version, over};
use bytes::Bytes;
use hotshelf_registry::{CacheDir, Error, LocalParts, Manifest, Registry};
use object_store::ObjectStore;
use object_store::memory::InMemory;
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
async fn complete_files_are_used_again() {
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
async fn a_truncated_file_is_fetched_again() {
    let fetched = fetched().await;
    fs::write(&fetched.file, b"short").unwrap();
    assert_parts_of("ann", &fetched.load().await.unwrap());
}

#[tokio::test]
async fn an_altered_file_is_found_out_deleted_and_fetched_again() {
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
async fn a_file_that_shrinks_between_fetch_and_seal_is_refused() {
    let fetched = fetched().await;
    let local = fetched.fetch().await.unwrap();
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
async fn an_evicted_version_can_be_loaded_again() {
    let fetched = fetched().await;
    let local = fetched.fetch().await.unwrap();
    let evicted = fetched.cache.keep_only(&model(), &BTreeSet::new()).unwrap();
    assert_eq!((evicted.uploads, evicted.bytes), (1, 10_001));
    assert!(!fetched.file.exists());
    let error = local.seal(&mut |_| {}).unwrap_err();
    assert!(error.kind() == "cache" && error.is_retryable(), "{error}");
    assert_parts_of("ann", &fetched.load().await.unwrap());
}

#[tokio::test]
async fn two_fetches_of_one_version_do_not_disturb_each_other() {
    let fetched = fetched().await;
    fetched.cache.keep_only(&model(), &BTreeSet::new()).unwrap();
    let (one, other) = tokio::join!(fetched.fetch(), fetched.fetch());
    for local in [one.unwrap(), other.unwrap()] {
        assert_parts_of("ann", &local.seal(&mut |_| {}).unwrap());
    }
}
