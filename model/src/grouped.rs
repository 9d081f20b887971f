//! Rows by group: the inverse of a column of group numbers.

use crate::{Breathe, pace::Pace};

/// In a column of groups: a row that belongs to none.
pub(crate) const NO_GROUP: u32 = u32::MAX;

/// Group `g` has `rows[offsets[g]..offsets[g + 1]]`.
#[derive(Clone, Debug)]
pub(crate) struct Grouped {
    offsets: Vec<u32>,
    rows: Vec<u32>,
}

impl Grouped {
    /// Sorts rows into `len` groups; every group in `groups`, indexed by row, is below `len`
    /// or [`NO_GROUP`]. Within a group rows stand in the order in which `rows` names them, each
    /// once. Two passes of 4 bytes a row.
    pub(crate) fn of(
        (groups, len): (&[u32], usize),
        rows: impl Iterator<Item = u32>,
        breathe: Breathe<'_>,
    ) -> Self {
        let mut pace = Pace::new(breathe);
        let mut offsets = vec![0u32; len + 1];
        for group in groups {
            if *group != NO_GROUP {
                offsets[*group as usize + 1] += 1;
            }
            pace.did(size_of::<u32>());
        }
        for at in 1..offsets.len() {
            offsets[at] += offsets[at - 1];
        }
        let mut next = offsets.clone();
        let mut grouped = vec![0; offsets[len] as usize];
        for row in rows {
            let group = groups[row as usize];
            if group != NO_GROUP {
                let place = &mut next[group as usize];
                grouped[*place as usize] = row;
                *place += 1;
            }
            pace.did(size_of::<u32>());
        }
        Self {
            offsets,
            rows: grouped,
        }
    }

    /// The rows of a group.
    ///
    /// # Panics
    /// If there is no such group.
    pub(crate) fn rows(&self, group: u32) -> &[u32] {
        let group = group as usize;
        &self.rows[self.offsets[group] as usize..self.offsets[group + 1] as usize]
    }

    /// Rows that belong to a group.
    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(&self.offsets[..]) + size_of_val(&self.rows[..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_stand_in_their_group_in_the_order_given() {
        let groups = [1, NO_GROUP, 0, 1, 3];
        let grouped = Grouped::of((&groups, 4), [4, 3, 2, 1, 0].into_iter(), &mut |_| {});
        let lists: Vec<&[u32]> = (0..4).map(|group| grouped.rows(group)).collect();
        assert_eq!(lists, [&[2][..], &[3, 0], &[], &[4]]);
        assert_eq!(grouped.len(), 4);
    }
}
