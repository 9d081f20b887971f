//! What the tests publish, and how they look at it.

use bytes::Bytes;
use hotshelf_registry::{
    CacheDir, Error, FetchLimits, Limits, Lineage, Manifest, ModelName, NewPart, NewVersion,
    Options, Registry, RetryLimits, Version, VersionState,
};
use object_store::ObjectStore;
use object_store::path::Path;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

pub(crate) fn model() -> ModelName {
    "shop".parse().unwrap()
}

pub(crate) fn version(number: u64) -> Version {
    Version::new(number).unwrap()
}

/// Three parts that say who published them; one of many ranges, one of a single byte, one empty.
pub(crate) fn new_version(author: &str) -> NewVersion {
    let long = author.bytes().cycle().take(10_000).collect::<Bytes>();
    let part = |name: &str, bytes: Bytes| NewPart::required(name.parse().unwrap(), bytes);
    NewVersion {
        parts: vec![
            part("als.safetensors", long),
            part(
                "users.arrow",
                Bytes::copy_from_slice(&author.as_bytes()[..1]),
            ),
            part("notes.json", Bytes::new()),
        ],
        card: serde_json::json!({ "of": author }),
        lineage: Lineage {
            seed: 42,
            ..Lineage::default()
        },
        author: author.to_owned(),
    }
}

/// Small ranges, quick retries: tests wait for nothing.
pub(crate) fn options(tries: u32) -> Options {
    let retry = RetryLimits {
        tries,
        backoff: Duration::from_micros(10),
        backoff_max: Duration::from_millis(100),
        ..RetryLimits::default()
    };
    let fetch = FetchLimits {
        range_bytes: 1_024,
        parallel_max: 4,
        ..FetchLimits::default()
    };
    Options {
        limits: Limits {
            retry,
            fetch,
            // Tests that race each have a handle of their own, and each handle its self-test.
            race_rounds: 1,
            ..Limits::default()
        },
        ..Options::default()
    }
}

/// A registry over any store.
pub(crate) fn over(store: Arc<dyn ObjectStore>, tries: u32) -> Registry {
    Registry::with_store(store, Path::from("root")).with_options(options(tries))
}

/// Fetches and seals in one go.
pub(crate) async fn load(
    registry: &Registry,
    manifest: &Manifest,
    cache: &CacheDir,
) -> Result<BTreeMap<String, Bytes>, Error> {
    registry.fetch(manifest, cache).await?.seal(&mut |_| {})
}

/// The same as a server does it: what is refused is fetched once more where that can help.
pub(crate) async fn load_mending(
    registry: &Registry,
    manifest: &Manifest,
    cache: &CacheDir,
) -> Result<BTreeMap<String, Bytes>, Error> {
    let mut local = registry.fetch(manifest, cache).await?;
    loop {
        let sealed = local.seal(&mut |_| {});
        if sealed.is_ok() || local.damaged().is_none() {
            return sealed;
        }
        registry.refetch(manifest, cache, &mut local).await?;
    }
}

/// Asserts that `parts` are those that `author` published.
pub(crate) fn assert_parts_of(author: &str, parts: &BTreeMap<String, Bytes>) {
    let expected = new_version(author).parts;
    assert_eq!(parts.len(), expected.len());
    for part in expected {
        assert_eq!(
            parts[part.name.as_str()],
            part.bytes,
            "{} of {author}",
            part.name
        );
    }
}

/// Loads every version that can be read into a fresh cache, checks that its parts are its
/// publisher's, and returns the publishers by number.
pub(crate) async fn authors_of_complete_versions(registry: &Registry) -> BTreeMap<u64, String> {
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(dir.path()).unwrap();
    let mut authors = BTreeMap::new();
    for entry in registry.versions(&model()).await.unwrap() {
        assert!(
            matches!(entry.state, VersionState::Published { .. }),
            "{entry:?}"
        );
        let manifest = registry.manifest(&model(), entry.version).await.unwrap();
        let parts = load(registry, &manifest, &cache).await.unwrap();
        assert_parts_of(&manifest.author, &parts);
        authors.insert(entry.version.get(), manifest.author);
    }
    authors
}
