//! One question to a model and its answer, in the model's own words.
//!
//! Wire types, limits of a request and texts for callers belong to the shells; here everything is
//! rows, scores and closed sets of reasons.

use serde::{Deserialize, Serialize};

use crate::ids::ProductRow;

/// How scores are made.
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
}

impl Strategy {
    /// The name in metrics, logs and cards.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hybrid => "hybrid",
            Self::Collaborative => "collaborative",
            Self::Content => "content",
        }
    }
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
        }
    }
}

/// One question. [`Query::default`] is an anonymous user who wants 10 products.
#[derive(Clone, Copy, Debug)]
pub struct Query<'a> {
    /// User id; empty for an anonymous user.
    pub user_id: &'a str,
    /// How many products are wanted.
    pub n: usize,
    /// The strategy asked for; [`Answer::strategy`] names the one used.
    pub strategy: Strategy,
    /// Products that must not come back; ids the model does not know are ignored.
    pub exclude_product_ids: &'a [String],
    /// Whether products the user already has may come back.
    pub include_seen: bool,
}

impl Default for Query<'_> {
    fn default() -> Self {
        Self {
            user_id: "",
            n: 10,
            strategy: Strategy::default(),
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
    /// What the answer is ordered by, descending: an inner product for
    /// [`Reason::Collaborative`], the popularity (a sum of interaction values) for
    /// [`Reason::Popular`].
    pub score: f32,
    /// Where the item came from.
    pub reason: Reason,
    /// The raw collaborative score, where one was computed.
    pub collaborative: Option<f32>,
    /// The raw content score, where one was computed.
    pub content: Option<f32>,
}

/// A way in which an answer fell short of what was asked; each is counted by the server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Fallback {
    /// The user id is empty or not in the model: answered by popularity.
    UnknownUser = 0,
    /// The user's factors are all zero, so every product would score 0: answered by popularity.
    NoUserFactors = 1,
    /// Hybrid was asked of a version without content parts: answered collaboratively.
    NoContentParts = 2,
}

impl Fallback {
    /// Every fallback, for metrics that are registered up front.
    pub const ALL: [Self; 3] = [Self::UnknownUser, Self::NoUserFactors, Self::NoContentParts];

    /// The name in metrics and logs.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UnknownUser => "unknown_user",
            Self::NoUserFactors => "no_user_factors",
            Self::NoContentParts => "no_content_parts",
        }
    }
}

/// The fallbacks of one answer; a set without allocation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Fallbacks(u8);

impl Fallbacks {
    /// Adds one.
    pub fn insert(&mut self, fallback: Fallback) {
        self.0 |= 1 << fallback as u8;
    }

    /// Whether `fallback` was taken.
    #[must_use]
    pub fn contains(self, fallback: Fallback) -> bool {
        self.0 & (1 << fallback as u8) != 0
    }

    /// Whether the answer is exactly what was asked for.
    #[must_use]
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Those taken, in the order of [`Fallback::ALL`].
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
    /// The strategy really used.
    pub strategy: Strategy,
    /// What was given up on the way.
    pub fallbacks: Fallbacks,
    /// Segment of the user, or [`crate::UNKNOWN_SEGMENT`].
    pub segment: &'a str,
}

/// Why a query has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum QueryError {
    /// Content was asked of a version without content parts.
    #[error("strategy content needs content parts, and this version has none")]
    NeedsContent,
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
