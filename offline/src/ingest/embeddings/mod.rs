//! The shop's own embeddings: a matrix and the product ids of its rows.
//!
//! Every row is checked before any is used; every bad row is counted and the first few are named.
//! Ids unknown to the shop and products without a row are counted and tolerated: both are common
//! where the embeddings were made from another day's catalogue.

mod matrix;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::io::Read;
use std::path::Path;
use std::sync::Arc;

use hotshelf_model::ID_BYTES_MAX;
use hotshelf_registry::Sha256Digest;

use super::report::{EmbeddingsReport, FileReport};
use crate::error::Error;
use crate::mapping::EmbeddingFiles;
use matrix::Matrix;

/// Embeddings by product id.
pub(super) type Embeddings = HashMap<String, Arc<[f32]>>;

/// Largest file that is read (chosen: two million rows of a thousand f32 numbers).
const FILE_BYTES_MAX: u64 = 8 << 30;
/// Bad rows named in the message.
const NAMED_MAX: usize = 10;
/// Characters of an id shown in a message.
const ID_SHOWN: usize = 64;

/// Reads the embeddings of the products with `known` ids, of which a share must match.
///
/// # Errors
/// [`Error::Unreadable`], and [`Error::Embeddings`] with the first unusable rows.
pub(super) fn read(
    files: &EmbeddingFiles,
    known: &BTreeSet<&str>,
    at_least: f64,
) -> Result<(Embeddings, EmbeddingsReport), Error> {
    let matrix_bytes = read_file(&files.matrix, FILE_BYTES_MAX)?;
    let refuse = |file: &(String, _), why: String| Error::Embeddings {
        file: file.0.clone(),
        bad: 1,
        first: vec![why],
    };
    let matrix = Matrix::read(&matrix_bytes, &files.format);
    let matrix = matrix.map_err(|why| refuse(&files.matrix, why))?;
    // An id and its line end, for every row and one more, which is then one too many.
    let id_bytes_max = (matrix.rows as u64 + 2).saturating_mul(ID_BYTES_MAX as u64 * 2);
    let ids_bytes = read_file(&files.ids, id_bytes_max.min(FILE_BYTES_MAX))?;
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

    let rows = ids.iter().enumerate().filter(|(_, id)| known.contains(*id));
    let embeddings: Embeddings = rows
        .map(|(row, id)| ((*id).to_owned(), matrix.row(row).collect()))
        .collect();
    let products_with = embeddings.len();
    let smaller = ids.len().min(known.len()) as f64;
    if products_with == 0 || (products_with as f64) < at_least * smaller {
        let examples = |ids: &mut dyn Iterator<Item = &&str>| {
            let quoted = ids.take(3).map(|id| format!("{id:?}"));
            quoted.collect::<Vec<_>>().join(", ")
        };
        let listed: BTreeSet<&str> = ids.iter().copied().collect();
        return Err(refuse(
            &files.ids,
            format!(
                "names {products_with} of {} products of the shop; only in the file: {}; only in \
                 the shop: {}",
                known.len(),
                examples(&mut listed.difference(known)),
                examples(&mut known.difference(&listed))
            ),
        ));
    }
    let file = |file: &(String, _), bytes: &[u8]| FileReport {
        name: file.0.clone(),
        sha256: Sha256Digest::of(bytes),
        rows: ids.len() as u64,
    };
    let report = EmbeddingsReport {
        matrix: file(&files.matrix, &matrix_bytes),
        ids: file(&files.ids, &ids_bytes),
        dimension: matrix.dimension,
        products_with,
        products_without: known.len() - products_with,
        unknown_ids: ids.len() - products_with,
    };
    Ok((embeddings, report))
}

/// Reads a file of at most `bytes_max`; whatever its size claims, no more than that is read.
fn read_file((name, path): &(String, impl AsRef<Path>), bytes_max: u64) -> Result<Vec<u8>, Error> {
    let path = path.as_ref();
    let unreadable = |source| Error::Unreadable {
        path: path.to_owned(),
        source,
    };
    // A device or a pipe would fill the memory before its end is known.
    let file = hotshelf_terminal::file::open(path).map_err(unreadable)?;
    let metadata = file.metadata().map_err(unreadable)?;
    let refuse = |why: String| {
        Err(Error::Embeddings {
            file: name.clone(),
            bad: 1,
            first: vec![why],
        })
    };
    let size_bytes = metadata.len();
    let mut bytes = Vec::new();
    if size_bytes <= bytes_max {
        bytes.reserve_exact(size_bytes as usize);
        let mut limited = file.take(bytes_max + 1);
        limited.read_to_end(&mut bytes).map_err(unreadable)?;
        if bytes.len() as u64 <= bytes_max {
            return Ok(bytes);
        }
    }
    refuse(format!("has more than {bytes_max} bytes"))
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
