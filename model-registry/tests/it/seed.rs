//! The golden registry in `seed/`: format 1 as it was first written.

use crate::shop::load;
use hotshelf_registry::{CacheDir, Registry, S3Options, Sha256Digest, VersionState};
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Not part of the registry.
const ABOUT_IT: [&str; 2] = ["README.md", "SHA256SUMS"];

fn seed() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("seed")
}

/// Every file below `folder` by its path in `seed/`, with the digest of its bytes.
fn digests(folder: &Path, found: &mut BTreeMap<String, Sha256Digest>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            digests(&path, found);
            continue;
        }
        let name = path
            .strip_prefix(seed())
            .unwrap()
            .to_str()
            .unwrap()
            .to_owned();
        if !ABOUT_IT.contains(&name.as_str()) {
            found.insert(name, Sha256Digest::of(&fs::read(&path).unwrap()));
        }
    }
}

#[test]
fn no_file_of_the_seed_was_ever_changed() {
    let listed = fs::read_to_string(seed().join("SHA256SUMS")).unwrap();
    let listed: BTreeMap<String, Sha256Digest> = listed
        .lines()
        .map(|line| {
            let (digest, name) = line.split_once("  ").unwrap();
            (
                name.trim_start_matches("./").to_owned(),
                digest.parse().unwrap(),
            )
        })
        .collect();
    let mut found = BTreeMap::new();
    digests(&seed(), &mut found);
    assert_eq!(found, listed);
    assert!(!found.is_empty());
}

#[tokio::test]
async fn every_version_of_the_seed_still_loads() {
    let registry = Registry::open(
        &format!("file://{}", seed().display()),
        &S3Options::default(),
    )
    .unwrap();
    let models = registry.models().await.unwrap();
    assert_eq!(models.len(), 1);
    let folder = tempfile::tempdir().unwrap();
    let cache = CacheDir::open(folder.path()).unwrap();
    let entries = registry.versions(&models[0]).await.unwrap();
    assert_eq!(entries.len(), 2);
    for entry in entries {
        assert!(
            matches!(entry.state, VersionState::Published { .. }),
            "{entry:?}"
        );
        let manifest = registry.manifest(&models[0], entry.version).await.unwrap();
        let parts = load(&registry, &manifest, &cache).await.unwrap();
        assert_eq!(parts.len(), manifest.parts.len());
    }
}
