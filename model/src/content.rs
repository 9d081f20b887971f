//! Content embeddings of products, by distinct row.
//!
//! Products with equal embeddings form a group, and only groups are embedded, indexed and listed
//! as neighbours: of the 92,331 products of one real shop 9,642 have distinct texts. Products with
//! nothing to embed belong to no group. This module must not know how embeddings are made.

use crate::{
    Breathe, card::ContentCard, column::Column, ids::ProductRow, index::ItemIndex, matrix::Matrix,
};

/// What stands in the group column for a product with nothing to embed, and behind the last
/// neighbour of a group that has fewer than the others.
pub(crate) const NO_GROUP: u32 = u32::MAX;

/// Products counted or placed between two breaths. Chosen: 256 KiB of group numbers.
const BREATH_PRODUCTS: usize = 64 << 10;

/// Groups, their embeddings, nearest neighbours and index.
#[derive(Clone, Debug)]
pub struct Content {
    /// Over the distinct embeddings `[G×D]`, all of unit length.
    pub(crate) index: ItemIndex,
    /// Group of each product, [`NO_GROUP`] for none `[I]`.
    pub(crate) groups: Column<u32>,
    /// Products by group, ascending within each: group `g` has
    /// `members[member_offsets[g]..member_offsets[g + 1]]`. Computed from `groups`.
    member_offsets: Vec<u32>,
    members: Vec<u32>,
    pub(crate) neighbours: Neighbours,
    pub(crate) card: ContentCard,
}

/// The nearest other groups of each group, nearest first, among equals the lower group first.
#[derive(Clone, Debug)]
pub(crate) struct Neighbours {
    /// `[G×K]`, [`NO_GROUP`] behind the last.
    pub(crate) groups: Column<u32>,
    /// Cosines `[G×K]`, 0 behind the last.
    pub(crate) cosines: Column<f32>,
    /// K.
    pub(crate) per_group: usize,
}

impl Content {
    /// Puts checked pieces together: every group below G occurs in `groups`.
    pub(crate) fn new(
        index: ItemIndex,
        groups: Column<u32>,
        (neighbours, card): (Neighbours, ContentCard),
        breathe: Breathe<'_>,
    ) -> Self {
        let mut member_offsets = vec![0u32; index.rows().rows() + 1];
        each_grouped(groups.as_slice(), breathe, |_, group| {
            member_offsets[group + 1] += 1;
        });
        for at in 1..member_offsets.len() {
            member_offsets[at] += member_offsets[at - 1];
        }
        let mut next = member_offsets.clone();
        let mut members = vec![0; next[next.len() - 1] as usize];
        each_grouped(groups.as_slice(), breathe, |product, group| {
            members[next[group] as usize] = product;
            next[group] += 1;
        });
        Self {
            index,
            groups,
            member_offsets,
            members,
            neighbours,
            card,
        }
    }

    /// Distinct embeddings `[G×D]`, rows of unit length.
    #[must_use]
    pub fn embeddings(&self) -> &Matrix {
        self.index.rows()
    }

    /// The index over [`Self::embeddings`].
    #[must_use]
    pub fn index(&self) -> &ItemIndex {
        &self.index
    }

    /// Row of a product in [`Self::embeddings`]; `None` where there was nothing to embed.
    #[must_use]
    pub fn group(&self, product: ProductRow) -> Option<u32> {
        let group = self.groups.as_slice()[product.index()];
        (group != NO_GROUP).then_some(group)
    }

    /// The product rows of a group, ascending.
    ///
    /// # Panics
    /// If there is no such group.
    #[must_use]
    pub fn members(&self, group: u32) -> &[u32] {
        let group = group as usize;
        let (start, end) = (self.member_offsets[group], self.member_offsets[group + 1]);
        &self.members[start as usize..end as usize]
    }

    /// The nearest other groups, nearest first, and their cosines.
    ///
    /// # Panics
    /// If there is no such group.
    #[must_use]
    pub fn neighbours(&self, group: u32) -> (&[u32], &[f32]) {
        let k = self.neighbours.per_group;
        let start = group as usize * k;
        let groups = &self.neighbours.groups.as_slice()[start..start + k];
        let len = groups.iter().position(|g| *g == NO_GROUP).unwrap_or(k);
        let cosines = &self.neighbours.cosines.as_slice()[start..start + len];
        (&groups[..len], cosines)
    }

    /// Products with nothing to embed.
    #[must_use]
    pub fn without(&self) -> usize {
        self.groups.as_slice().len() - self.members.len()
    }

    /// What the embeddings were made of.
    #[must_use]
    pub fn card(&self) -> &ContentCard {
        &self.card
    }

    /// Bytes that live as long as the model does.
    pub(crate) fn bytes(&self) -> usize {
        self.embeddings().as_bytes().len()
            + self.index.bytes()
            + self.groups.as_bytes().len()
            + size_of_val(&self.member_offsets[..])
            + size_of_val(&self.members[..])
            + self.neighbours.groups.as_bytes().len()
            + self.neighbours.cosines.as_bytes().len()
            + self.card.terms.iter().map(String::len).sum::<usize>()
    }
}

/// Calls `visit` with every product that has a group, ascending.
fn each_grouped(groups: &[u32], breathe: Breathe<'_>, mut visit: impl FnMut(u32, usize)) {
    for (start, groups) in (0..)
        .step_by(BREATH_PRODUCTS)
        .zip(groups.chunks(BREATH_PRODUCTS))
    {
        for (product, group) in (start..).zip(groups) {
            if *group != NO_GROUP {
                visit(product, *group as usize);
            }
        }
        breathe(size_of_val(groups));
    }
}
