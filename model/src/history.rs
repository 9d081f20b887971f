//! The products that each user interacted with, and the most recent of them.
//!
//! Two lists per user, each stored as offsets and rows: *seen*, every distinct product in
//! ascending row order, and *recent*, the last few distinct products, newest first. Both were
//! checked when built or decoded: offsets ascend, rows exist.

use crate::{
    column::Column,
    ids::{ProductRow, UserRow},
};

/// Lists of rows, one per user: list `u` is `rows[offsets[u]..offsets[u + 1]]`.
#[derive(Clone, Debug)]
pub(crate) struct Lists {
    pub(crate) offsets: Column<u64>,
    pub(crate) rows: Column<u32>,
}

impl Lists {
    pub(crate) fn of(&self, user: UserRow) -> &[u32] {
        &self.rows.as_slice()[self.range(user)]
    }

    /// Where the list of a user stands among the rows.
    fn range(&self, user: UserRow) -> std::ops::Range<usize> {
        let offsets = self.offsets.as_slice();
        offsets[user.index()] as usize..offsets[user.index() + 1] as usize
    }

    fn bytes(&self) -> usize {
        self.offsets.as_bytes().len() + self.rows.as_bytes().len()
    }
}

/// Seen and recent products of every user of a model.
#[derive(Clone, Debug)]
pub struct History {
    pub(crate) seen: Lists,
    pub(crate) recent: Lists,
}

impl History {
    /// Rows of the distinct products a user has interacted with, ascending.
    #[must_use]
    pub fn seen(&self, user: UserRow) -> &[u32] {
        self.seen.of(user)
    }

    /// Where the seen products of a user stand among those of all users.
    pub(crate) fn seen_range(&self, user: UserRow) -> std::ops::Range<usize> {
        self.seen.range(user)
    }

    /// Whether a user has interacted with a product; O(log seen).
    #[must_use]
    pub fn has_seen(&self, user: UserRow, product: ProductRow) -> bool {
        self.seen(user).binary_search(&product.0).is_ok()
    }

    /// The last distinct products of a user, newest first; equal times by ascending row.
    #[must_use]
    pub fn recent(&self, user: UserRow) -> impl ExactSizeIterator<Item = ProductRow> {
        self.recent.of(user).iter().map(|row| ProductRow(*row))
    }

    /// Distinct user-product pairs over all users.
    #[must_use]
    pub fn interactions(&self) -> usize {
        self.seen.rows.as_slice().len()
    }

    /// Bytes of the columns.
    pub(crate) fn bytes(&self) -> usize {
        self.seen.bytes() + self.recent.bytes()
    }
}
