//! The users of a model: ids in sorted order and the segment of each.

use arrow_array::UInt8Array;

use crate::ids::{IdTable, UserRow, column_bytes};

/// Most segments a model may have. Inherited from the format: segments are metric labels, so they
/// are few.
pub const SEGMENTS_MAX: usize = 16;

/// Segment reported for users that the model does not know; not a segment of any model.
pub const UNKNOWN_SEGMENT: &str = "unknown";

/// Ids and segments of the users that have at least one interaction.
#[derive(Clone, Debug)]
pub struct Users {
    pub(crate) ids: IdTable,
    /// Code per user, each below the number of names.
    pub(crate) segments: UInt8Array,
    pub(crate) segment_names: Vec<String>,
}

impl Users {
    /// Number of users.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ids.len()
    }

    /// Whether there is no user.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ids.is_empty()
    }

    /// The row of a user id; O(log users), no allocation.
    #[must_use]
    pub fn find(&self, id: &str) -> Option<UserRow> {
        self.ids.find(id).map(|row| UserRow(row as u32))
    }

    /// The id of a user of this model.
    #[must_use]
    pub fn id(&self, user: UserRow) -> &str {
        self.ids.get(user.index())
    }

    /// The segment of a user of this model.
    #[must_use]
    pub fn segment(&self, user: UserRow) -> &str {
        &self.segment_names[usize::from(self.segments.value(user.index()))]
    }

    /// All segments of this model in code order, at most [`SEGMENTS_MAX`].
    #[must_use]
    pub fn segment_names(&self) -> &[String] {
        &self.segment_names
    }

    /// Ids in row order.
    #[must_use]
    pub fn ids(&self) -> &IdTable {
        &self.ids
    }

    /// Bytes held by the columns.
    pub(crate) fn bytes(&self) -> usize {
        column_bytes(self.ids.column()) + column_bytes(&self.segments)
    }
}
