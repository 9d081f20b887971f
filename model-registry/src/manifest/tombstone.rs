//! Tombstones, and the manifest that each carries: byte for byte, so that a removal that is taken back leaves
//! the version that rollouts name.

use super::{Manifest, Tombstone, VersionRecord, described, parse};
use crate::limits::MANIFEST_BYTES_MAX;
use crate::{Error, FORMAT, ModelName, Version, json};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The bytes of a tombstone that replaces a manifest. It carries the manifest where that leaves it within
/// the size limit of a record.
pub(crate) fn tombstone(
    (model, version): (&ModelName, Version),
    removed: &Tombstone,
    stored: &[u8],
) -> Result<Bytes, Error> {
    #[derive(Serialize)]
    struct Written<'a> {
        format: u32,
        model: &'a ModelName,
        version: Version,
        removed: &'a Tombstone,
        #[serde(skip_serializing_if = "Option::is_none")]
        manifest: Option<&'a str>,
    }
    let text = std::str::from_utf8(stored);
    let text = text.map_err(|_| Error::corrupt(described(model, version), "it is not UTF-8"))?;
    let mut stone = Written {
        format: FORMAT,
        model,
        version,
        removed,
        manifest: Some(text),
    };
    let bytes = json::write(&stone);
    if bytes.len() as u64 <= MANIFEST_BYTES_MAX && json::is_tombstone("", &bytes).is_ok() {
        return Ok(bytes);
    }
    stone.manifest = None;
    Ok(json::write(&stone))
}

/// A carried manifest.
#[derive(Deserialize)]
#[serde(untagged)]
enum Carried {
    /// Its stored bytes.
    Text(String),
    /// Of an earlier release, which did not keep the bytes.
    Tree(serde_json::Map<String, serde_json::Value>),
}

/// The bytes of the manifest that a tombstone carries; `None` where it carries none.
pub(crate) fn carried(stone: &[u8]) -> Option<Bytes> {
    #[derive(Deserialize)]
    struct Stone {
        manifest: Carried,
    }
    let stone: Stone = json::parse("a tombstone", stone).ok()?;
    Some(match stone.manifest {
        Carried::Text(text) => text.into(),
        Carried::Tree(tree) => json::write(&tree),
    })
}

/// The manifest that a tombstone replaced; `None` where it carries no valid one.
pub(crate) fn replaced(
    (model, version): (&ModelName, Version),
    stone: &[u8],
    part_bytes_max: u64,
) -> Option<Manifest> {
    match parse((model, version), &carried(stone)?, part_bytes_max) {
        Ok(VersionRecord::Published(manifest)) => Some(manifest),
        Ok(VersionRecord::Removed(_)) | Err(_) => None,
    }
}
