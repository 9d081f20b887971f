//! The tables of a model beside its factors: products, users, history.

use arrow_array::{Float32Array, StringArray, UInt8Array};

use super::{FitError, pairs::Pairs};
use crate::{
    column::Column,
    history::{History, Lists},
    ids::IdTable,
    interactions::{Event, ProductInfo},
    params::{FitParams, SegmentParams},
    products::{FIELD_BYTES_MAX, Products},
    users::Users,
};

/// Bytes that one text column can address.
const TEXT_BYTES_MAX: usize = i32::MAX as usize;

/// The products of events and catalogue, sorted and numbered.
pub(super) struct Catalogue<'a> {
    ids: Vec<&'a str>,
    /// What the catalogue says, by row.
    infos: Vec<Option<&'a ProductInfo>>,
    /// New row of each product of the interactions.
    rows: Vec<u32>,
}

impl<'a> Catalogue<'a> {
    /// Joins both lists of products; refuses a catalogue that names one twice, prices it impossibly
    /// or describes it endlessly.
    pub(super) fn new(
        in_events: &'a [String],
        catalogue: &'a [ProductInfo],
    ) -> Result<Self, FitError> {
        let mut named: Vec<&ProductInfo> = catalogue.iter().collect();
        named.sort_by(|a, b| a.id.cmp(&b.id));
        let refuse = |info: &ProductInfo, why| FitError::Catalogue {
            id: info.id.clone(),
            why,
        };
        if let Some(pair) = named.windows(2).find(|pair| pair[0].id == pair[1].id) {
            return Err(refuse(pair[0], "the id occurs twice"));
        }
        let is_bad = |price: &f32| !price.is_finite() || *price < 0.0;
        if let Some(info) = named
            .iter()
            .find(|info| info.price.as_ref().is_some_and(is_bad))
        {
            return Err(refuse(info, "the price is not a finite number, 0 or more"));
        }
        named.iter().try_for_each(|info| check_texts(info))?;
        let mut ids: Vec<&str> = in_events.iter().map(String::as_str).collect();
        ids.extend(named.iter().map(|info| info.id.as_str()));
        ids.sort_unstable();
        ids.dedup();
        if ids.len() > u32::MAX as usize {
            return Err(FitError::TooLarge {
                what: "products",
                limit: u32::MAX.into(),
            });
        }
        let mut infos = vec![None; ids.len()];
        let mut rest = named.into_iter().peekable();
        for (id, info) in ids.iter().zip(&mut infos) {
            *info = rest.next_if(|named| named.id == *id);
        }
        let row = |id: &String| ids.binary_search(&id.as_str()).map_or(0, |row| row as u32);
        Ok(Self {
            rows: in_events.iter().map(row).collect(),
            ids,
            infos,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.ids.len()
    }

    /// What the catalogue says, by row.
    pub(super) fn infos(&self) -> &[Option<&'a ProductInfo>] {
        &self.infos
    }

    /// Row of a product of the interactions.
    pub(super) fn row(&self, product: u32) -> u32 {
        self.rows[product as usize]
    }

    /// The product table; `events` with rows of this catalogue.
    pub(super) fn table(&self, events: &[Event]) -> Result<Products, FitError> {
        let mut popularity = vec![0.0f64; self.len()];
        for event in events {
            popularity[event.product as usize] += f64::from(event.value);
        }
        let text = |field: fn(&ProductInfo) -> Option<&str>| {
            optional_texts(self.infos.iter().map(|info| info.and_then(field)))
        };
        Ok(Products {
            ids: ids("product", self.ids.iter().copied())?,
            names: text(|info| info.name.as_deref())?,
            categories: text(|info| info.category.as_deref())?,
            brands: text(|info| info.brand.as_deref())?,
            prices: self
                .infos
                .iter()
                .map(|info| info.and_then(|info| info.price))
                .collect(),
            popularity: Float32Array::from_iter_values(
                popularity.into_iter().map(|sum| sum as f32),
            ),
        })
    }
}

/// Refuses what a decoder would refuse, before anything is fitted.
fn check_texts(info: &ProductInfo) -> Result<(), FitError> {
    let texts = [
        ("name", &info.name),
        ("category", &info.category),
        ("brand", &info.brand),
    ];
    let bytes = |text: &Option<String>| text.as_ref().map_or(0, String::len);
    match texts
        .into_iter()
        .find(|(_, text)| bytes(text) > FIELD_BYTES_MAX)
    {
        None => Ok(()),
        Some((field, text)) => Err(FitError::Text {
            id: info.id.clone(),
            field,
            bytes: bytes(text),
        }),
    }
}

/// The user table and what the users had; `events` and `by_user` with rows of the catalogue.
pub(super) fn user_tables(
    user_ids: &[String],
    (events, by_user): (&[Event], &Pairs),
    params: &FitParams,
) -> Result<(Users, History), FitError> {
    let segments = (0..by_user.rows()).map(|user| segment(by_user.count(user), &params.segments));
    let users = Users {
        ids: ids("user", user_ids.iter().map(String::as_str))?,
        segments: UInt8Array::from_iter_values(segments),
        segment_names: SEGMENT_NAMES.map(str::to_owned).to_vec(),
    };
    let seen = Lists {
        offsets: Column::from_vec(
            by_user
                .offsets
                .iter()
                .map(|offset| *offset as u64)
                .collect(),
        ),
        rows: Column::from_vec(by_user.cols.clone()),
    };
    Ok((
        users,
        History {
            seen,
            recent: recent(events, params.recent_max),
        },
    ))
}

/// Segments by code.
const SEGMENT_NAMES: [&str; 3] = ["new", "light", "heavy"];

fn segment(distinct: usize, params: &SegmentParams) -> u8 {
    let reaches = |least: u32| distinct >= least as usize;
    u8::from(reaches(params.light_from)) + u8::from(reaches(params.heavy_from))
}

/// The last distinct products of every user, newest first; every user has an event.
fn recent(events: &[Event], recent_max: usize) -> Lists {
    let (mut offsets, mut rows) = (vec![0], Vec::new());
    for of_user in events.chunk_by(|a, b| a.user == b.user) {
        let mut newest: Vec<&Event> = of_user.iter().collect();
        newest.sort_by_key(|event| (std::cmp::Reverse(event.at_s), event.product));
        let start = rows.len();
        for event in newest {
            if rows.len() - start == recent_max {
                break;
            }
            if !rows[start..].contains(&event.product) {
                rows.push(event.product);
            }
        }
        offsets.push(rows.len() as u64);
    }
    Lists {
        offsets: Column::from_vec(offsets),
        rows: Column::from_vec(rows),
    }
}

fn ids<'a>(
    kind: &'static str,
    ids: impl Iterator<Item = &'a str> + Clone,
) -> Result<IdTable, FitError> {
    check_text(ids.clone())?;
    IdTable::try_new(StringArray::from_iter_values(ids), &mut |_| {})
        .map_err(|source| FitError::Id { kind, source })
}

fn optional_texts<'a>(
    texts: impl Iterator<Item = Option<&'a str>> + Clone,
) -> Result<StringArray, FitError> {
    check_text(texts.clone().flatten())?;
    Ok(texts.collect())
}

fn check_text<'a>(texts: impl Iterator<Item = &'a str>) -> Result<(), FitError> {
    if texts.map(str::len).sum::<usize>() > TEXT_BYTES_MAX {
        let limit = TEXT_BYTES_MAX as u64;
        return Err(FitError::TooLarge {
            what: "the bytes of a text column",
            limit,
        });
    }
    Ok(())
}
