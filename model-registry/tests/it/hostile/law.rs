//! The law that every stored record keeps, whatever wrote it: a clear refusal, or a record within
//! the limits of the format; and older records stay readable beside it.
//!
//! Plain functions, so that the fuzz targets of `fuzz/` share them; what breaks the law panics.

use std::{collections::BTreeSet, error::Error as _, future::Future, sync::Arc};

use bytes::Bytes;
use hotshelf_registry::{
    Error, Limits, Manifest, ModelName, Options, Registry, RetryLimits, RolloutRecord, Version,
};
use object_store::{ObjectStoreExt, memory::InMemory, path::Path};
use tokio::runtime::{Builder, Runtime};

/// Longest refusal with all its causes. Chosen: a few excerpts; it goes into logs and answers.
const REFUSAL_BYTES_MAX: usize = 2048;

/// What a manifest may claim of one part: all there is, so that sums are at their worst.
const PART_BYTES_MAX: u64 = u64::MAX;

/// Label of a refusal; `None` where the record was accepted.
pub(crate) type Outcome = Option<&'static str>;

thread_local! {
    /// Making one for every record would cost more than the record.
    static RUNTIME: Runtime = Builder::new_current_thread().enable_time().build().unwrap();
}

/// Runs a call of the registry to its end.
pub(crate) fn block_on<T>(call: impl Future<Output = T>) -> T {
    RUNTIME.with(|runtime| runtime.block_on(call))
}

fn model() -> ModelName {
    "shop".parse().unwrap()
}

/// Over a store in memory; one try, as nothing that fails here gets better.
fn over(store: Arc<InMemory>) -> Registry {
    let limits = Limits {
        part_bytes_max: PART_BYTES_MAX,
        retry: RetryLimits {
            tries: 1,
            ..RetryLimits::default()
        },
        ..Limits::default()
    };
    let options = Options {
        limits,
        ..Options::default()
    };
    Registry::with_store(store, Path::from("root")).with_options(options)
}

async fn put(store: &InMemory, name: &str, bytes: Bytes) {
    // A listing can hold any name that the store takes.
    if let Ok(path) = Path::parse(format!("root/shop/{name}")) {
        store.put(&path, bytes.into()).await.unwrap();
    }
}

/// Reads what is stored as version 12, alone and in the list.
pub(crate) async fn try_version(bytes: Bytes) -> Outcome {
    let store = Arc::new(InMemory::new());
    put(&store, "versions/000012.json", bytes).await;
    let registry = over(store);
    let version = Version::new(12).unwrap();
    let read = registry.manifest(&model(), version).await;
    let listed = registry.versions(&model()).await.unwrap();
    assert_eq!(listed.len(), 1, "its number is spent");
    assert_eq!(read.is_ok(), listed[0].problem().is_none());
    match read {
        Ok(manifest) => {
            within_limits(&manifest);
            None
        }
        Err(error) => refused(&error),
    }
}

fn within_limits(manifest: &Manifest) {
    assert_eq!((&manifest.model, manifest.version.get()), (&model(), 12));
    let names: BTreeSet<&str> = manifest
        .parts
        .iter()
        .map(|part| part.name.as_str())
        .collect();
    assert!((1..=64).contains(&names.len()));
    assert_eq!(names.len(), manifest.parts.len(), "a part came twice");
    let is_plain = |name: &&str| !name.contains(['/', '\\']) && !name.starts_with('.');
    assert!(names.iter().all(is_plain), "{names:?}");
    let mut sizes = manifest.parts.iter().map(|part| part.size_bytes);
    let sum = sizes.try_fold(0u64, u64::checked_add);
    assert!(sum.is_some(), "sizes leave the numbers");
}

fn refused(error: &Error) -> Outcome {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        said.push_str(&error.to_string());
        cause = error.source();
    }
    assert!(
        said.len() <= REFUSAL_BYTES_MAX,
        "a refusal of {}",
        said.len()
    );
    assert!(!error.is_retryable(), "{said}");
    Some(error.kind())
}

/// Reads rollouts 1, 2 and so on; the first is sound.
pub(crate) async fn try_rollouts(records: &[Bytes]) -> Outcome {
    let store = Arc::new(InMemory::new());
    for (at, bytes) in records.iter().enumerate() {
        put(
            &store,
            &format!("rollouts/{:06}.json", at + 1),
            bytes.clone(),
        )
        .await;
    }
    let registry = over(store);
    let log = registry.rollouts(&model()).await.unwrap();
    let head = log
        .head()
        .expect("an older record is still the desired state");
    let shares = head.arms.iter().map(|arm| u64::from(arm.share_bp));
    assert_eq!(shares.sum::<u64>(), 10_000);
    assert!((1..=8).contains(&head.arms.len()));
    assert_eq!(log.next_number().unwrap().get(), records.len() as u64 + 1);
    let parsed = records.iter().map(|bytes| RolloutRecord::parse(bytes));
    parsed.filter_map(|parsed| refused(&parsed.err()?)).last()
}

/// Lists versions under names that somebody put there, beside a number that counts.
pub(crate) async fn try_listing(names: &[String], sound: Bytes) -> Outcome {
    let store = Arc::new(InMemory::new());
    for name in names {
        put(
            &store,
            &format!("versions/{name}"),
            Bytes::from_static(b"{}"),
        )
        .await;
    }
    // Last, as one of the names may be this one.
    put(&store, "versions/000012.json", sound).await;
    let registry = over(store);
    let listed = registry.versions(&model()).await.unwrap();
    assert!(
        listed
            .iter()
            .any(|entry| entry.version.get() == 12 && entry.problem().is_none())
    );
    let newest = registry.newest(&model()).await.unwrap();
    assert!(newest.is_some_and(|newest| newest.get() >= 12));
    match listed.len() {
        1 => Some("no number"),
        _ => None,
    }
}
