//! A set of rows that is emptied in O(1).

/// A row is in it where its mark is that of the current round.
#[derive(Clone, Debug, Default)]
pub(crate) struct RowSet {
    round: u32,
    marks: Vec<u32>,
}

impl RowSet {
    /// Empties the set and makes room for rows below `rows`; allocates only when it grows.
    pub(crate) fn start(&mut self, rows: usize) {
        if self.round == u32::MAX {
            self.marks.fill(0);
            self.round = 0;
        }
        self.round += 1;
        if self.marks.len() < rows {
            self.marks.resize(rows, 0);
        }
    }

    /// Adds a row.
    ///
    /// # Panics
    /// If the row is not below what [`Self::start`] made room for.
    pub(crate) fn insert(&mut self, row: u32) {
        self.marks[row as usize] = self.round;
    }

    /// Whether the row is in the set.
    #[must_use]
    pub(crate) fn contains(&self, row: u32) -> bool {
        // A mark left by an earlier round is smaller; round 0 is before the first start.
        self.marks
            .get(row as usize)
            .is_some_and(|mark| *mark == self.round && self.round > 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn row_set_is_empty_after_every_start_even_when_rounds_run_out() {
        let mut set = RowSet::default();
        assert!(!set.contains(0));
        set.start(2);
        set.insert(1);
        assert!(set.contains(1) && !set.contains(0) && !set.contains(9));
        set.round = u32::MAX - 1;
        set.start(2);
        set.insert(0);
        set.start(2);
        assert!(!set.contains(0) && !set.contains(1));
    }
}
