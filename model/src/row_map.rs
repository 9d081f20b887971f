//! A value for each of some rows, forgotten in O(1).

use crate::row_set::RowSet;

/// A value is there where its row is in the set.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowMap<T> {
    rows: RowSet,
    values: Vec<T>,
}

impl<T: Copy + Default> RowMap<T> {
    /// Forgets all values and makes room for rows below `rows`; allocates only when it grows.
    pub(crate) fn start(&mut self, rows: usize) {
        self.rows.start(rows);
        if self.values.len() < rows {
            self.values.resize(rows, T::default());
        }
    }

    /// The value of a row, if it has one.
    pub(crate) fn get(&self, row: u32) -> Option<T> {
        self.rows.contains(row).then(|| self.values[row as usize])
    }

    /// Gives a row a value.
    ///
    /// # Panics
    /// If the row is not below what [`Self::start`] made room for.
    pub(crate) fn set(&mut self, row: u32, value: T) {
        self.rows.insert(row);
        self.values[row as usize] = value;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_forgotten_at_every_start() {
        let mut map = RowMap::default();
        map.start(3);
        map.set(2, 7u32);
        assert_eq!((map.get(2), map.get(1), map.get(9)), (Some(7), None, None));
        map.start(4);
        assert_eq!(map.get(2), None);
        map.set(3, 1);
        assert_eq!(map.get(3), Some(1));
    }
}
