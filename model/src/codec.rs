//! A model as named parts, and back.
//!
//! | Part | Container | Holds |
//! |---|---|---|
//! | `users.arrow` | Arrow IPC | `id` utf8, `segment` uint8; schema metadata `segments` names the codes |
//! | `products.arrow` | Arrow IPC | `id`, `name`, `category`, `brand` utf8, `price`, `popularity` float32 |
//! | `als.safetensors` | safetensors | `user_factors` [U×F], `product_factors` [I×F], `gram` [F×F], f32 |
//! | `als_index.safetensors` | safetensors | `order` u32 [I], `norms` f32 [I] |
//! | `history.safetensors` | safetensors | `offsets` u64 [U+1], `products` u32, `recent_offsets` u64 [U+1], `recent_products` u32 |
//!
//! Encoding is deterministic. Decoding trusts nothing: containers are opened with every position
//! checked, shapes are compared with the card and with each other before anything is allocated,
//! and every number and id that scoring relies on is looked at. What cannot be seen this way,
//! factors in the wrong rows for instance, is what probes are for.

mod check;
mod container;
mod error;
mod table;
mod tables;
mod tensors;

use std::collections::BTreeMap;

use bytes::Bytes;

pub use self::error::UnpackError;
use crate::{
    Breathe, FACTORS_MAX, Model,
    card::{CardExtra, Dimensions, IndexCard, ModelCard, Sizes},
    probes,
    recommender::Pieces,
};

const USERS: &str = "users.arrow";
const PRODUCTS: &str = "products.arrow";
const ALS: &str = "als.safetensors";
const ALS_INDEX: &str = "als_index.safetensors";
const HISTORY: &str = "history.safetensors";

/// The parts of every model, by name ascending.
const PARTS: [&str; 5] = [ALS, ALS_INDEX, HISTORY, PRODUCTS, USERS];

/// Key of the index over product factors in [`ModelCard::index`].
const ALS_INDEX_KEY: &str = "als";

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
    /// Encodes the model and writes its card, probes included. Same model and extra, same bytes.
    /// Costs a copy of everything and a few queries.
    ///
    /// # Errors
    /// Where a container library refuses its content.
    pub fn pack(&self, extra: CardExtra) -> Result<Packed, PackError> {
        let parts = vec![
            Part {
                name: ALS,
                bytes: tensors::pack_als(self.als())?,
            },
            Part {
                name: ALS_INDEX,
                bytes: tensors::pack_index(self.index())?,
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
        let index = IndexCard {
            plan: self.index().plan().to_owned(),
            recall_at_10: Some(1.0),
            queries_per_s: None,
        };
        let card = ModelCard {
            scoring_revision: crate::SCORING_REVISION,
            sizes: Sizes {
                users: self.users().len(),
                products: self.products().len(),
                interactions: self.history().interactions(),
            },
            dimensions: Dimensions {
                factors: self.als().factors(),
            },
            parameters: extra.parameters,
            index: BTreeMap::from([(ALS_INDEX_KEY.to_owned(), index)]),
            evaluation: extra.evaluation,
            probes: probes::choose(self, extra.probes),
        };
        Ok(Packed { parts, card })
    }

    /// Decodes and checks parts against the card and each other. Aligned numbers stay where they
    /// are, so `parts` live as long as the model; product factors are copied once into the order
    /// of the index. Probes are not repeated here: [`ModelCard::check_probes`] does that.
    ///
    /// # Errors
    /// The first fault found, by part, row and value.
    pub fn unpack(
        card: &ModelCard,
        parts: &BTreeMap<String, Bytes>,
        breathe: Breathe<'_>,
    ) -> Result<Self, UnpackError> {
        check_card(card)?;
        let [als, als_index, history, products, users] = find_parts(parts)?;
        let users = tables::unpack_users(users, card.sizes.users, breathe)?;
        let products = tables::unpack_products(products, card.sizes.products, breathe)?;
        let als = tensors::unpack_als(als, &card.sizes, card.dimensions.factors, breathe)?;
        let index = tensors::unpack_index(als_index, als.product_factors(), breathe)?;
        let history = tensors::unpack_history(history, &card.sizes, breathe)?;
        Ok(Self::new(
            Pieces {
                users,
                products,
                als,
                history,
                index,
            },
            breathe,
        ))
    }
}

fn check_card(card: &ModelCard) -> Result<(), UnpackError> {
    let refuse = |what, value: String, expected: String| {
        Err(UnpackError::Card {
            what,
            value,
            expected,
        })
    };
    let sizes = [
        ("sizes.users", card.sizes.users),
        ("sizes.products", card.sizes.products),
    ];
    if let Some((what, size)) = sizes
        .into_iter()
        .find(|(_, size)| *size > i32::MAX as usize)
    {
        return refuse(what, size.to_string(), format!("at most {}", i32::MAX));
    }
    let factors = card.dimensions.factors;
    if !(1..=FACTORS_MAX).contains(&factors) {
        return refuse(
            "dimensions.factors",
            factors.to_string(),
            format!("1 to {FACTORS_MAX}"),
        );
    }
    match card
        .index
        .get(ALS_INDEX_KEY)
        .map(|index| index.plan.as_str())
    {
        Some("exact") => Ok(()),
        plan => refuse(
            "index.als.plan",
            plan.unwrap_or("absent").to_owned(),
            "exact".to_owned(),
        ),
    }
}

/// The parts in the order of [`PARTS`], none missing and none beside them.
fn find_parts(parts: &BTreeMap<String, Bytes>) -> Result<[&Bytes; 5], UnpackError> {
    if let Some(part) = parts.keys().find(|name| !PARTS.contains(&name.as_str())) {
        return Err(UnpackError::UnknownPart { part: part.clone() });
    }
    let find = |part| parts.get(part).ok_or(UnpackError::MissingPart { part });
    let [als, als_index, history, products, users] = PARTS.map(find);
    Ok([als?, als_index?, history?, products?, users?])
}

#[cfg(test)]
mod tests;
