//! The one place where samples ask for similar products.

use hotshelf_model::{
    Basis, Fallbacks, Model, ProductRow, QueryError, Scratch, SimilarAnswer, SimilarItem,
    SimilarQuery,
};

/// Products like one, by content: its own group, then the nearest groups.
pub(super) fn similar(
    model: &Model,
    query: &SimilarQuery<'_>,
    _scratch: &mut Scratch,
) -> Result<SimilarAnswer, QueryError> {
    let asked = model.products().find(query.product_id);
    let asked = asked.ok_or(QueryError::UnknownProduct)?;
    let content = model.content().ok_or(QueryError::NeedsContent)?;
    let mut fallbacks = Fallbacks::default();
    let mut items = Vec::new();
    if let Some(group) = content.group(asked) {
        let (groups, cosines) = content.neighbours(group);
        let near = groups.iter().copied().zip(cosines.iter().copied());
        for (group, similarity) in std::iter::once((group, 1.0)).chain(near) {
            let members = content.members(group).iter().map(|row| ProductRow(*row));
            items.extend(
                members
                    .filter(|row| *row != asked)
                    .map(|product| SimilarItem {
                        product,
                        similarity,
                    }),
            );
        }
        items.truncate(query.n);
    } else {
        fallbacks.insert(hotshelf_model::Fallback::NoProductVector);
    }
    Ok(SimilarAnswer {
        items,
        basis: Basis::Content,
        fallbacks,
        retrieval: None,
    })
}
