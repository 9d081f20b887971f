//! The `[catalogue.embeddings]` table: the shop's own embeddings.

use std::path::{Path, PathBuf};

use super::section::Section;

/// A matrix and the product ids of its rows.
#[derive(Debug, Clone)]
pub(crate) struct EmbeddingFiles {
    /// The file as the mapping names it, and its path.
    pub(crate) matrix: (String, PathBuf),
    pub(crate) format: MatrixFormat,
    /// One product id per line, in the order of the rows.
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
    let file = section.required("file").map(|value| (value.text(), value));
    let ids = section.required("ids").and_then(|value| value.text());
    let tensor = section.value("tensor").map(|value| (value.text(), value));
    section.finish();
    let (file, value) = file?;
    let file = file?;
    let extension = Path::new(&file).extension().and_then(|end| end.to_str());
    let format = match (extension, tensor) {
        (Some("npy"), None) => MatrixFormat::Npy,
        (Some("npy"), Some((_, tensor))) => {
            tensor.complain("names a tensor, but an npy file has none");
            return None;
        }
        (Some("safetensors"), None) => MatrixFormat::Safetensors("embeddings".to_owned()),
        (Some("safetensors"), Some((name, _))) => MatrixFormat::Safetensors(name?),
        _ => {
            value.complain(format!(
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
