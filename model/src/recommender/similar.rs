//! Products like one product: by cosine of content embeddings or of ALS factors, or those that people
//! take after it.
//!
//! Content is the content side of a recommendation with one recent product, so it has the same
//! lists, proof and plans. Factors have an index over inner products alone, and a cosine is not
//! one of these: see [`FactorCosines`].

use super::{
    Model,
    by_content::ContentScratch,
    eligibility::{Eligibility, Exclusions},
    scratch::Scratch,
};
use crate::{
    Basis, Fallback, Fallbacks, ProductRow, QueryError, Retrieval, RetrievalPlan, SimilarAnswer,
    SimilarItem, SimilarQuery,
    factor_cosines::{CosineQuery, CosineScratch},
};

impl Model {
    /// The products most like one product, min(n, matches) of them: those with a score by score
    /// descending and then by row, all others behind them by popularity.
    ///
    /// # Errors
    /// [`QueryError::UnknownProduct`]; [`QueryError::NeedsContent`] and
    /// [`QueryError::NeedsTransitions`] where a basis is requested of a version without its parts.
    pub fn similar(
        &self,
        query: &SimilarQuery<'_>,
        scratch: &mut Scratch,
    ) -> Result<SimilarAnswer, QueryError> {
        let Some(product) = self.products.find(query.product_id) else {
            return Err(QueryError::UnknownProduct);
        };
        let mut fallbacks = Fallbacks::default();
        let basis = self.possible_basis(query.basis, &mut fallbacks)?;
        let itself = [product.0];
        let exclusions = Exclusions {
            seen_by: None,
            rows: &itself,
            ids: query.exclude_product_ids,
        };
        let Scratch {
            eligibility,
            sides,
            cosines,
            popular,
            ..
        } = scratch;
        let work = (&mut sides.content, cosines);
        let eligibility = self.eligibility(&query.filter, exclusions, eligibility);
        let wanted = (product.0, query.n);
        let mut items = Vec::with_capacity(query.n.min(eligibility.eligible_max));
        let retrieval = self.rank_similar((basis, wanted), &eligibility, (work, &mut items));
        if retrieval.is_none() {
            fallbacks.insert(match basis {
                Basis::Content | Basis::Collaborative => Fallback::NoProductVector,
                Basis::Sequence => Fallback::NoTransitions,
            });
        }
        let missing = query.n.saturating_sub(items.len());
        if missing > 0 {
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

    /// The basis asked for, or the one that this version answers by.
    fn possible_basis(
        &self,
        asked: Option<Basis>,
        fallbacks: &mut Fallbacks,
    ) -> Result<Basis, QueryError> {
        match (asked, &self.content) {
            (Some(Basis::Content), None) => Err(QueryError::NeedsContent),
            (Some(Basis::Sequence), _) if self.sides.transitions.is_none() => {
                Err(QueryError::NeedsTransitions)
            }
            (Some(basis), _) => Ok(basis),
            (None, Some(_)) => Ok(Basis::Content),
            (None, None) => {
                fallbacks.insert(Fallback::NoContentParts);
                Ok(Basis::Collaborative)
            }
        }
    }

    /// Appends the best eligible products; `None` where the product has nothing to compare by.
    fn rank_similar(
        &self,
        (basis, (row, n)): (Basis, (u32, usize)),
        eligibility: &Eligibility<'_>,
        ((content, cosines), items): (
            (&mut ContentScratch, &mut CosineScratch),
            &mut Vec<SimilarItem>,
        ),
    ) -> Option<Retrieval> {
        match basis {
            Basis::Content => {
                let by_content = self.by_content().filter(|side| side.has_embedding(row))?;
                by_content.aim(&[row], content);
                let retrieval = by_content.rank((&[row], n), eligibility, content);
                items.extend(content.ranked().map(similar_item));
                Some(retrieval)
            }
            Basis::Collaborative if self.cosines.has_direction(row) => {
                let retrieval = self.rank_by_cosine((row, n), eligibility, cosines);
                let ranked = cosines.ranked.iter();
                items.extend(ranked.map(|scored| similar_item((scored.row(), scored.score()))));
                Some(retrieval)
            }
            Basis::Collaborative => None,
            Basis::Sequence => {
                let transitions = self.sides.transitions.as_ref()?;
                let (rows, scores) = transitions.after(ProductRow(row));
                let listed = rows.iter().zip(scores);
                let eligible = listed.filter(|(row, _)| eligibility.is_eligible(**row));
                items.extend(eligible.take(n).map(|(row, score)| SimilarItem {
                    product: ProductRow(*row),
                    similarity: *score,
                }));
                (!rows.is_empty()).then_some(Retrieval {
                    plan: RetrievalPlan::Transitions,
                    scored: rows.len(),
                })
            }
        }
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
