//! The model as a whole, and how a query becomes an answer.
//!
//! ```text
//!  query ─▶ user known? ──no──▶ popularity, best first ──────────────┐
//!             │ yes                                                  ▼
//!             └──▶ exclude seen and excluded ─▶ ItemIndex ─▶ items ─▶ answer
//! ```
//!
//! The promise is min(n, eligible) items: products without interactions have zero factors, score
//! 0 and are eligible like any other, so a collaborative answer is never short and needs no
//! filling up with popularity.

use crate::{
    als::Als,
    content::Content,
    dot::dot,
    history::History,
    ids::{ProductRow, UserRow},
    index::{ItemIndex, Search, SearchScratch},
    params::FitParams,
    popularity,
    products::Products,
    query::{
        Answer, Basis, Fallback, Fallbacks, Filter, Item, Query, QueryError, Reason, Retrieval,
        RetrievalPlan, SimilarAnswer, SimilarItem, SimilarQuery, Strategy, Trace,
    },
    row_set::RowSet,
    users::{UNKNOWN_SEGMENT, Users},
};

/// One fitted or decoded model: immutable, shared between threads, without interior state.
#[derive(Debug)]
pub struct Model {
    users: Users,
    products: Products,
    als: Als,
    history: History,
    index: ItemIndex,
    content: Option<Content>,
    parameters: FitParams,
    fold_in_value: f32,
    /// Product rows, most popular first.
    popular: Vec<u32>,
}

/// What fitting or decoding has put together; sizes agree and every row points somewhere.
pub(crate) struct Pieces {
    pub(crate) users: Users,
    pub(crate) products: Products,
    pub(crate) als: Als,
    pub(crate) history: History,
    pub(crate) index: ItemIndex,
    pub(crate) content: Option<Content>,
    pub(crate) parameters: FitParams,
    pub(crate) fold_in_value: f32,
}

/// Working memory of one caller, reusable across queries and models: it grows to the largest
/// catalogue seen (4 bytes a product) and is not allocated again.
#[derive(Clone, Debug, Default)]
pub struct Scratch {
    excluded: RowSet,
    search: SearchScratch,
}

impl Model {
    pub(crate) fn new(pieces: Pieces, breathe: crate::Breathe<'_>) -> Self {
        let Pieces {
            users,
            products,
            als,
            history,
            index,
            content,
            parameters,
            fold_in_value,
        } = pieces;
        let popular = popularity::order(products.popularity.values(), breathe);
        Self {
            users,
            products,
            als,
            history,
            index,
            content,
            parameters,
            fold_in_value,
            popular,
        }
    }

    /// Answers a query: a known user by inner products with product factors, everyone else by
    /// popularity. Allocates nothing but the answer's items once `scratch` has grown.
    ///
    /// # Errors
    /// [`QueryError::NeedsContent`] for [`Strategy::Content`] of a model without content parts.
    pub fn recommend(
        &self,
        query: &Query<'_>,
        scratch: &mut Scratch,
    ) -> Result<Answer<'_>, QueryError> {
        let mut fallbacks = Fallbacks::default();
        match query.strategy {
            Strategy::Content => return Err(QueryError::NeedsContent),
            Strategy::Hybrid => fallbacks.insert(Fallback::NoContentParts),
            Strategy::Collaborative => {}
        }
        let user = self.users.find(query.user_id);
        self.exclude(query, user, &mut scratch.excluded);
        let factors = user.map(|user| self.als.user(user));
        let items = match factors {
            Some(factors) if factors.iter().any(|x| *x != 0.0) => {
                self.by_factors(factors, query.n, scratch)
            }
            _ => {
                fallbacks.insert(match user {
                    Some(_) => Fallback::NoUserFactors,
                    None => Fallback::UnknownUser,
                });
                self.by_popularity(query.n, &scratch.excluded)
            }
        };
        let segment = user.map_or(UNKNOWN_SEGMENT, |user| self.users.segment(user));
        Ok(Answer {
            items,
            strategy: Strategy::Collaborative,
            fallbacks,
            segment,
            recent_unknown: 0,
            trace: Trace::default(),
        })
    }

    fn exclude(&self, query: &Query<'_>, user: Option<UserRow>, excluded: &mut RowSet) {
        excluded.start(self.products.len());
        if let Some(user) = user
            && !query.include_seen
        {
            self.history
                .seen(user)
                .iter()
                .for_each(|row| excluded.insert(*row));
        }
        let named = query
            .exclude_product_ids
            .iter()
            .filter_map(|id| self.products.find(id));
        named.for_each(|product| excluded.insert(product.0));
    }

    fn by_factors(&self, factors: &[f32], n: usize, scratch: &mut Scratch) -> Vec<Item> {
        let search = Search {
            query: factors,
            n,
            admitted_max: self.products.len(),
        };
        let excluded = &scratch.excluded;
        let admits = |row| !excluded.contains(row);
        let found = self.index.search(&search, admits, &mut scratch.search);
        let items = found.map(|(row, score)| Item {
            product: ProductRow(row),
            score,
            reason: Reason::Collaborative,
            collaborative: Some(score),
            content: None,
        });
        items.collect()
    }

    fn by_popularity(&self, n: usize, excluded: &RowSet) -> Vec<Item> {
        let mut items = Vec::with_capacity(n.min(self.products.len()));
        let eligible = self.popular.iter().filter(|row| !excluded.contains(**row));
        items.extend(eligible.take(n).map(|row| Item {
            product: ProductRow(*row),
            score: self.products.popularity(ProductRow(*row)),
            reason: Reason::Popular,
            collaborative: None,
            content: None,
        }));
        items
    }

    /// Lists the products most like one product by cosine, those without a vector behind the
    /// others by popularity. Costs a pass over the catalogue.
    ///
    /// # Errors
    /// [`QueryError::UnknownProduct`], and [`QueryError::NeedsContent`] for [`Basis::Content`] of a
    /// model without content parts.
    pub fn similar(
        &self,
        query: &SimilarQuery<'_>,
        scratch: &mut Scratch,
    ) -> Result<SimilarAnswer, QueryError> {
        let product = self.products.find(query.product_id);
        let product = product.ok_or(QueryError::UnknownProduct)?;
        let mut fallbacks = Fallbacks::default();
        let basis = match (query.basis, &self.content) {
            (Some(Basis::Content), None) => return Err(QueryError::NeedsContent),
            (None, None) => {
                fallbacks.insert(Fallback::NoContentParts);
                Basis::Collaborative
            }
            (basis, _) => basis.unwrap_or(Basis::Content),
        };
        scratch.excluded.start(self.products.len());
        let named = query.exclude_product_ids.iter();
        let named = named.filter_map(|id| self.products.find(id));
        let left_out = named.chain([product]);
        left_out.for_each(|product| scratch.excluded.insert(product.0));
        let eligible = self.popular().filter(|other| {
            !scratch.excluded.contains(other.0) && self.passes(&query.filter, *other)
        });
        let vector = self.vector(product, basis);
        let similarity = |other: &ProductRow| cosine(vector?, self.vector(*other, basis)?);
        let eligible: Vec<_> = eligible.map(|other| (other, similarity(&other))).collect();
        let mut items: Vec<_> = eligible
            .iter()
            .filter_map(|(product, similarity)| {
                Some(SimilarItem {
                    product: *product,
                    similarity: (*similarity)?,
                })
            })
            .collect();
        items.sort_by(|a, b| {
            let by_similarity = b.similarity.total_cmp(&a.similarity);
            by_similarity.then(a.product.0.cmp(&b.product.0))
        });
        let scored = items.len();
        items.truncate(query.n);
        if eligible.is_empty() {
            fallbacks.insert(Fallback::NothingMatches);
        } else if scored == 0 {
            fallbacks.insert(Fallback::NoProductVector);
        } else if eligible.len() > scored && scored < query.n {
            fallbacks.insert(Fallback::FilledWithPopular);
        }
        let category = self.products.category(product);
        let rest = eligible
            .into_iter()
            .filter(|(_, similarity)| similarity.is_none());
        let (alike, others): (Vec<_>, Vec<_>) =
            rest.partition(|(other, _)| self.products.category(*other) == category);
        let rest = alike.into_iter().chain(others).map(|(other, _)| other);
        items.extend(rest.take(query.n - items.len()).map(|product| SimilarItem {
            product,
            similarity: 0.0,
        }));
        let retrieval = Some(Retrieval {
            plan: RetrievalPlan::Matches,
            scored,
        });
        Ok(SimilarAnswer {
            items,
            basis,
            fallbacks,
            retrieval,
        })
    }

    fn vector(&self, product: ProductRow, basis: Basis) -> Option<&[f32]> {
        match basis {
            Basis::Collaborative => Some(self.als.product(product)),
            Basis::Content => {
                let content = self.content.as_ref()?;
                let group = content.group(product)?;
                Some(content.embeddings().row(group as usize))
            }
        }
    }

    fn passes(&self, filter: &Filter<'_>, product: ProductRow) -> bool {
        let is_any = |wanted: &[String], has: Option<&str>| {
            wanted.is_empty() || has.is_some_and(|has| wanted.iter().any(|one| one == has))
        };
        // Prices are f32: a bound is rounded as the price was.
        let price = self.products.price(product);
        let is_within = |bound: Option<f64>, holds: fn(f32, f32) -> bool| {
            bound.is_none_or(|bound| price.is_some_and(|price| holds(price, bound as f32)))
        };
        is_any(filter.categories, self.products.category(product))
            && is_any(filter.brands, self.products.brand(product))
            && is_within(filter.price_min, |price, bound| price >= bound)
            && is_within(filter.price_max, |price, bound| price <= bound)
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The products.
    #[must_use]
    pub fn products(&self) -> &Products {
        &self.products
    }

    /// The ALS factors.
    #[must_use]
    pub fn als(&self) -> &Als {
        &self.als
    }

    /// What each user has interacted with.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The index over product factors.
    #[must_use]
    pub fn index(&self) -> &ItemIndex {
        &self.index
    }

    /// Content embeddings; `None` in a version without content parts.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// What the model was fitted with.
    #[must_use]
    pub fn parameters(&self) -> &FitParams {
        &self.parameters
    }

    /// What one recent product weighs in a fold-in.
    #[must_use]
    pub fn fold_in_value(&self) -> f32 {
        self.fold_in_value
    }

    /// Products by popularity descending, then row ascending.
    pub fn popular(&self) -> impl ExactSizeIterator<Item = ProductRow> {
        self.popular.iter().map(|row| ProductRow(*row))
    }

    /// Bytes that live as long as the model does, parts and what was computed from them.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.users.bytes()
            + self.products.bytes()
            + self.als.bytes()
            + self.history.bytes()
            + self.index.bytes()
            + self.content.as_ref().map_or(0, Content::bytes)
            + size_of_val(&self.popular[..])
    }
}

fn cosine(a: &[f32], b: &[f32]) -> Option<f32> {
    let lengths = dot(a, a).sqrt() * dot(b, b).sqrt();
    (lengths > 0.0).then(|| (dot(a, b) / lengths).clamp(-1.0, 1.0))
}

#[cfg(test)]
mod tests;
