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
//! The strategy `blended` asks every side that has weight, sequence, repeat and trend among them; see
//! `blended.rs`.
//!
//! Every strategy answers with min(n, matches) products. Products without interactions have zero
//! factors, score 0 and are ranked like any other, so the collaborative side is never short.
//! Products without an embedding have no content score; they follow the others by popularity.
//! [`Answer::fallbacks`] names the fallbacks that the answer took.

mod blend;
mod blended;
mod by_content;
mod by_factors;
mod by_repeat;
mod by_sequence;
mod by_trend;
mod eligibility;
mod model;
mod person;
mod popular;
mod scratch;
mod similar;

pub(crate) use self::model::Pieces;
use self::{
    blend::{Hybrid, SidesScratch},
    blended::{BlendedScratch, usable},
    by_content::ByContent,
    by_repeat::ByRepeat,
    by_sequence::BySequence,
    eligibility::{Eligibility, Exclusions},
    person::{PersonScratch, Taste},
    popular::PopularScratch,
};
pub use self::{
    blended::{Candidate, Candidates},
    model::Model,
    scratch::Scratch,
};
use crate::{
    fold_in::FoldIn,
    ids::{ProductRow, UserRow},
    params::ScoringParams,
    query::{Answer, Fallback, Fallbacks, Item, Query, QueryError, Reason, Strategy, Trace},
    side::{PerSide, Side, Weights},
    trend::Trend,
    users::UNKNOWN_SEGMENT,
};

/// The sides that can score products for this query.
struct Sides<'a> {
    taste: Option<Taste<'a>>,
    content: Option<ByContent<'a>>,
    /// Product rows with embeddings, newest first.
    recents: &'a [u32],
    sequence: Option<BySequence<'a>>,
    repeat: Option<ByRepeat<'a>>,
    trend: Option<&'a Trend>,
}

/// What a query asks for, as far as this version can give it.
struct Asked {
    strategy: Strategy,
    /// Which sides are to score.
    sides: PerSide<bool>,
    /// Of the blend of all sides.
    weights: Weights,
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
        let asked = self.asked(query, &mut fallbacks)?;
        let user = self.users.find(query.user_id);
        let Scratch {
            eligibility,
            person,
            fold_in,
            sides: work,
            blended,
            popular,
            ..
        } = scratch;
        let recent_unknown = self.name_recents(query, person);
        self.choose_recents(query, user, person);
        if asked.sides.sequence {
            self.choose_followed(query, user, person);
        }
        let exclusions = exclusions(query, user, &person.had);
        let eligibility = self.eligibility(&query.filter, exclusions, eligibility);
        let sides = self.sides(&asked.sides, (query, user), (person, fold_in));
        name_missing(&asked.sides, &sides, user, &mut fallbacks);
        let work = (work, blended);
        let (mut items, trace) = self.rank(query, (&asked, &sides), (&eligibility, work));
        let strategy = match (asked.strategy, sides.taste, sides.content) {
            (Strategy::Blended, ..) | (_, Some(_), Some(_)) | (_, None, None) => asked.strategy,
            (_, Some(_), None) => Strategy::Collaborative,
            (_, None, Some(_)) => Strategy::Content,
        };
        let is_blended = strategy == Strategy::Blended && !items.is_empty();
        let missing = query.n - items.len();
        if missing > 0 {
            let is_filled = self.fill_up(&mut items, (&sides, missing), (&eligibility, popular));
            if is_filled && (sides.content.is_some() || is_blended) {
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

    /// The candidates of every side of this model for a query, with all their scores: a search over
    /// weights calls this once and ranks by any number of weights ([`Candidates::ranked_by`]). The
    /// query's strategy, alpha and weights do not count; everything else does. Costs what a blended
    /// answer of all sides costs.
    #[must_use]
    pub fn candidates(&self, query: &Query<'_>, scratch: &mut Scratch) -> Candidates {
        let user = self.users.find(query.user_id);
        let Scratch {
            eligibility,
            person,
            fold_in,
            sides: work,
            blended,
            ..
        } = scratch;
        self.name_recents(query, person);
        self.choose_recents(query, user, person);
        self.choose_followed(query, user, person);
        let exclusions = exclusions(query, user, &person.had);
        let eligibility = self.eligibility(&query.filter, exclusions, eligibility);
        let every = PerSide::from_fn(|_| true);
        let sides = self.sides(&every, (query, user), (person, fold_in));
        self.find_candidates((&sides, query.n), &eligibility, (work, &mut *blended));
        Candidates::of(blended)
    }

    /// What the query asks for, or what this version can do instead.
    fn asked(&self, query: &Query<'_>, fallbacks: &mut Fallbacks) -> Result<Asked, QueryError> {
        let weights = query.weights.or(self.parameters.scoring.weights);
        let mut strategy = query.strategy;
        if strategy == Strategy::Blended && weights.is_none() {
            fallbacks.insert(Fallback::NoBlendWeights);
            strategy = Strategy::Hybrid;
        }
        match (strategy, &self.content) {
            (Strategy::Content, None) => return Err(QueryError::NeedsContent),
            (Strategy::Hybrid, None) => {
                fallbacks.insert(Fallback::NoContentParts);
                strategy = Strategy::Collaborative;
            }
            _ => {}
        }
        let weights = usable(&weights.unwrap_or_default());
        let sides = match strategy {
            Strategy::Blended => PerSide::from_fn(|side| *weights.get(side) > 0.0),
            _ => PerSide {
                collaborative: strategy != Strategy::Content,
                content: strategy != Strategy::Collaborative,
                ..PerSide::default()
            },
        };
        if strategy == Strategy::Blended && sides.content && self.content.is_none() {
            fallbacks.insert(Fallback::NoContentParts);
        }
        Ok(Asked {
            strategy,
            sides,
            weights,
        })
    }

    /// The sides that are asked for and have something to go by.
    fn sides<'a>(
        &'a self,
        asked: &PerSide<bool>,
        (query, user): (&Query<'_>, Option<UserRow>),
        (person, fold_in): (&'a PersonScratch, &'a mut FoldIn),
    ) -> Sides<'a> {
        let asks_content = asked.content && !person.recents.is_empty();
        let had = user.filter(|_| asked.repeat && query.include_seen);
        let follows = asked.sequence && !person.followed.is_empty();
        let transitions = self.sides.transitions.as_ref().filter(|_| follows);
        Sides {
            taste: match asked.collaborative {
                true => self.taste(user, &person.named, fold_in),
                false => None,
            },
            content: self.by_content().filter(|_| asks_content),
            recents: &person.recents,
            sequence: transitions
                .zip(self.parameters.sides.sequence.as_ref())
                .map(|(transitions, params)| BySequence {
                    transitions,
                    params,
                    recents: &person.followed,
                }),
            repeat: had
                .zip(self.sides.frequencies.as_ref())
                .map(|(user, frequencies)| ByRepeat {
                    history: &self.history,
                    frequencies,
                    user,
                }),
            trend: self.sides.trend.as_ref().filter(|_| asked.trend),
        }
    }

    /// At most n products, ranked by the sides that are present.
    fn rank(
        &self,
        query: &Query<'_>,
        (asked, sides): (&Asked, &Sides<'_>),
        (eligibility, (work, blended)): (
            &Eligibility<'_>,
            (&mut SidesScratch, &mut BlendedScratch),
        ),
    ) -> (Vec<Item>, Trace) {
        let n = query.n;
        if asked.strategy == Strategy::Blended {
            let wanted = (sides, &asked.weights, n);
            return self.rank_blended(wanted, eligibility, (work, blended));
        }
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
                let ranked = ranked.iter();
                let items =
                    ranked.map(|found| Item::of_side(Side::Collaborative, *found, taste.reason));
                let trace = Trace {
                    collaborative: Some(found),
                    ..Trace::default()
                };
                (items.collect(), trace)
            }
            (None, Some(by_content)) => {
                by_content.aim(sides.recents, &mut work.content);
                let found = by_content.rank((sides.recents, n), eligibility, &mut work.content);
                let ranked = work.content.ranked();
                let items =
                    ranked.map(|found| Item::of_side(Side::Content, found, Reason::Content));
                let trace = Trace {
                    content: Some(found),
                    ..Trace::default()
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
            scores: PerSide::default(),
            shares: PerSide::default(),
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

/// What excludes products from this query's answer.
fn exclusions<'a>(query: &Query<'a>, user: Option<UserRow>, had: &'a [u32]) -> Exclusions<'a> {
    let excludes_seen = !query.include_seen;
    Exclusions {
        seen_by: user.filter(|_| excludes_seen),
        rows: if excludes_seen { had } else { &[] },
        ids: query.exclude_product_ids,
    }
}

/// Names the sides that were asked for and have nothing to go by.
fn name_missing(
    asked: &PerSide<bool>,
    sides: &Sides<'_>,
    user: Option<UserRow>,
    fallbacks: &mut Fallbacks,
) {
    let is_silent = sides.content.is_none()
        && sides.sequence.is_none()
        && sides.repeat.is_none()
        && sides.trend.is_none();
    if sides.taste.is_none() && (asked.collaborative || is_silent && !asked.content) {
        fallbacks.insert(match user {
            Some(_) => Fallback::NoUserFactors,
            None => Fallback::UnknownUser,
        });
    }
    if asked.content && sides.content.is_none() && !fallbacks.contains(Fallback::NoContentParts) {
        fallbacks.insert(Fallback::NoRecentProducts);
    }
}

#[cfg(test)]
mod tests;
