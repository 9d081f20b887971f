//! Row numbers as types, and the table that turns an id into its row.
//!
//! A row is a position in a sorted table of ids, so an id is found by binary search in the loaded
//! bytes themselves: no hash table is built when a version loads, and none is freed when it
//! retires. This file must not know what the ids belong to, nor where their bytes came from.

use std::cmp::Ordering;

use arrow_array::{Array, StringArray};

/// Longest id, in bytes, that a table accepts. Chosen: four times a UUID's text with room to
/// spare, and short enough that a search touches few cache lines.
pub const ID_BYTES_MAX: usize = 256;

/// Row of a user in the sorted user table of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct UserRow(pub u32);

/// Row of a product in the sorted product table of one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProductRow(pub u32);

impl UserRow {
    /// The row as an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

impl ProductRow {
    /// The row as an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0 as usize
    }
}

/// Why a sequence of ids is not a table; rows count from 0.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdError {
    /// An id has no bytes.
    #[error("the id is empty")]
    Empty {
        /// Row of the id.
        row: usize,
    },
    /// An id is longer than [`ID_BYTES_MAX`].
    #[error("the id has {bytes} bytes, at most {ID_BYTES_MAX} are allowed")]
    TooLong {
        /// Row of the id.
        row: usize,
        /// Its length in bytes.
        bytes: usize,
    },
    /// An id equals the one before it.
    #[error("the id {id:?} occurs twice")]
    Duplicate {
        /// Row of the second occurrence.
        row: usize,
        /// The id.
        id: String,
    },
    /// An id sorts before its predecessor.
    #[error("the id {id:?} comes after {previous:?}, ids must ascend bytewise")]
    Unsorted {
        /// Row of the id that is out of place.
        row: usize,
        /// The id.
        id: String,
        /// The id in the row before.
        previous: String,
    },
}

impl IdError {
    /// The offending row, from 0.
    #[must_use]
    pub fn row(&self) -> usize {
        match self {
            Self::Empty { row }
            | Self::TooLong { row, .. }
            | Self::Duplicate { row, .. }
            | Self::Unsorted { row, .. } => *row,
        }
    }
}

/// Ids in ascending bytewise order, each once; the position is the row.
#[derive(Clone, Debug)]
pub struct IdTable {
    ids: StringArray,
}

impl IdTable {
    /// Takes ids that are already sorted; calls `breathe` about every 64 KiB.
    ///
    /// # Errors
    /// The first row that is empty, over-long, a duplicate or out of order.
    pub fn try_new(ids: StringArray, breathe: crate::Breathe<'_>) -> Result<Self, IdError> {
        let mut previous = "";
        let mut since = 0;
        for row in 0..ids.len() {
            let id = ids.value(row);
            check_id(row, previous, id)?;
            since += id.len();
            if since >= 64 << 10 {
                breathe(std::mem::take(&mut since));
            }
            previous = id;
        }
        breathe(since);
        Ok(Self { ids })
    }

    /// Number of ids.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no id at all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The row of `id`, or `None`. O(log len) comparisons in place, no allocation.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<usize> {
        // On equal shared prefixes `str` compares bytewise, which is the order of the table.
        let (mut low, mut high) = (0, self.ids.len());
        while low < high {
            let middle = low + (high - low) / 2;
            match self.ids.value(middle).cmp(id) {
                Ordering::Less => low = middle + 1,
                Ordering::Greater => high = middle,
                Ordering::Equal => return Some(middle),
            }
        }
        None
    }

    /// The id in `row`.
    ///
    /// # Panics
    /// If `row` is not below [`Self::len`]; rows only come out of this table or were checked
    /// against it when the model was decoded.
    #[must_use]
    pub fn get(&self, row: usize) -> &str {
        self.ids.value(row)
    }

    /// All ids in row order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).map(|row| self.get(row))
    }

    /// The column itself, for encoding.
    pub(crate) fn column(&self) -> &StringArray {
        &self.ids
    }
}

fn check_id(row: usize, previous: &str, id: &str) -> Result<(), IdError> {
    if id.is_empty() {
        return Err(IdError::Empty { row });
    }
    if id.len() > ID_BYTES_MAX {
        return Err(IdError::TooLong {
            row,
            bytes: id.len(),
        });
    }
    match previous.cmp(id) {
        Ordering::Less => Ok(()),
        Ordering::Equal => Err(IdError::Duplicate {
            row,
            id: id.to_owned(),
        }),
        Ordering::Greater => Err(IdError::Unsorted {
            row,
            id: id.to_owned(),
            previous: previous.to_owned(),
        }),
    }
}

/// Bytes of a column's own numbers and texts. Not those of its part: Arrow
/// reports the whole part for every column decoded in place.
pub(crate) fn column_bytes(column: &dyn Array) -> usize {
    let data = column.to_data();
    // An error means a type whose layout Arrow does not know; no table has one.
    data.get_slice_memory_size().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn table(ids: &[&str]) -> Result<IdTable, IdError> {
        IdTable::try_new(StringArray::from(ids.to_vec()), &mut |_| {})
    }

    #[test]
    fn bad_tables_are_refused_at_the_offending_row() {
        assert_eq!(table(&["a", ""]).unwrap_err(), IdError::Empty { row: 1 });
        let long = "x".repeat(257);
        assert_eq!(
            table(&[&long]).unwrap_err(),
            IdError::TooLong { row: 0, bytes: 257 }
        );
        assert_eq!(
            table(&["a", "a"]).unwrap_err(),
            IdError::Duplicate {
                row: 1,
                id: "a".into()
            }
        );
        let unsorted = table(&["a", "c", "b"]).unwrap_err();
        assert_eq!(
            unsorted,
            IdError::Unsorted {
                row: 2,
                id: "b".into(),
                previous: "c".into()
            }
        );
        assert_eq!(unsorted.row(), 2);
        assert!(table(&[]).unwrap().is_empty());
    }

    #[test]
    fn order_is_bytewise_not_alphabetical() {
        let ids = table(&["10", "9", "Z", "a", "é"]).unwrap();
        assert_eq!(ids.find("a"), Some(3));
        assert_eq!(ids.find("é"), Some(4));
        assert_eq!(ids.find(""), None);
    }

    proptest! {
        #[test]
        fn every_id_is_found_in_its_row_and_no_other(
            ids in proptest::collection::btree_set("[a-c]{1,5}", 0..60),
            absent in "[a-d]{0,5}",
        ) {
            let sorted: Vec<&str> = ids.iter().map(String::as_str).collect();
            let table = table(&sorted).unwrap();
            for (row, id) in sorted.iter().enumerate() {
                prop_assert_eq!(table.find(id), Some(row));
                prop_assert_eq!(table.get(row), *id);
            }
            prop_assert_eq!(table.find(&absent).is_some(), ids.contains(&absent));
        }
    }
}
