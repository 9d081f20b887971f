//! Content embeddings from what the catalogue says.
//!
//! ```text
//!  name, description, category, brand ─▶ words ─▶ distinct texts ─▶ vocabulary, idf ─┐
//!  price ─▶ standardised log ─▶ grid ────────────────────────────────────────────────┴▶ rows ─┐
//!  the shop's own embeddings ─▶ unit length ───────────────────────────────────────────▶ rows ─┤
//!                                        Content ◀─ neighbours ◀─ index ◀─ distinct rows ◀─────┘
//! ```
//!
//! Only distinct rows are ever made: memory is proportional to the catalogue and its distinct
//! rows, never to pairs of products.

mod groups;
mod neighbours;
mod own;
mod postings;
mod price;
mod texts;
mod tfidf;
mod vocabulary;
mod words;

pub(super) use self::vocabulary::NGRAM_MAX;
use super::{FitError, als::Machine, assemble::Catalogue};
use crate::{Content, ContentCard, FitParams, Matrix, grouped::NO_GROUP, index::Build};

/// Embeds the products; `None` where the parameters or the catalogue give nothing to embed.
///
/// Costs one pass over the texts, and for neighbour lists at most 2^36 steps (see
/// `neighbours.rs`); memory for the distinct texts and embeddings, each twice over.
///
/// # Errors
/// Embeddings of the shop's own that are no numbers or differ in length, by product.
pub(super) fn embed(
    catalogue: &Catalogue<'_>,
    params: &FitParams,
    machine: Machine,
) -> Result<Option<Content>, FitError> {
    if params.content.terms_max == 0 {
        return Ok(None);
    }
    let (source, groups, terms) = match own::embed(catalogue.infos())? {
        Some(groups) => ("own", groups, Vec::new()),
        None => {
            let (groups, terms) = tfidf::embed(catalogue.infos(), &params.content)?;
            ("text", groups, terms)
        }
    };
    let Some((rows, groups)) = groups.into_parts() else {
        return Ok(None);
    };
    let without = groups.as_slice().iter().filter(|group| **group == NO_GROUP);
    let build = Build {
        choice: params.index,
        clock: machine.clock,
        queries: Some(&sums(&rows, params.scoring.recents)),
    };
    let index = build.index_on(machine.path, &rows);
    let (neighbours, neighbours_exact) =
        neighbours::nearest(&index, machine.path, &machine.pool()?);
    let card = ContentCard {
        source: source.to_owned(),
        groups: rows.rows(),
        products_without: without.count(),
        neighbours: neighbours.per_group,
        neighbours_exact,
        terms,
    };
    Ok(Some(Content::new(
        index,
        groups,
        (neighbours, card),
        &mut |_| {},
    )))
}

/// Most queries that the index is measured on.
const QUERIES_MAX: usize = 400;

/// Queries as users' recent products make them: sums of 1 to `recents` rows that lie apart.
fn sums(rows: &Matrix, recents: usize) -> Matrix {
    let count = rows.rows();
    let queries = count.min(QUERIES_MAX);
    let mut numbers = vec![0.0; queries * rows.cols()];
    for (at, query) in numbers.chunks_mut(rows.cols()).enumerate() {
        for step in 0..=at % recents.max(1) {
            // No two steps of a query meet, nor do they keep to one part of the catalogue.
            let row = (at * count / queries + step * (count / recents.max(1) + 1)) % count;
            for (sum, x) in query.iter_mut().zip(rows.row(row)) {
                *sum += x;
            }
        }
    }
    Matrix::from_vec(numbers, rows.cols()).expect("whole rows of a positive length")
}

#[cfg(test)]
mod tests;
