//! Queries to a model and their answers, in the model's own types.
//!
//! Wire types, request limits and error texts for callers belong to the server; here everything is
//! rows, scores and closed sets of reasons.

use serde::{Deserialize, Serialize};

use crate::{
    ids::ProductRow,
    side::{PerSide, Side, Weights},
};

/// How products are scored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strategy {
    /// Collaborative and content scores blended.
    #[default]
    Hybrid,
    /// Inner product of ALS factors.
    Collaborative,
    /// Similarity to what the user had last.
    Content,
    /// Every side that has weight, blended by the version's weights.
    Blended,
}

impl Strategy {
    /// The name in metrics, logs and cards.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Collaborative => "collaborative",
            Self::Content => "content",
            Self::Blended => "blended",
        }
    }
}

/// What a version answers where a query leaves it open. Stated in the card; a version that states
/// nothing means the default.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Defaults {
    /// How products are scored.
    pub strategy: Strategy,
    /// Whether products that the user has are eligible.
    pub include_seen: bool,
}

/// Where an item of an answer came from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// ALS factors of a known user.
    Collaborative,
    /// Content similarity.
    Content,
    /// Both, blended.
    Hybrid,
    /// ALS factors solved on the spot from recent products.
    FoldIn,
    /// Popularity over all users.
    Popular,
    /// People took it next after what the user had last.
    Sequence,
    /// The user had it before.
    Repeat,
    /// Popularity of late.
    Trend,
}

impl Reason {
    /// The name in metrics, logs and cards.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Collaborative => "collaborative",
            Self::Content => "content",
            Self::Hybrid => "hybrid",
            Self::FoldIn => "fold_in",
            Self::Popular => "popular",
            Self::Sequence => "sequence",
            Self::Repeat => "repeat",
            Self::Trend => "trend",
        }
    }
}

/// A recommendation query. [`Query::default`] asks for 10 products for an anonymous user.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// User id; empty for an anonymous user.
    pub user_id: &'a str,
    /// Number of products requested.
    pub n: usize,
    /// The strategy asked for; [`Answer::strategy`] names the one used.
    pub strategy: Strategy,
    /// Weight of the collaborative score in the hybrid, 0 to 1; `None`: the model's own.
    pub alpha: Option<f64>,
    /// Weights of the sides in [`Strategy::Blended`]; `None`: the version's own. Values that are no
    /// weights count as 0.
    pub weights: Option<Weights>,
    /// The user's most recent products, newest first; empty: those of the stored history. Unknown
    /// ids are skipped and counted in [`Answer::recent_unknown`].
    pub recent_product_ids: &'a [String],
    /// Those of them that the user only looked at: they steer like the others, and stay eligible.
    pub browsed: &'a [String],
    /// Whether the stored history follows the recent products where these are fewer than a side asks for.
    pub fill_from_history: bool,
    /// Which products are eligible.
    pub filter: Filter<'a>,
    /// Products to exclude; unknown ids are ignored.
    pub exclude_product_ids: &'a [String],
    /// Whether products that the user has, or that the query names as recent, are eligible.
    pub include_seen: bool,
}

/// Conditions on eligible products; all must hold. The default accepts every product.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Filter<'a> {
    /// Any of these categories, exact match; empty: any.
    pub categories: &'a [String],
    /// Any of these brands, exact match; empty: any.
    pub brands: &'a [String],
    /// Lowest price, inclusive, rounded to f32 as prices are. A product without a price fails both
    /// bounds.
    pub price_min: Option<f64>,
    /// Highest price, inclusive.
    pub price_max: Option<f64>,
}

impl Filter<'_> {
    /// Whether every product passes.
    #[must_use]
    pub fn is_open(&self) -> bool {
        *self == Filter::default()
    }
}

impl Default for Query<'_> {
    fn default() -> Self {
        Self {
            user_id: "",
            n: 10,
            strategy: Strategy::default(),
            alpha: None,
            weights: None,
            recent_product_ids: &[],
            browsed: &[],
            fill_from_history: false,
            filter: Filter::default(),
            exclude_product_ids: &[],
            include_seen: false,
        }
    }
}

/// One recommended product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Item {
    /// The product.
    pub product: ProductRow,
    /// What the answer is ordered by, descending, with popular products last: the side's own score
    /// where the strategy has one side, the blend (at most the sum of the weights) where it has
    /// several, the popularity (a sum of interaction values) for [`Reason::Popular`].
    pub score: f32,
    /// Where the item came from; in [`Strategy::Blended`] the side that adds most to the score.
    pub reason: Reason,
    /// Raw scores of the sides, where they were computed.
    pub scores: PerSide<Option<f32>>,
    /// What each side adds to `score`; all 0 for [`Reason::Popular`].
    pub shares: PerSide<f32>,
}

impl Item {
    /// An item that one side answers alone.
    pub(crate) fn of_side(side: Side, (row, score): (u32, f32), reason: Reason) -> Self {
        let mut item = Self {
            product: ProductRow(row),
            score,
            reason,
            scores: PerSide::default(),
            shares: PerSide::default(),
        };
        *item.scores.get_mut(side) = Some(score);
        *item.shares.get_mut(side) = score;
        item
    }
}

/// How an answer fell short of its query; the server counts each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fallback {
    /// The user id is empty or unknown, and no recent product in the query has factors to fold in:
    /// answered without the collaborative side.
    UnknownUser = 0,
    /// The user's factors are all zero, so every product would score 0, and no recent product in
    /// the query has factors: answered without the collaborative side.
    NoUserFactors = 1,
    /// The query asked for hybrid and the version has no content parts: answered collaboratively.
    NoContentParts = 2,
    /// Content was needed, and no recent product has an embedding: answered without it.
    NoRecentProducts = 3,
    /// The product asked about has no vector: answered by the popularity of its category.
    NoProductVector = 4,
    /// Fewer products than requested had a score: filled up with popular ones.
    FilledWithPopular = 5,
    /// No product passes the filter and the exclusions.
    NothingMatches = 6,
    /// The query asked for blended and the version has no weights: answered by the hybrid.
    NoBlendWeights = 7,
    /// The query asked what people take after a product, and nobody took anything: answered by the
    /// popularity of its category.
    NoTransitions = 8,
}

impl Fallback {
    /// Every fallback, for metrics that are registered up front.
    pub const ALL: [Self; 9] = [
        Self::UnknownUser,
        Self::NoUserFactors,
        Self::NoContentParts,
        Self::NoRecentProducts,
        Self::NoProductVector,
        Self::FilledWithPopular,
        Self::NothingMatches,
        Self::NoBlendWeights,
        Self::NoTransitions,
    ];

    /// The name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::NoUserFactors => "no_user_factors",
            Self::NoContentParts => "no_content_parts",
            Self::NoRecentProducts => "no_recent_products",
            Self::NoProductVector => "no_product_vector",
            Self::FilledWithPopular => "filled_with_popular",
            Self::NothingMatches => "nothing_matches",
            Self::NoBlendWeights => "no_blend_weights",
            Self::NoTransitions => "no_transitions",
        }
    }
}

/// The fallbacks of one answer; a set without allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fallbacks(u16);

impl Fallbacks {
    /// Adds a fallback.
    pub fn insert(&mut self, fallback: Fallback) {
        self.0 |= 1 << fallback as u8;
    }

    /// Whether `fallback` was taken.
    #[must_use]
    pub fn contains(self, fallback: Fallback) -> bool {
        self.0 & (1 << fallback as u8) != 0
    }

    /// Whether no fallback was taken.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// The fallbacks taken, in the order of [`Fallback::ALL`].
    pub fn iter(self) -> impl Iterator<Item = Fallback> {
        Fallback::ALL
            .into_iter()
            .filter(move |fallback| self.contains(*fallback))
    }
}

/// The answer to a [`Query`]; the lifetime is the model's.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer<'a> {
    /// Best first; among equal scores the lower product row first.
    pub items: Vec<Item>,
    /// The strategy used; the one asked for if popularity alone answers.
    pub strategy: Strategy,
    /// Fallbacks taken.
    pub fallbacks: Fallbacks,
    /// Segment of the user, or [`crate::UNKNOWN_SEGMENT`].
    pub segment: &'a str,
    /// How many of [`Query::recent_product_ids`] the model does not know.
    pub recent_unknown: usize,
    /// How the candidates were retrieved; for debugging.
    pub trace: Trace,
}

/// How each side retrieved its candidates; `None` for a side that was not used.
pub type Trace = PerSide<Option<Retrieval>>;

/// One retrieval.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Retrieval {
    /// How the candidates were found.
    pub plan: RetrievalPlan,
    /// Rows that a score was computed for.
    pub scored: usize,
}

/// How candidates were found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum RetrievalPlan {
    /// The scan in order of norm, stopped by its bound.
    Exact,
    /// The graph.
    Hnsw,
    /// A scan over the products that pass the filter.
    Matches,
    /// The stored neighbour lists.
    Neighbours,
    /// The stored transitions.
    Transitions,
    /// The user's own history.
    History,
    /// The products in order of their popularity of late.
    Popularity,
}

impl RetrievalPlan {
    /// The name in answers and cards.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Exact => "exact",
            Self::Hnsw => "hnsw",
            Self::Matches => "matches",
            Self::Neighbours => "neighbours",
            Self::Transitions => "transitions",
            Self::History => "history",
            Self::Popularity => "popularity",
        }
    }
}

/// What product similarity is based on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Basis {
    /// Cosine of content embeddings.
    Content,
    /// Cosine of ALS product factors.
    Collaborative,
    /// What people took next: bought together.
    Sequence,
}

/// A query for products similar to one product.
#[derive(Clone, Copy, Debug)]
pub struct SimilarQuery<'a> {
    /// The product.
    pub product_id: &'a str,
    /// Number of products requested.
    pub n: usize,
    /// `None`: content, or ALS factors if the version has no content parts.
    pub basis: Option<Basis>,
    /// Which products are eligible.
    pub filter: Filter<'a>,
    /// Products to exclude; unknown ids are ignored.
    pub exclude_product_ids: &'a [String],
}

/// One similar product.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SimilarItem {
    /// The product.
    pub product: ProductRow,
    /// Cosine, -1 to 1; by [`Basis::Sequence`] the transition's score, 0 or more. 0 for popular
    /// products that fill up the answer.
    pub similarity: f32,
}

/// The answer to a [`SimilarQuery`].
#[derive(Clone, Debug, PartialEq)]
pub struct SimilarAnswer {
    /// Most similar first; among equals the lower product row first. Never the product itself.
    pub items: Vec<SimilarItem>,
    /// The basis used.
    pub basis: Basis,
    /// Fallbacks taken.
    pub fallbacks: Fallbacks,
    /// How they were retrieved.
    pub retrieval: Option<Retrieval>,
}

/// Why a query has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// The query asked for content and the version has no content parts.
    #[error("content needs content parts, and this version has none")]
    NeedsContent,
    /// The query asked for what people take next and the version has no transitions.
    #[error("sequence needs transitions, and this version has none")]
    NeedsTransitions,
    /// The model does not know the product.
    #[error("the model does not know the product")]
    UnknownProduct,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fallbacks_are_a_set_in_fixed_order() {
        let mut set = Fallbacks::default();
        assert!(set.is_empty());
        set.insert(Fallback::NoContentParts);
        set.insert(Fallback::UnknownUser);
        set.insert(Fallback::UnknownUser);
        let taken: Vec<_> = set.iter().map(Fallback::as_str).collect();
        assert_eq!(taken, ["unknown_user", "no_content_parts"]);
        assert!(!set.contains(Fallback::NoUserFactors));
    }
}
