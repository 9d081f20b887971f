//! The shop's own embeddings.

use super::groups::{Groups, normalise};
use crate::{
    fit::FitError,
    interactions::{EMBEDDING_DIMENSIONS_MAX, ProductInfo},
};

/// Scales the embeddings to unit length; products without one, or with zeros, get no row.
/// `None` where no product has one.
pub(super) fn embed(infos: &[Option<&ProductInfo>]) -> Result<Option<Groups>, FitError> {
    let of = |info: &&ProductInfo| info.embedding.is_some();
    let Some(first) = infos.iter().flatten().copied().find(of) else {
        return Ok(None);
    };
    let cols = first
        .embedding
        .as_ref()
        .map_or(0, |embedding| embedding.len());
    if !(1..=EMBEDDING_DIMENSIONS_MAX).contains(&cols) {
        return Err(FitError::EmbeddingLength {
            id: first.id.clone(),
            found: cols,
            expected: format!("1 to {EMBEDDING_DIMENSIONS_MAX}"),
        });
    }
    let mut groups = Groups::new(cols, infos.len());
    let (mut row, mut unit) = (Vec::with_capacity(cols), Vec::with_capacity(cols));
    for info in infos {
        let Some((info, embedding)) = info.and_then(|info| Some((info, info.embedding.as_ref()?)))
        else {
            groups.skip();
            continue;
        };
        if embedding.len() != cols {
            return Err(FitError::EmbeddingLength {
                id: info.id.clone(),
                found: embedding.len(),
                expected: format!("{cols}, the length for product {:?}", first.id),
            });
        }
        if let Some(at) = embedding.iter().position(|x| !x.is_finite()) {
            return Err(FitError::EmbeddingNumber {
                id: info.id.clone(),
                at,
                value: embedding[at],
            });
        }
        row.clear();
        row.extend(embedding.iter().map(|x| f64::from(*x)));
        if normalise(&row, &mut unit) {
            groups.add(&unit);
        } else {
            groups.skip();
        }
    }
    Ok(Some(groups))
}
