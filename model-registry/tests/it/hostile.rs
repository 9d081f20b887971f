//! Publishers and manifests that break the rules.

mod law;
mod mutants;
mod specimen;

use crate::shop::{load, model, new_version, options, over, version};
use hotshelf_registry::{CacheDir, Error, Options, Registry, S3Options};
use object_store::memory::InMemory;
use object_store::path::Path;
use object_store::{ObjectStore, ObjectStoreExt};
use std::sync::Arc;

#[tokio::test]
async fn input_over_a_limit_is_refused_before_anything_is_written() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let mut small = options(1);
    small.limits.part_bytes_max = 9_999;
    let registry = over(store.clone(), 1);
    let narrow = registry.clone().with_options(small);
    let mut twice = new_version("ann");
    twice.parts.push(twice.parts[1].clone());
    let mut nothing = new_version("ann");
    nothing.parts.clear();
    let mut nobody = new_version("ann");
    nobody.author.clear();
    let mut talkative = new_version("ann");
    talkative.parts.remove(0);
    talkative.card = serde_json::Value::String("x".repeat(17 << 20));
    for (registry, new, kind) in [
        (&narrow, new_version("ann"), "too_large"),
        (&registry, twice, "invalid"),
        (&registry, nothing, "invalid"),
        (&registry, nobody, "invalid"),
        (&registry, talkative, "too_large"),
    ] {
        let error = registry.publish(&model(), new).await.unwrap_err();
        assert_eq!(error.kind(), kind, "{error}");
    }
    let left = store.list_with_delimiter(None).await.unwrap();
    assert!(left.objects.is_empty() && left.common_prefixes.is_empty());
}

#[tokio::test]
async fn manifest_that_points_elsewhere_fetches_nothing() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let registry = over(store.clone(), 1);
    let manifest = registry
        .publish(&model(), new_version("ann"))
        .await
        .unwrap();
    let text = serde_json::to_string(&manifest).unwrap();
    let upload = manifest.upload.to_string();
    for (number, (good, bad)) in [
        ("als.safetensors", "../als.safetensors"),
        ("als.safetensors", "/als.safetensors"),
        ("als.safetensors", "users.arrow"),
        (upload.as_str(), ".."),
        ("\"shop\"", "\"../shop\""),
        (
            "\"size_bytes\":10000",
            "\"size_bytes\":18446744073709551615",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let number = number as u64 + 2;
        let text = text.replace("\"version\":1", &format!("\"version\":{number}"));
        assert_ne!(text, text.replace(good, bad));
        let path = Path::from(format!("root/shop/versions/{number:06}.json"));
        store
            .put(&path, text.replace(good, bad).into())
            .await
            .unwrap();
        let error = registry
            .manifest(&model(), version(number))
            .await
            .unwrap_err();
        assert!(
            matches!(error, Error::Corrupt { .. } | Error::TooLarge { .. }),
            "{bad}: {error}"
        );
    }
}

#[tokio::test]
async fn oversized_manifest_is_not_read() {
    let store: Arc<dyn ObjectStore> = Arc::new(InMemory::new());
    let path = Path::from("root/shop/versions/000001.json");
    store
        .put(&path, vec![b' '; (16 << 20) + 1].into())
        .await
        .unwrap();
    let error = over(store, 1)
        .manifest(&model(), version(1))
        .await
        .unwrap_err();
    assert_eq!(
        error.to_string(),
        "size of version 1 of shop is 16777217, the limit is 16777216"
    );
}

#[tokio::test]
async fn large_part_goes_up_in_pieces_and_comes_down_whole() {
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}/registry", folder.path().display());
    let registry = Registry::open(&url, &S3Options::default())
        .unwrap()
        .with_options(Options::default());
    let mut new = new_version("ann");
    // Over the 16 MiB of a single write, and no multiple of a piece.
    let large: bytes::Bytes = (0..(17 << 20) + 5).map(|at: u32| (at / 7) as u8).collect();
    new.parts[0].bytes = large.clone();
    let manifest = registry.publish(&model(), new).await.unwrap();
    let cache = CacheDir::open(folder.path().join("cache")).unwrap();
    let parts = load(&registry, &manifest, &cache).await.unwrap();
    assert!(parts["als.safetensors"] == large);
}
