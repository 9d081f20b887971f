//! Products like one product: by cosine of content embeddings or of ALS factors.
//!
//! Content is the content side of a recommendation with one recent product, so it has the same
//! lists, proof and plans. Factors have an index over inner products alone, and a cosine is not
//! one of these: see [`FactorCosines`].

use super::{
    Model,
    eligibility::{Eligibility, Exclusions},
    scratch::Scratch,
};
use crate::{
    Basis, Fallback, Fallbacks, ProductRow, QueryError, Retrieval, SimilarAnswer, SimilarItem,
    SimilarQuery,
    factor_cosines::{CosineQuery, CosineScratch},
};

impl Model {
    /// The products most like one product, min(n, matches) of them: those with a vector by cosine
    /// descending and then by row, all others behind them by popularity.
    ///
    /// # Errors
    /// [`QueryError::UnknownProduct`], and [`QueryError::NeedsContent`] where [`Basis::Content`]
    /// is requested of a version without content parts.
    pub fn similar(
        &self,
        query: &SimilarQuery<'_>,
        scratch: &mut Scratch,
    ) -> Result<SimilarAnswer, QueryError> {
        let Some(product) = self.products.find(query.product_id) else {
            return Err(QueryError::UnknownProduct);
        };
        let mut fallbacks = Fallbacks::default();
        let basis = match (query.basis, &self.content) {
            (Some(Basis::Content), None) => return Err(QueryError::NeedsContent),
            (Some(basis), _) => basis,
            (None, Some(_)) => Basis::Content,
            (None, None) => {
                fallbacks.insert(Fallback::NoContentParts);
                Basis::Collaborative
            }
        };
        let itself = [product.0];
        let exclusions = Exclusions {
            seen_by: None,
            rows: &itself,
            ids: query.exclude_product_ids,
        };
        let eligibility = self.eligibility(&query.filter, exclusions, &mut scratch.eligibility);
        let wanted = (product.0, query.n);
        let mut items = Vec::with_capacity(query.n.min(eligibility.eligible_max));
        let retrieval = match (basis, self.by_content()) {
            (Basis::Content, Some(by_content)) if by_content.has_embedding(product.0) => {
                let content = &mut scratch.sides.content;
                by_content.aim(&itself, content);
                let retrieval = by_content.rank((&itself, query.n), &eligibility, content);
                items.extend(content.ranked().map(similar_item));
                Some(retrieval)
            }
            (Basis::Collaborative, _) if self.cosines.has_direction(product.0) => {
                let cosines = &mut scratch.cosines;
                let retrieval = self.rank_by_cosine(wanted, &eligibility, cosines);
                let ranked = cosines.ranked.iter();
                items.extend(ranked.map(|scored| similar_item((scored.row(), scored.score()))));
                Some(retrieval)
            }
            _ => {
                fallbacks.insert(Fallback::NoProductVector);
                None
            }
        };
        let missing = query.n.saturating_sub(items.len());
        if missing > 0 {
            let popular = &mut scratch.popular;
            popular.start(self.products.len(), items.iter().map(|item| item.product.0));
            self.choose_popular((&itself, missing), &eligibility, popular);
            items.extend(popular.rows.iter().map(|row| similar_item((*row, 0.0))));
            if retrieval.is_some() && !popular.rows.is_empty() {
                fallbacks.insert(Fallback::FilledWithPopular);
            }
        }
        if items.is_empty() && query.n > 0 {
            fallbacks.insert(Fallback::NothingMatches);
        }
        Ok(SimilarAnswer {
            items,
            basis,
            fallbacks,
            retrieval,
        })
    }

    fn rank_by_cosine(
        &self,
        (row, n): (u32, usize),
        eligibility: &Eligibility<'_>,
        work: &mut CosineScratch,
    ) -> Retrieval {
        let alike = CosineQuery {
            row,
            n,
            among: eligibility.matches,
        };
        let is_eligible = |row| eligibility.is_eligible(row);
        self.cosines
            .rank(self.als.product_factors(), alike, is_eligible, work)
    }
}

/// Rounding can take a computed cosine a few units beyond 1.
fn similar_item((row, cosine): (u32, f32)) -> SimilarItem {
    SimilarItem {
        product: ProductRow(row),
        similarity: cosine.clamp(-1.0, 1.0),
    }
}
