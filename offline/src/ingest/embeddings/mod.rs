//! The shop's own embeddings: a matrix and the product ids of its rows.
//!
//! Every row is checked before any is used; every bad row is counted and the first few are named. Ids
//! unknown to the shop and products without a row are counted and tolerated: both are common where
//! the embeddings were made from another day's catalogue.

mod matrix;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::path::Path;

use hotshelf_model::{ID_BYTES_MAX, ProductInfo};
use hotshelf_registry::Sha256Digest;

use super::report::{EmbeddingsReport, FileReport};
use crate::error::Error;
use crate::mapping::EmbeddingFiles;
use matrix::Matrix;

/// Largest file that is read (chosen: two million rows of a thousand f32 numbers).
const FILE_BYTES_MAX: u64 = 8 << 30;
/// Bad rows named in the message.
const NAMED_MAX: usize = 10;
/// Characters of an id shown in a message.
const ID_SHOWN: usize = 64;

/// Attaches embeddings to products. `catalogue` is sorted by id.
///
/// # Errors
/// [`Error::Unreadable`], and [`Error::Embeddings`] with the first unusable rows.
pub(super) fn attach(
    files: &EmbeddingFiles,
    catalogue: &mut [ProductInfo],
) -> Result<EmbeddingsReport, Error> {
    let matrix_bytes = read_file(&files.matrix)?;
    let ids_bytes = read_file(&files.ids)?;
    let refuse = |file: &(String, _), why: String| Error::Embeddings {
        file: file.0.clone(),
        bad: 1,
        first: vec![why],
    };
    let matrix = Matrix::read(&matrix_bytes, &files.format);
    let matrix = matrix.map_err(|why| refuse(&files.matrix, why))?;
    let ids = std::str::from_utf8(&ids_bytes);
    let ids = ids.map_err(|_| refuse(&files.ids, "is not UTF-8".to_owned()))?;
    let ids: Vec<&str> = ids
        .trim_start_matches('\u{feff}')
        .lines()
        .map(str::trim)
        .collect();
    if ids.len() != matrix.rows {
        let (ids, rows) = (ids.len(), matrix.rows);
        let matrix = &files.matrix.0;
        let why = format!("has {ids} ids, and {matrix} has {rows} rows");
        return Err(refuse(&files.ids, why));
    }
    check_ids(&ids).into_result(&files.ids.0)?;
    check_numbers(&matrix, &ids).into_result(&files.matrix.0)?;

    let mut unknown_ids = 0;
    for (row, id) in ids.iter().enumerate() {
        match catalogue.binary_search_by(|product| product.id.as_str().cmp(id)) {
            Ok(at) => catalogue[at].embedding = Some(matrix.row(row).collect()),
            Err(_) => unknown_ids += 1,
        }
    }
    let products_with = ids.len() - unknown_ids;
    if products_with == 0 {
        let why = "names no product of the shop".to_owned();
        return Err(refuse(&files.ids, why));
    }
    let report = |file: &(String, _), bytes: &[u8]| FileReport {
        name: file.0.clone(),
        sha256: Sha256Digest::of(bytes),
        rows: ids.len() as u64,
    };
    Ok(EmbeddingsReport {
        matrix: report(&files.matrix, &matrix_bytes),
        ids: report(&files.ids, &ids_bytes),
        dimension: matrix.dimension,
        products_with,
        products_without: catalogue.len() - products_with,
        unknown_ids,
    })
}

fn read_file((name, path): &(String, impl AsRef<Path>)) -> Result<Vec<u8>, Error> {
    let path = path.as_ref();
    let unreadable = |source| Error::Unreadable {
        path: path.to_owned(),
        source,
    };
    let size_bytes = std::fs::metadata(path).map_err(unreadable)?.len();
    if size_bytes > FILE_BYTES_MAX {
        return Err(Error::Embeddings {
            file: name.clone(),
            bad: 1,
            first: vec![format!(
                "has {size_bytes} bytes, above the limit of {FILE_BYTES_MAX}"
            )],
        });
    }
    std::fs::read(path).map_err(unreadable)
}

/// Unusable rows: all counted, the first few described.
#[derive(Default)]
struct BadRows {
    bad: u64,
    first: Vec<String>,
}

impl BadRows {
    fn add(&mut self, row: usize, id: &str, why: &str) {
        self.bad += 1;
        if self.first.len() < NAMED_MAX {
            let shown: String = id.chars().take(ID_SHOWN).collect();
            let cut = if shown.len() < id.len() { "…" } else { "" };
            self.first
                .push(format!("row {}, id {shown:?}{cut}: {why}", row + 1));
        }
    }

    fn into_result(self, file: &str) -> Result<(), Error> {
        if self.bad == 0 {
            return Ok(());
        }
        Err(Error::Embeddings {
            file: file.to_owned(),
            bad: self.bad,
            first: self.first,
        })
    }
}

fn check_ids(ids: &[&str]) -> BadRows {
    let mut bad = BadRows::default();
    let mut rows = HashMap::with_capacity(ids.len());
    for (row, id) in ids.iter().enumerate() {
        if id.is_empty() {
            bad.add(row, id, "the id is empty");
        } else if id.len() > ID_BYTES_MAX {
            let bytes = id.len();
            let why = format!("the id has {bytes} bytes, more than {ID_BYTES_MAX}");
            bad.add(row, id, &why);
        } else if let Some(first) = rows.insert(*id, row) {
            bad.add(
                row,
                id,
                &format!("the id is a duplicate of row {}", first + 1),
            );
        }
    }
    bad
}

fn check_numbers(matrix: &Matrix<'_>, ids: &[&str]) -> BadRows {
    let mut bad = BadRows::default();
    for (row, id) in ids.iter().enumerate() {
        let broken = matrix.row(row).enumerate().find(|(_, x)| !x.is_finite());
        if let Some((column, number)) = broken {
            let why = format!("number {} is {number}", column + 1);
            bad.add(row, id, &why);
        }
    }
    bad
}
