//! The `[catalogue.embeddings]` table: vectors that the shop made itself.

use std::path::{Path, PathBuf};

use super::section::Section;

/// A matrix and the products that its rows belong to.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddingFiles {
    /// As the mapping names it, and where it is.
    pub(crate) matrix: (String, PathBuf),
    pub(crate) format: MatrixFormat,
    /// One product id a line, in the order of the rows.
    pub(crate) ids: (String, PathBuf),
}

/// How the matrix is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum MatrixFormat {
    Npy,
    /// With the tensor's name.
    Safetensors(String),
}

/// None where a problem was reported.
pub(super) fn read(mut section: Section<'_>, folder: &Path) -> Option<EmbeddingFiles> {
    let file = section.needed("file").map(|value| (value.text(), value));
    let ids = section.needed("ids").and_then(|value| value.text());
    let tensor = section.value("tensor").map(|value| (value.text(), value));
    section.finish();
    let (file, place) = file?;
    let file = file?;
    let extension = Path::new(&file).extension().and_then(|end| end.to_str());
    let format = match (extension, tensor) {
        (Some("npy"), None) => MatrixFormat::Npy,
        (Some("npy"), Some((_, tensor))) => {
            tensor.complain("names a tensor, which an npy file has none of");
            return None;
        }
        (Some("safetensors"), None) => MatrixFormat::Safetensors("embeddings".to_owned()),
        (Some("safetensors"), Some((name, _))) => MatrixFormat::Safetensors(name?),
        _ => {
            place.complain(format!(
                "is {file:?}, which ends in neither .npy nor .safetensors"
            ));
            return None;
        }
    };
    let located = |name: String| {
        let path = folder.join(&name);
        (name, path)
    };
    Some(EmbeddingFiles {
        matrix: located(file),
        format,
        ids: located(ids?),
    })
}
