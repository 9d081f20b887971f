//! A packed model in a folder: its parts as files, and `packed.json` as their index.
//!
//! The folder lets training and publishing run at different times and on different machines.
//! `packed.json` holds each part's size and sha256; an altered folder is refused. The folder is
//! written under another name and renamed at the end, so a folder that exists is complete.

use std::fs;
use std::io::{self, Read};
use std::path::Path;

use bytes::Bytes;
use hotshelf_model::{ModelCard, Packed, Verdict};
use hotshelf_registry::{Lineage, Sha256Digest};
use serde::{Deserialize, Serialize};

use crate::error::Error;

const PACKED_JSON: &str = "packed.json";
/// What a later evaluation concluded; beside the model, whose bytes stay as they are.
const VERDICT_JSON: &str = "verdict.json";
/// Version of the folder's format, not of the registry's.
const FOLDER_FORMAT: u32 = 1;
/// Longest `packed.json` read (chosen: what the registry accepts of a manifest).
const INDEX_BYTES_MAX: u64 = 16 << 20;

/// A model as it is published.
#[derive(Debug, Clone, PartialEq)]
pub struct PackedModel {
    /// Name of the shop.
    pub shop: String,
    /// The model card.
    pub card: ModelCard,
    /// What it was trained on.
    pub lineage: Lineage,
    /// Parts by name.
    pub parts: Vec<(String, Bytes)>,
}

/// `packed.json`.
#[derive(Serialize, Deserialize)]
struct FolderIndex {
    format: u32,
    shop: String,
    parts: Vec<PartFile>,
    lineage: Lineage,
    card: ModelCard,
}

#[derive(Serialize, Deserialize)]
struct PartFile {
    name: String,
    size_bytes: u64,
    sha256: Sha256Digest,
}

impl PackedModel {
    pub(crate) fn new(packed: Packed, shop: &str, lineage: Lineage) -> Self {
        let parts = packed.parts.into_iter();
        Self {
            shop: shop.to_owned(),
            card: packed.card,
            lineage,
            parts: parts
                .map(|part| (part.name.to_owned(), Bytes::from(part.bytes)))
                .collect(),
        }
    }

    /// Sum of the parts' sizes.
    pub fn size_bytes(&self) -> u64 {
        self.parts.iter().map(|(_, bytes)| bytes.len() as u64).sum()
    }

    /// Errs where [`PackedModel::write`] would, before anything is computed.
    ///
    /// # Errors
    /// [`Error::Argument`] if something is there; `force` allows an earlier packed model.
    pub fn check_writable(folder: &Path, force: bool) -> Result<(), Error> {
        let occupied = match fs::read_dir(folder) {
            Ok(mut entries) => entries.next().is_some(),
            Err(error) => error.kind() != std::io::ErrorKind::NotFound,
        };
        let replaced = force && folder.join(PACKED_JSON).is_file();
        if occupied && !replaced {
            let shown = folder.display();
            let hint = if folder.join(PACKED_JSON).is_file() {
                "name a new folder, or replace the packed model with --force"
            } else {
                "name a new folder"
            };
            return Err(Error::Argument(format!("{shown} exists already; {hint}")));
        }
        Ok(())
    }

    /// Writes a folder, which must be new or empty; `force` allows an earlier packed model.
    ///
    /// Everything is written under a name of its own first, so the folder appears complete and
    /// nothing beside it is touched.
    ///
    /// # Errors
    /// [`Error::Argument`] if it is not empty, [`Error::Write`] if writing fails.
    pub fn write(&self, folder: &Path, force: bool) -> Result<(), Error> {
        Self::check_writable(folder, force)?;
        self.write_and_rename(folder)
            .map_err(|source| Error::Write {
                path: folder.to_owned(),
                source,
            })
    }

    fn write_and_rename(&self, folder: &Path) -> std::io::Result<()> {
        let parent = folder.parent().filter(|p| !p.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        fs::create_dir_all(parent)?;
        // Removed at the end, with whatever was replaced.
        let partial = tempfile::Builder::new()
            .prefix(".hotshelf-packed-")
            .tempdir_in(parent)?;
        let written = partial.path().join("new");
        self.write_into(&written)?;
        if fs::read_dir(folder).is_ok_and(|mut entries| entries.next().is_some()) {
            fs::rename(folder, partial.path().join("replaced"))?;
        }
        fs::rename(&written, folder)
    }

    fn write_into(&self, folder: &Path) -> std::io::Result<()> {
        fs::create_dir(folder)?;
        let mut parts = Vec::new();
        for (name, bytes) in &self.parts {
            fs::write(folder.join(name), bytes)?;
            let sha256 = Sha256Digest::of(bytes);
            parts.push(PartFile {
                name: name.clone(),
                size_bytes: bytes.len() as u64,
                sha256,
            });
        }
        let index = FolderIndex {
            format: FOLDER_FORMAT,
            shop: self.shop.clone(),
            parts,
            lineage: self.lineage.clone(),
            card: self.card.clone(),
        };
        let mut text = serde_json::to_vec_pretty(&index)?;
        text.push(b'\n');
        fs::write(folder.join(PACKED_JSON), text)
    }

    /// Stores what an evaluation of the model in `folder` concluded, in place of what was concluded
    /// before.
    ///
    /// # Errors
    /// [`Error::Write`], [`Error::Packed`] if there is no packed model.
    pub fn store_verdict(folder: &Path, verdict: &Verdict) -> Result<(), Error> {
        let stored = StoredVerdict {
            packed_sha256: Sha256Digest::of(&read_index(folder)?),
            verdict: verdict.clone(),
        };
        let path = folder.join(VERDICT_JSON);
        let failed = |source| Error::Write {
            path: path.clone(),
            source,
        };
        let mut text = serde_json::to_vec_pretty(&stored).map_err(|error| failed(error.into()))?;
        text.push(b'\n');
        // Under a name of its own first: a reader finds the old verdict or the new one.
        let mut file = tempfile::NamedTempFile::new_in(folder).map_err(failed)?;
        io::Write::write_all(&mut file, &text).map_err(failed)?;
        let persisted = file.persist(&path);
        persisted.map(drop).map_err(|error| failed(error.error))
    }

    /// What was last concluded of the model in `folder`: by a later evaluation, or else in its card.
    ///
    /// # Errors
    /// [`Error::Packed`] if the stored verdict cannot be read or is that of another model.
    pub fn verdict(&self, folder: &Path) -> Result<Option<Verdict>, Error> {
        let refuse = |why: String| Error::Packed {
            folder: folder.to_owned(),
            why: format!("{VERDICT_JSON}: {why}; evaluate the model again, or remove the file"),
        };
        let text = match read_at_most(&folder.join(VERDICT_JSON), INDEX_BYTES_MAX) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let evaluation = self.card.evaluation.as_ref();
                return Ok(evaluation.and_then(|evaluation| evaluation.verdict.clone()));
            }
            Err(error) => return Err(refuse(error.to_string())),
        };
        let stored: StoredVerdict =
            serde_json::from_slice(&text).map_err(|error| refuse(error.to_string()))?;
        if stored.packed_sha256 != Sha256Digest::of(&read_index(folder)?) {
            return Err(refuse("it is that of another packed model".to_owned()));
        }
        Ok(Some(stored.verdict))
    }

    /// Reads a folder that [`PackedModel::write`] wrote.
    ///
    /// # Errors
    /// [`Error::Packed`] if it is no such folder, lacks a part, or was altered.
    pub fn read(folder: &Path) -> Result<Self, Error> {
        let refuse = |why: String| Error::Packed {
            folder: folder.to_owned(),
            why,
        };
        let text = read_index(folder)?;
        let index: FolderIndex = serde_json::from_slice(&text)
            .map_err(|error| refuse(format!("{PACKED_JSON}: {error}")))?;
        if index.format != FOLDER_FORMAT {
            let found = index.format;
            return Err(refuse(format!(
                "format {found}; this build reads {FOLDER_FORMAT}"
            )));
        }
        let mut parts = Vec::new();
        for PartFile {
            name,
            size_bytes,
            sha256,
        } in index.parts
        {
            if Path::new(&name)
                .file_name()
                .is_none_or(|file| file != name.as_str())
            {
                return Err(refuse(format!("{name:?} is not the name of a part")));
            }
            let bytes = read_at_most(&folder.join(&name), size_bytes)
                .map_err(|error| refuse(format!("{name}: {error}")))?;
            if bytes.len() as u64 != size_bytes {
                let found = bytes.len();
                return Err(refuse(format!(
                    "{name} has {found} bytes, not {size_bytes}"
                )));
            }
            let found = Sha256Digest::of(&bytes);
            if found != sha256 {
                return Err(refuse(format!("{name} has sha256 {found}, not {sha256}")));
            }
            parts.push((name, Bytes::from(bytes)));
        }
        Ok(Self {
            shop: index.shop,
            card: index.card,
            lineage: index.lineage,
            parts,
        })
    }
}

/// `verdict.json`.
#[derive(Serialize, Deserialize)]
struct StoredVerdict {
    /// Of `packed.json`, which names every part by its own digest.
    packed_sha256: Sha256Digest,
    verdict: Verdict,
}

/// The bytes of `packed.json`.
fn read_index(folder: &Path) -> Result<Vec<u8>, Error> {
    let read = read_at_most(&folder.join(PACKED_JSON), INDEX_BYTES_MAX);
    read.map_err(|error| Error::Packed {
        folder: folder.to_owned(),
        why: format!("{PACKED_JSON}: {error}"),
    })
}

/// A file of at most so many bytes; of a longer one, one byte more than that.
fn read_at_most(path: &Path, bytes_max: u64) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    let file = hotshelf_terminal::file::open(path)?;
    file.take(bytes_max.saturating_add(1))
        .read_to_end(&mut bytes)?;
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn toy() -> PackedModel {
        let card = serde_json::json!({
            "scoring_revision": 1,
            "sizes": {"users": 0, "products": 0, "interactions": 0},
            "dimensions": {"factors": 1},
            "index": {},
        });
        PackedModel {
            shop: "toy".to_owned(),
            card: serde_json::from_value(card).unwrap(),
            lineage: Lineage {
                seed: 7,
                ..Lineage::default()
            },
            parts: vec![("users.arrow".to_owned(), Bytes::from_static(b"users"))],
        }
    }

    #[test]
    fn written_folder_reads_back_equal_and_is_replaced_by_force_alone() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("packed");
        toy().write(&folder, false).unwrap();
        assert_eq!(PackedModel::read(&folder).unwrap(), toy());
        assert!(matches!(
            toy().write(&folder, false),
            Err(Error::Argument(_))
        ));
        let other = PackedModel {
            shop: "other".to_owned(),
            ..toy()
        };
        other.write(&folder, true).unwrap();
        assert_eq!(PackedModel::read(&folder).unwrap(), other);
        let left: Vec<_> = fs::read_dir(parent.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn folder_of_others_is_never_replaced() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("photos");
        fs::create_dir(&folder).unwrap();
        fs::write(folder.join("me.jpg"), b"jpg").unwrap();
        fs::create_dir(parent.path().join("photos.partial")).unwrap();
        for force in [false, true] {
            let refused = toy().write(&folder, force);
            assert!(matches!(refused, Err(Error::Argument(_))), "{refused:?}");
        }
        assert_eq!(fs::read(folder.join("me.jpg")).unwrap(), b"jpg");
        assert!(parent.path().join("photos.partial").exists());
    }

    #[test]
    fn altered_folder_is_refused_by_name() {
        let parent = tempfile::tempdir().unwrap();
        let folder = parent.path().join("packed");
        toy().write(&folder, false).unwrap();
        let refusal = || PackedModel::read(&folder).unwrap_err().to_string();
        fs::write(folder.join("users.arrow"), b"resus").unwrap();
        assert!(refusal().contains("users.arrow has sha256"));
        fs::write(folder.join("users.arrow"), b"user").unwrap();
        assert!(refusal().contains("users.arrow has 4 bytes, not 5"));
        fs::remove_file(folder.join("users.arrow")).unwrap();
        assert!(refusal().contains("users.arrow"));
        fs::write(folder.join(PACKED_JSON), b"{}").unwrap();
        assert!(refusal().contains("missing field"));
    }
}
