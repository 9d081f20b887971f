use super::*;

fn manifest(version: u64, upload: u8) -> Manifest {
    let json = serde_json::json!({
        "format": 1, "model": "shop", "version": version, "upload": format!("{upload:02x}").repeat(16),
        "nonce": "0".repeat(32), "created_at": "2026-01-01T00:00:00Z", "author": "ann",
        "lineage": {}, "card": { "of": version },
        "parts": [{ "name": "a.json", "size_bytes": 3, "sha256": Sha256Digest::of(b"abc").to_string() }],
    });
    serde_json::from_value(json).unwrap()
}

fn record() -> RolloutRecord {
    let json = serde_json::json!({
        "format": 1, "model": "shop", "number": 7, "parent": null, "nonce": "0".repeat(32),
        "arms": [
            { "name": "main", "version": 4, "share_bp": 9_000 },
            { "name": "other", "version": 2, "share_bp": 1_000 },
        ],
        "salt": "s", "author": "ann", "reason": "why", "created_at": "2026-01-01T00:00:00Z",
    });
    RolloutRecord::parse(json.to_string().as_bytes()).unwrap()
}

fn set() -> LiveSet {
    let origin = ("file:///r".to_owned(), "2026-02-01T00:00:00Z".to_owned());
    LiveSet::new(origin, record(), vec![manifest(4, 0xa4), manifest(2, 0xa2)]).unwrap()
}

struct Kept {
    cache: CacheDir,
    file: PathBuf,
    _dir: tempfile::TempDir,
}

fn kept() -> Kept {
    let dir = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(dir.path()).unwrap();
    cache.persist(&set()).unwrap();
    Kept {
        cache,
        file: dir.path().join("shop").join(NAME),
        _dir: dir,
    }
}

fn shop() -> ModelName {
    "shop".parse().unwrap()
}

#[test]
fn live_set_is_restored_as_it_was_persisted() {
    let kept = kept();
    let recalled = kept.cache.restore(&shop()).unwrap().unwrap();
    assert_eq!(recalled, set());
    assert_eq!(recalled.record.sha256, record().sha256);
    assert_eq!(
        recalled.manifest(Version::new(2).unwrap()),
        Some(&manifest(2, 0xa2).into_written())
    );
    let other = kept.cache.restore(&"other".parse().unwrap()).unwrap();
    assert_eq!(other, None, "nothing was remembered of it");
}

#[test]
fn any_flipped_or_missing_byte_is_detected() {
    let whole = fs::read(&kept().file).unwrap();
    for at in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[at] ^= 1;
        let kind = parse("it", &bytes).unwrap_err().kind();
        assert!(
            ["corrupt", "unsupported_format"].contains(&kind),
            "byte {at}"
        );
        assert_eq!(
            parse("it", &whole[..at]).unwrap_err().kind(),
            "corrupt",
            "cut at {at}"
        );
    }
}

#[test]
fn damaged_file_is_named() {
    let kept = kept();
    fs::write(&kept.file, b"hotshelf-live-set 1 zz\n").unwrap();
    let error = kept.cache.restore(&shop()).unwrap_err();
    assert!(error.to_string().contains("shop/live-set"), "{error}");
    assert!(!error.is_retryable());
}

#[test]
fn unknown_format_is_refused_by_name() {
    let kept = kept();
    let text = fs::read_to_string(&kept.file).unwrap();
    fs::write(&kept.file, text.replacen(" 1 ", " 2 ", 1)).unwrap();
    let error = kept.cache.restore(&shop()).unwrap_err();
    assert!(
        error
            .to_string()
            .contains("has format 2; this release reads up to 1"),
        "{error}"
    );
}

#[test]
fn live_set_of_another_model_is_refused() {
    let kept = kept();
    let other = kept.file.parent().unwrap().parent().unwrap().join("other");
    fs::create_dir_all(&other).unwrap();
    fs::copy(&kept.file, other.join(NAME)).unwrap();
    let error = kept.cache.restore(&"other".parse().unwrap()).unwrap_err();
    assert!(
        error.to_string().contains("it belongs to model shop"),
        "{error}"
    );
}

#[test]
fn manifests_that_are_not_those_of_the_arms_are_refused() {
    let origin = || ("file:///r".to_owned(), "2026-02-01T00:00:00Z".to_owned());
    for manifests in [
        vec![manifest(4, 1)],
        vec![manifest(2, 1), manifest(4, 2)],
        vec![manifest(4, 1), manifest(3, 2)],
    ] {
        let error = LiveSet::new(origin(), record(), manifests).unwrap_err();
        assert_eq!(error.kind(), "invalid");
    }
}

#[test]
fn failed_write_leaves_the_persisted_live_set() {
    let kept = kept();
    let before = fs::read(&kept.file).unwrap();
    // A folder under the name cannot be replaced by a file.
    fs::remove_file(&kept.file).unwrap();
    fs::create_dir(&kept.file).unwrap();
    let error = kept.cache.persist(&set()).unwrap_err();
    assert_eq!(error.kind(), "cache");
    assert!(
        error.is_retryable() && error.to_string().contains("shop/live-set"),
        "{error}"
    );
    fs::remove_dir(&kept.file).unwrap();
    fs::write(&kept.file, &before).unwrap();
    assert_eq!(kept.cache.restore(&shop()).unwrap(), Some(set()));
    let left = fs::read_dir(kept.file.parent().unwrap()).unwrap().count();
    assert_eq!(left, 1, "no half file stays");
}

#[test]
fn uploads_of_the_live_set_are_not_evicted() {
    let kept = kept();
    let folder = |upload: u8| kept.file.with_file_name(format!("{upload:02x}").repeat(16));
    for upload in [0xa4, 0xa2, 0xa1] {
        fs::create_dir_all(folder(upload)).unwrap();
    }
    let evicted = kept.cache.evict_except(&shop(), &BTreeSet::new()).unwrap();
    assert_eq!(evicted.uploads, 1);
    assert!(folder(0xa4).exists() && folder(0xa2).exists() && !folder(0xa1).exists());
    assert!(kept.file.exists());
}

#[test]
fn half_written_sets_of_dead_writers_are_swept() {
    let kept = kept();
    let half = kept.file.with_file_name("live-set.partial-dead-0");
    fs::write(&half, b"half").unwrap();
    CacheDir::open(kept.cache.path()).unwrap();
    assert!(!half.exists() && kept.file.exists());
}

#[test]
fn parts_count_as_cached_only_if_all_have_their_full_size() {
    let kept = kept();
    let manifest = manifest(4, 0xa4);
    let held = || kept.cache.held(&manifest);
    let error = held().unwrap_err();
    assert!(error.is_retryable());
    assert!(
        error
            .to_string()
            .contains("part a.json of version 4 of shop is corrupt: it is not in the cache folder"),
        "{error}"
    );
    let folder = kept.cache.upload_folder(&manifest);
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("a.json"), b"ab").unwrap();
    let error = held().unwrap_err();
    assert!(
        error
            .to_string()
            .contains("expected 3 bytes, the cache folder has 2"),
        "{error}"
    );
    fs::write(folder.join("a.json"), b"abX").unwrap();
    let error = held().unwrap().seal(&mut |_| {}).unwrap_err();
    assert!(error.to_string().contains("sha256"), "{error}");
    fs::write(folder.join("a.json"), b"abc").unwrap();
    let parts = held().unwrap().seal(&mut |_| {}).unwrap();
    assert_eq!(parts["a.json"], "abc");
}

/// The live set of one arm, whose manifest is stored with these bytes.
fn set_of(bytes: &str, named: Sha256Digest) -> Result<LiveSet, Error> {
    let manifest: Manifest = serde_json::from_str(bytes).unwrap();
    let mut record = record();
    record.arms.truncate(1);
    record.arms[0].share_bp = 10_000;
    record.arms[0].manifest_sha256 = Some(named);
    let origin = ("file:///r".to_owned(), "2026-02-01T00:00:00Z".to_owned());
    let manifest = manifest.stored_as(&bytes.to_owned().into());
    LiveSet::new(origin, record, vec![manifest])
}

#[test]
fn manifests_keep_their_stored_bytes_and_are_those_that_the_rollout_names() {
    let tree = serde_json::to_value(manifest(4, 0xa4)).unwrap();
    let odd = format!("\t{tree}\r\n \n").replace("ann", "\\u0061nn");
    let named = Sha256Digest::of(odd.as_bytes());
    let kept = kept();
    kept.cache.persist(&set_of(&odd, named).unwrap()).unwrap();
    let restored = kept.cache.restore(&shop()).unwrap().unwrap();
    let manifest = restored.manifest(Version::new(4).unwrap()).unwrap();
    assert_eq!(
        (&manifest.stored[..], manifest.sha256),
        (odd.as_bytes(), named)
    );
    let other = set_of(&odd, Sha256Digest::of(b"another"));
    assert_eq!(other.unwrap_err().kind(), "rewritten");
}

/// As earlier releases wrote it.
#[test]
fn live_set_with_manifests_as_trees_is_restored() {
    let mut body = serde_json::to_value(set()).unwrap();
    let trees = [manifest(4, 0xa4), manifest(2, 0xa2)];
    body["manifests"] = serde_json::to_value(trees).unwrap();
    let body = body.to_string();
    let digest = Sha256Digest::of(body.as_bytes());
    let file = format!("{MARK} {FORMAT} {digest}\n{body}");
    assert_eq!(parse("it", file.as_bytes()).unwrap(), set());
}

#[test]
fn start_of_a_ramp_is_kept() {
    let mut record = record();
    record.accepted_at = Some("2026-01-01T02:00:00Z".parse().unwrap());
    let origin = ("file:///r".to_owned(), "2026-02-01T00:00:00Z".to_owned());
    let manifests = vec![manifest(4, 0xa4), manifest(2, 0xa2)];
    let kept = kept();
    let set = LiveSet::new(origin, record.clone(), manifests).unwrap();
    kept.cache.persist(&set).unwrap();
    let restored = kept.cache.restore(&shop()).unwrap().unwrap();
    assert_eq!(restored.record, record);
}
