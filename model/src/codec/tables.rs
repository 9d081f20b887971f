//! The parts `users.arrow` and `products.arrow`.

use std::sync::Arc;

use arrow_array::{
    Array, Float32Array, RecordBatch, StringArray, UInt8Array,
    cast::AsArray,
    types::{Float32Type, UInt8Type},
};
use arrow_schema::{DataType, Field};
use bytes::Bytes;

use super::{
    PRODUCTS, PackError, USERS, UnpackError,
    check::{Location, each_row, not_negative},
    error::excerpt,
    table::{Expected, write},
};
use crate::{Breathe, FIELD_BYTES_MAX, IdTable, Products, SEGMENTS_MAX, UNKNOWN_SEGMENT, Users};

/// Key of the schema metadata whose value is a JSON array of segment names.
const SEGMENTS_KEY: &str = "segments";

/// Longest name of a segment; it becomes a metric label.
const SEGMENT_BYTES_MAX: usize = 64;

pub(super) fn user_fields() -> [Field; 2] {
    [
        Field::new("id", DataType::Utf8, false),
        Field::new("segment", DataType::UInt8, false),
    ]
}

fn product_fields() -> [Field; 6] {
    [
        Field::new("id", DataType::Utf8, false),
        Field::new("name", DataType::Utf8, true),
        Field::new("category", DataType::Utf8, true),
        Field::new("brand", DataType::Utf8, true),
        Field::new("price", DataType::Float32, true),
        Field::new("popularity", DataType::Float32, false),
    ]
}

pub(super) fn pack_users(users: &Users) -> Result<Vec<u8>, PackError> {
    let names = serde_json::Value::from(users.segment_names.clone()).to_string();
    let columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(users.ids.column().clone()),
        Arc::new(users.segments.clone()),
    ];
    write(USERS, &user_fields(), columns, Some((SEGMENTS_KEY, names)))
}

pub(super) fn pack_products(products: &Products) -> Result<Vec<u8>, PackError> {
    let columns: Vec<Arc<dyn Array>> = vec![
        Arc::new(products.ids.column().clone()),
        Arc::new(products.names.clone()),
        Arc::new(products.categories.clone()),
        Arc::new(products.brands.clone()),
        Arc::new(products.prices.clone()),
        Arc::new(products.popularity.clone()),
    ];
    write(PRODUCTS, &product_fields(), columns, None)
}

pub(super) fn unpack_users(
    bytes: &Bytes,
    rows: usize,
    breathe: Breathe<'_>,
) -> Result<Users, UnpackError> {
    let table = Expected {
        part: USERS,
        fields: &user_fields(),
        rows,
    }
    .read(bytes)?;
    breathe(bytes.len());
    let segment_names = segment_names(table.metadata.get(SEGMENTS_KEY))?;
    let ids = ids(USERS, &table.batch, breathe)?;
    let segments: UInt8Array = table.batch.column(1).as_primitive::<UInt8Type>().clone();
    let location = Location {
        part: USERS,
        what: "segment",
    };
    each_row(rows, size_of::<u8>(), breathe, |row| {
        let code = segments.value(row);
        if usize::from(code) < segment_names.len() {
            return Ok(());
        }
        Err(location.out_of_range(row, &code, &format!("below {}", segment_names.len())))
    })?;
    Ok(Users {
        ids,
        segments,
        segment_names,
    })
}

pub(super) fn unpack_products(
    bytes: &Bytes,
    rows: usize,
    breathe: Breathe<'_>,
) -> Result<Products, UnpackError> {
    let table = Expected {
        part: PRODUCTS,
        fields: &product_fields(),
        rows,
    }
    .read(bytes)?;
    breathe(bytes.len());
    let ids = ids(PRODUCTS, &table.batch, breathe)?;
    let text = |at| table.batch.column(at).as_string::<i32>().clone();
    let number = |at| table.batch.column(at).as_primitive::<Float32Type>().clone();
    let (prices, popularity): (Float32Array, Float32Array) = (number(4), number(5));
    let texts = [("name", text(1)), ("category", text(2)), ("brand", text(3))];
    each_row(rows, 5 * size_of::<f32>(), breathe, |row| {
        for (what, column) in &texts {
            let bytes = column.value_length(row) as usize;
            if bytes > FIELD_BYTES_MAX {
                let location = Location {
                    part: PRODUCTS,
                    what,
                };
                let found = format!("{bytes} bytes");
                return Err(location.out_of_range(
                    row,
                    &found,
                    &format!("at most {FIELD_BYTES_MAX}"),
                ));
            }
        }
        if prices.is_valid(row) {
            not_negative(
                Location {
                    part: PRODUCTS,
                    what: "price",
                },
                row,
                prices.value(row),
            )?;
        }
        not_negative(
            Location {
                part: PRODUCTS,
                what: "popularity",
            },
            row,
            popularity.value(row),
        )
    })?;
    let [names, categories, brands] = texts.map(|(_, column)| column);
    Ok(Products {
        ids,
        names,
        categories,
        brands,
        prices,
        popularity,
    })
}

fn ids(
    part: &'static str,
    batch: &RecordBatch,
    breathe: Breathe<'_>,
) -> Result<IdTable, UnpackError> {
    let ids: StringArray = batch.column(0).as_string::<i32>().clone();
    IdTable::try_new(ids, breathe).map_err(|source| UnpackError::Ids {
        part,
        row: source.row(),
        source,
    })
}

fn segment_names(json: Option<&String>) -> Result<Vec<String>, UnpackError> {
    let refuse = |found: String| UnpackError::Schema {
        part: USERS,
        what: format!("schema metadata {SEGMENTS_KEY:?}"),
        found: excerpt(found),
        expected: format!(
            "a JSON array of 1 to {SEGMENTS_MAX} different names of 1 to {SEGMENT_BYTES_MAX} \
             bytes, none of them {UNKNOWN_SEGMENT:?}"
        ),
    };
    let json = json.ok_or_else(|| refuse("absent".to_owned()))?;
    let names: Vec<String> = serde_json::from_str(json).map_err(|_| refuse(json.clone()))?;
    let is_good = |(at, name): (usize, &String)| {
        (1..=SEGMENT_BYTES_MAX).contains(&name.len())
            && name != UNKNOWN_SEGMENT
            && !names[..at].contains(name)
    };
    if !(1..=SEGMENTS_MAX).contains(&names.len()) || !names.iter().enumerate().all(is_good) {
        return Err(refuse(json.clone()));
    }
    Ok(names)
}
