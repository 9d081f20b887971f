use super::*;
use crate::Nonce;

fn partials(folder: &Path) -> usize {
    let names = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path());
    names.filter(|path| is_partial(path)).count()
}

#[test]
fn opening_removes_partial_files_of_dead_writers_only() {
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(dir.path().join("cache")).unwrap();
    let folder = cache.path().join("shop").join("ab".repeat(16));
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("users.arrow"), b"whole").unwrap();
    fs::write(folder.join("als.safetensors.partial-dead-0"), b"half").unwrap();
    let live =
        Partial::create(&folder.join("als.safetensors"), Nonce::from_bytes([7; 16])).unwrap();
    assert_eq!(partials(&folder), 2);
    CacheDir::open(cache.path()).unwrap();
    assert_eq!(partials(&folder), 1, "the live writer's stays");
    drop(live);
    assert_eq!(partials(&folder), 0, "a writer that gives up cleans up");
    assert!(folder.join("users.arrow").exists());
    assert_eq!(
        partials(cache.path()),
        0,
        "the proof of writability leaves nothing"
    );
}

#[test]
fn eviction_removes_only_uploads_that_are_not_kept() {
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(dir.path()).unwrap();
    let model: ModelName = "shop".parse().unwrap();
    let [kept, gone] = [1, 2].map(|byte| UploadId::from_bytes([byte; 16]));
    for folder in [kept.to_string(), gone.to_string(), "not-ours".to_owned()] {
        fs::create_dir_all(dir.path().join("shop").join(&folder)).unwrap();
        fs::write(
            dir.path().join("shop").join(&folder).join("a.json"),
            b"12345",
        )
        .unwrap();
    }
    let evicted = cache.evict_except(&model, &BTreeSet::from([kept])).unwrap();
    assert_eq!(
        evicted,
        Evicted {
            uploads: 1,
            bytes: 5
        }
    );
    assert!(dir.path().join("shop").join(kept.to_string()).exists());
    assert!(!dir.path().join("shop").join(gone.to_string()).exists());
    assert!(dir.path().join("shop").join("not-ours").exists());
    let none = cache
        .evict_except(&"other".parse().unwrap(), &BTreeSet::new())
        .unwrap();
    assert_eq!(none, Evicted::default());
}

#[test]
fn folder_that_cannot_be_created_is_an_error_that_names_it() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("file");
    fs::write(&file, b"").unwrap();
    let error = CacheDir::open(file.join("cache")).unwrap_err();
    assert_eq!(error.kind(), "cache");
    assert!(error.to_string().contains("file/cache"), "{error}");
}

#[cfg(unix)]
#[test]
fn cache_folder_is_private() {
    use std::os::unix::fs::PermissionsExt;
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(dir.path().join("a/b")).unwrap();
    let mode = fs::metadata(cache.path()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o700);
}
