//! A model as named parts, and back.
//!
//! | Part | Container | Holds |
//! |---|---|---|
//! | `users.arrow` | Arrow IPC | `id` utf8, `segment` uint8; schema metadata `segments` names the codes |
//! | `products.arrow` | Arrow IPC | `id`, `name`, `category`, `brand` utf8, `price`, `popularity` float32 |
//! | `als.safetensors` | safetensors | `user_factors` [U×F], `product_factors` [I×F], `gram` [F×F], f32 |
//! | `als_index.safetensors` | safetensors | `order` u32 [I], `norms` f32 [I]; under plan `hnsw` also `edges` u32 [I×32], `entry`, `ef` u32 [1] |
//! | `content.safetensors` | safetensors | `embeddings` f32 [G×D], `groups` u32 [I]; this and the next two: all or none |
//! | `content_index.safetensors` | safetensors | as `als_index.safetensors`, over the embeddings |
//! | `content_neighbours.safetensors` | safetensors | `groups` u32 [G×K], `cosines` f32 [G×K] |
//! | `transitions.safetensors` | safetensors | `offsets` u64 [I+1], `products` u32 [T], `scores` f32 [T]; of the side sequence |
//! | `frequencies.safetensors` | safetensors | `weights` f32 [N], `last_at` i64 [N], pair by pair as `history.safetensors`; of the side repeat |
//! | `trend.safetensors` | safetensors | `popularity` f32 [I]; of the side trend |
//! | `history.safetensors` | safetensors | `offsets` u64 [U+1], `products` u32, `recent_offsets` u64 [U+1], `recent_products` u32 |
//!
//! Encoding is deterministic. Decoding trusts nothing: containers are opened with every position
//! checked, shapes are compared with the card and with each other before anything is allocated,
//! and every number and id that scoring relies on is looked at. Golden queries catch what cannot be
//! seen this way, such as factors in the wrong rows.

mod card;
mod check;
mod container;
mod content;
mod decayed;
mod error;
mod index;
mod table;
mod tables;
mod tensors;
mod transitions;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use self::error::UnpackError;
use crate::{
    Breathe, Model,
    card::{CardExtra, Dimensions, ModelCard, Sizes},
    golden_queries,
    optional_sides::OptionalSides,
    recommender::Pieces,
};

const USERS: &str = "users.arrow";
const PRODUCTS: &str = "products.arrow";
const ALS: &str = "als.safetensors";
const ALS_INDEX: &str = "als_index.safetensors";
const HISTORY: &str = "history.safetensors";
const CONTENT: &str = "content.safetensors";
const CONTENT_INDEX: &str = "content_index.safetensors";
const CONTENT_NEIGHBOURS: &str = "content_neighbours.safetensors";
const TRANSITIONS: &str = "transitions.safetensors";
const FREQUENCIES: &str = "frequencies.safetensors";
const TREND: &str = "trend.safetensors";

/// The parts of every model, by name ascending.
const PARTS: [&str; 5] = [ALS, ALS_INDEX, HISTORY, PRODUCTS, USERS];

/// The parts of a model with content embeddings: all of them or none.
const CONTENT_PARTS: [&str; 3] = [CONTENT, CONTENT_INDEX, CONTENT_NEIGHBOURS];

/// The parts of the sides that a model may lack, each there where the card names its side.
const SIDE_PARTS: [&str; 3] = [FREQUENCIES, TRANSITIONS, TREND];

/// Keys in [`ModelCard::index`]: the index over product factors, the one over embeddings.
const ALS_INDEX_KEY: &str = "als";
const CONTENT_INDEX_KEY: &str = "content";

/// One named part, ready to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// Name as in the format, `users.arrow` for instance.
    pub name: &'static str,
    /// The container's bytes.
    pub bytes: Vec<u8>,
}

/// A model as it is published.
#[derive(Clone, Debug, PartialEq)]
pub struct Packed {
    /// All parts, sorted by name.
    pub parts: Vec<Part>,
    /// The model's section of the manifest.
    pub card: ModelCard,
}

/// Why a model cannot be packed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PackError {
    /// A container refused what it was given.
    #[error("part {part} cannot be written")]
    Container {
        /// Name of the part.
        part: &'static str,
        /// What the container library says.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

fn into_pack_error(
    part: &'static str,
    source: impl std::error::Error + Send + Sync + 'static,
) -> PackError {
    PackError::Container {
        part,
        source: Box::new(source),
    }
}

impl Model {
    /// Encodes the model and writes its card, golden queries included. Same model and extra, same
    /// bytes. Costs a copy of everything and a few queries.
    ///
    /// # Errors
    /// Where a container library refuses its content.
    pub fn pack(&self, extra: CardExtra) -> Result<Packed, PackError> {
        let mut parts = vec![
            Part {
                name: ALS,
                bytes: tensors::pack_als(self.als())?,
            },
            Part {
                name: ALS_INDEX,
                bytes: index::pack(ALS_INDEX, self.index())?,
            },
            Part {
                name: HISTORY,
                bytes: tensors::pack_history(self.history())?,
            },
            Part {
                name: PRODUCTS,
                bytes: tables::pack_products(self.products())?,
            },
            Part {
                name: USERS,
                bytes: tables::pack_users(self.users())?,
            },
        ];
        let mut index = BTreeMap::from([(ALS_INDEX_KEY.to_owned(), self.index().card().clone())]);
        if let Some(content) = self.content() {
            parts.extend(content::pack(content)?);
            index.insert(CONTENT_INDEX_KEY.to_owned(), content.index().card().clone());
        }
        parts.extend(self.pack_sides()?);
        parts.sort_by_key(|part| part.name);
        let card = ModelCard {
            scoring_revision: crate::SCORING_REVISION,
            sizes: Sizes {
                users: self.users().len(),
                products: self.products().len(),
                interactions: self.history().interactions(),
            },
            dimensions: Dimensions {
                factors: self.als().factors(),
                content: self
                    .content()
                    .map_or(0, |content| content.embeddings().cols()),
            },
            parameters: self.parameters().clone(),
            index,
            content: self.content().map(|content| content.card().clone()),
            fold_in_value: self.fold_in_value(),
            as_of_s: self.as_of_s(),
            defaults: self.stated_defaults(),
            evaluation: extra.evaluation,
            golden_queries: golden_queries::choose(self, extra.golden_queries),
        };
        Ok(Packed { parts, card })
    }

    fn pack_sides(&self) -> Result<Vec<Part>, PackError> {
        let mut parts = Vec::new();
        if let Some(transitions) = self.transitions() {
            parts.push(Part {
                name: TRANSITIONS,
                bytes: transitions::pack(transitions)?,
            });
        }
        if let Some(frequencies) = self.frequencies() {
            parts.push(Part {
                name: FREQUENCIES,
                bytes: decayed::pack_frequencies(frequencies)?,
            });
        }
        if let Some(trend) = self.trend() {
            parts.push(Part {
                name: TREND,
                bytes: decayed::pack_trend(trend)?,
            });
        }
        Ok(parts)
    }

    /// Whether this build knows what a part of this name is. A loader may leave out others that a
    /// version does not require; [`Self::unpack`] refuses them.
    #[must_use]
    pub fn knows_part(name: &str) -> bool {
        PARTS.contains(&name) || CONTENT_PARTS.contains(&name) || SIDE_PARTS.contains(&name)
    }

    /// Decodes and checks parts against the card and each other. Aligned numbers stay where they
    /// are, so `parts` live as long as the model. The byte codes that an index holds beside its
    /// part are computed here. [`ModelCard::check_golden_queries`] repeats the golden queries.
    ///
    /// # Errors
    /// The first fault found, by part, row and value.
    pub fn unpack(
        card: &ModelCard,
        parts: &BTreeMap<String, Bytes>,
        breathe: Breathe<'_>,
    ) -> Result<Self, UnpackError> {
        card::check(card)?;
        let [als, als_index, history, products, users] = find_parts(parts)?;
        let users = tables::unpack_users(users, card.sizes.users, breathe)?;
        let products = tables::unpack_products(products, card.sizes.products, breathe)?;
        let als = tensors::unpack_als(als, &card.sizes, card.dimensions.factors, breathe)?;
        let index = index::unpack(
            [ALS_INDEX, ALS],
            als_index,
            als.product_factors(),
            &card.index[ALS_INDEX_KEY],
            breathe,
        )?;
        let content = match find_content_parts(card, parts)? {
            None => None,
            Some(parts) => Some(content::unpack(card, parts, breathe)?),
        };
        let history = tensors::unpack_history(history, &card.sizes, breathe)?;
        let sides = unpack_sides(card, parts, breathe)?;
        Ok(Self::new(
            Pieces {
                users,
                products,
                als,
                history,
                index,
                content,
                sides,
                parameters: card.parameters.clone(),
                fold_in_value: card.fold_in_value,
                as_of_s: card.as_of_s,
                defaults: card.defaults,
            },
            breathe,
        ))
    }
}

/// The parts in the order of [`PARTS`], none missing and none beside them.
fn find_parts(parts: &BTreeMap<String, Bytes>) -> Result<[&Bytes; 5], UnpackError> {
    if let Some(part) = parts.keys().find(|name| !Model::knows_part(name)) {
        let part = error::excerpt(part.as_str());
        return Err(UnpackError::UnknownPart { part });
    }
    let find = |part| parts.get(part).ok_or(UnpackError::MissingPart { part });
    let [als, als_index, history, products, users] = PARTS.map(find);
    Ok([als?, als_index?, history?, products?, users?])
}

/// The content parts in the order of [`CONTENT_PARTS`] where the card has content; none may stand
/// there otherwise.
fn find_content_parts<'a>(
    card: &ModelCard,
    parts: &'a BTreeMap<String, Bytes>,
) -> Result<Option<[&'a Bytes; 3]>, UnpackError> {
    if card.content.is_none() {
        let superfluous = CONTENT_PARTS
            .into_iter()
            .find(|part| parts.contains_key(*part));
        return match superfluous {
            None => Ok(None),
            Some(part) => Err(UnpackError::UnknownPart {
                part: part.to_owned(),
            }),
        };
    }
    let find = |part| parts.get(part).ok_or(UnpackError::MissingPart { part });
    let [content, index, neighbours] = CONTENT_PARTS.map(find);
    Ok(Some([content?, index?, neighbours?]))
}

/// The sides that the card names, each from its part.
fn unpack_sides(
    card: &ModelCard,
    parts: &BTreeMap<String, Bytes>,
    breathe: Breathe<'_>,
) -> Result<OptionalSides, UnpackError> {
    let sides = &card.parameters.sides;
    let find = |part, needs, is_named| match (parts.get(part), is_named) {
        (Some(bytes), true) => Ok(Some(bytes)),
        (None, true) => Err(UnpackError::MissingPart { part }),
        (Some(_), false) => Err(UnpackError::PartWithoutSide { part, needs }),
        (None, false) => Ok(None),
    };
    let transitions = find(
        TRANSITIONS,
        "parameters.sides.sequence",
        sides.sequence.is_some(),
    )?;
    let frequencies = find(
        FREQUENCIES,
        "parameters.sides.repeat",
        sides.repeat.is_some(),
    )?;
    let trend = find(TREND, "parameters.sides.trend", sides.trend.is_some())?;
    let products = card.sizes.products;
    Ok(OptionalSides {
        transitions: match transitions {
            None => None,
            Some(bytes) => Some(transitions::unpack(bytes, products, breathe)?),
        },
        frequencies: match frequencies.zip(sides.repeat.as_ref()) {
            None => None,
            Some((bytes, params)) => {
                Some(decayed::unpack_frequencies((card, params), bytes, breathe)?)
            }
        },
        trend: match trend {
            None => None,
            Some(bytes) => Some(decayed::unpack_trend(bytes, products, breathe)?),
        },
    })
}

#[cfg(test)]
mod tests;
