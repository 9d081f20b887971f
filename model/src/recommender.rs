//! The model as a whole, and how a query becomes an answer.
//!
//! ```text
//!  query ─▶ filter and exclusions ─▶ Eligibility: eligible products, listed where few
//!        ─▶ user, recents ──┬─▶ ALS factors: stored, else folded in ──▶ by factors ─┐
//!                           └─▶ recents with embeddings ─────────────▶ by content ─┤
//!                                                                                   ▼
//!            both ─▶ blend │ one ─▶ that one │ none ─▶ popularity         ─▶ missing? popularity
//! ```
//!
//! Every strategy answers with min(n, matches) products. Products without interactions have zero
//! factors, score 0 and are ranked like any other, so the collaborative side is never short.
//! Products without an embedding have no content score; they follow the others by popularity.
//! [`Answer::fallbacks`] names what the answer did without.

mod blend;
mod by_content;
mod by_factors;
mod eligibility;
mod model;
mod person;
mod popular;
mod scratch;
mod similar;

pub(crate) use self::model::Pieces;
use self::{
    blend::{Hybrid, SidesScratch},
    by_content::ByContent,
    eligibility::{Eligibility, Exclusions},
    person::Taste,
    popular::PopularScratch,
};
pub use self::{model::Model, scratch::Scratch};
use crate::{
    ids::ProductRow,
    params::ScoringParams,
    query::{Answer, Fallback, Fallbacks, Item, Query, QueryError, Reason, Strategy, Trace},
    users::UNKNOWN_SEGMENT,
};

/// The sides that can score products for this query.
struct Sides<'a> {
    taste: Option<Taste<'a>>,
    content: Option<ByContent<'a>>,
    /// Product rows with embeddings, newest first.
    recents: &'a [u32],
}

impl Model {
    /// Answers a query with min(n, matches) products. Allocates nothing but the answer's items
    /// once `scratch` has grown.
    ///
    /// # Errors
    /// [`QueryError::NeedsContent`] for [`Strategy::Content`] of a model without content parts.
    pub fn recommend(
        &self,
        query: &Query<'_>,
        scratch: &mut Scratch,
    ) -> Result<Answer<'_>, QueryError> {
        let mut fallbacks = Fallbacks::default();
        let strategy = self.possible_strategy(query.strategy, &mut fallbacks)?;
        let user = self.users.find(query.user_id);
        let Scratch {
            eligibility,
            person,
            fold_in,
            sides: work,
            popular,
            ..
        } = scratch;
        let recent_unknown = self.name_recents(query, person);
        self.choose_recents(query, user, person);
        let excludes_seen = !query.include_seen;
        let exclusions = Exclusions {
            seen_by: user.filter(|_| excludes_seen),
            rows: if excludes_seen { &person.named } else { &[] },
            ids: query.exclude_product_ids,
        };
        let eligibility = self.eligibility(&query.filter, exclusions, eligibility);
        let asks_content = strategy != Strategy::Collaborative && !person.recents.is_empty();
        let sides = Sides {
            taste: match strategy {
                Strategy::Content => None,
                _ => self.taste(user, &person.named, fold_in),
            },
            content: self.by_content().filter(|_| asks_content),
            recents: &person.recents,
        };
        if strategy != Strategy::Content && sides.taste.is_none() {
            fallbacks.insert(match user {
                Some(_) => Fallback::NoUserFactors,
                None => Fallback::UnknownUser,
            });
        }
        if strategy != Strategy::Collaborative && sides.content.is_none() {
            fallbacks.insert(Fallback::NoRecentProducts);
        }
        let (mut items, trace) = self.rank(query, &sides, (&eligibility, work));
        let strategy = match (sides.taste, sides.content) {
            (Some(_), Some(_)) | (None, None) => strategy,
            (Some(_), None) => Strategy::Collaborative,
            (None, Some(_)) => Strategy::Content,
        };
        let missing = query.n - items.len();
        if missing > 0 {
            let is_filled = self.fill_up(&mut items, (&sides, missing), (&eligibility, popular));
            if is_filled && sides.content.is_some() {
                fallbacks.insert(Fallback::FilledWithPopular);
            }
        }
        if items.is_empty() && query.n > 0 {
            fallbacks.insert(Fallback::NothingMatches);
        }
        let segment = user.map_or(UNKNOWN_SEGMENT, |user| self.users.segment(user));
        Ok(Answer {
            items,
            strategy,
            fallbacks,
            segment,
            recent_unknown,
            trace,
        })
    }

    /// The strategy asked for, or what this version can do instead.
    fn possible_strategy(
        &self,
        asked: Strategy,
        fallbacks: &mut Fallbacks,
    ) -> Result<Strategy, QueryError> {
        match (asked, &self.content) {
            (Strategy::Content, None) => Err(QueryError::NeedsContent),
            (Strategy::Hybrid, None) => {
                fallbacks.insert(Fallback::NoContentParts);
                Ok(Strategy::Collaborative)
            }
            _ => Ok(asked),
        }
    }

    /// At most n products, ranked by the sides that are present.
    fn rank(
        &self,
        query: &Query<'_>,
        sides: &Sides<'_>,
        (eligibility, work): (&Eligibility<'_>, &mut SidesScratch),
    ) -> (Vec<Item>, Trace) {
        let n = query.n;
        match (sides.taste, sides.content) {
            (Some(taste), Some(by_content)) => {
                let hybrid = Hybrid {
                    n,
                    alpha: self.alpha(query),
                    taste,
                    by_content,
                    recents: sides.recents,
                };
                self.blend(&hybrid, eligibility, work)
            }
            (Some(taste), None) => {
                let SidesScratch { search, ranked, .. } = work;
                let found = self.rank_by_factors((taste.factors, n), eligibility, (search, ranked));
                let items = ranked.iter().map(|(row, score)| Item {
                    product: ProductRow(*row),
                    score: *score,
                    reason: taste.reason,
                    collaborative: Some(*score),
                    content: None,
                });
                let trace = Trace {
                    collaborative: Some(found),
                    content: None,
                };
                (items.collect(), trace)
            }
            (None, Some(by_content)) => {
                by_content.aim(sides.recents, &mut work.content);
                let found = by_content.rank((sides.recents, n), eligibility, &mut work.content);
                let items = work.content.ranked().map(|(row, score)| Item {
                    product: ProductRow(row),
                    score,
                    reason: Reason::Content,
                    collaborative: None,
                    content: Some(score),
                });
                let trace = Trace {
                    collaborative: None,
                    content: Some(found),
                };
                (items.collect(), trace)
            }
            (None, None) => (Vec::new(), Trace::default()),
        }
    }

    /// Appends popular products, those in the categories of the recents first; returns whether any
    /// were found.
    fn fill_up(
        &self,
        items: &mut Vec<Item>,
        (sides, missing): (&Sides<'_>, usize),
        (eligibility, popular): (&Eligibility<'_>, &mut PopularScratch),
    ) -> bool {
        let alike = sides.content.map_or(&[][..], |_| sides.recents);
        popular.start(self.products.len(), items.iter().map(|item| item.product.0));
        self.choose_popular((alike, missing), eligibility, popular);
        items.extend(popular.rows.iter().map(|row| Item {
            product: ProductRow(*row),
            score: self.products.popularity(ProductRow(*row)),
            reason: Reason::Popular,
            collaborative: None,
            content: None,
        }));
        !popular.rows.is_empty()
    }

    /// Weight of the collaborative score: the query's, or else the model's.
    fn alpha(&self, query: &Query<'_>) -> f64 {
        let alpha = query.alpha.unwrap_or(self.parameters.scoring.alpha);
        if alpha.is_nan() {
            return ScoringParams::default().alpha;
        }
        alpha.clamp(0.0, 1.0)
    }

    fn by_content(&self) -> Option<ByContent<'_>> {
        let (content, rows) = (self.content.as_ref()?, self.content_rows.as_ref()?);
        Some(ByContent { content, rows })
    }
}

#[cfg(test)]
mod tests;
