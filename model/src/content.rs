//! Content embeddings of products, by distinct row.
//!
//! Products with equal embeddings form a group, and only groups are embedded, indexed and listed
//! as neighbours: of the 92,331 products of one real shop 9,642 have distinct texts. Products with
//! nothing to embed belong to no group. This module must not know how embeddings are made.

use crate::{
    Breathe,
    card::ContentCard,
    column::Column,
    grouped::{Grouped, NO_GROUP},
    ids::ProductRow,
    index::ItemIndex,
    matrix::Matrix,
};

/// Groups, their embeddings, nearest neighbours and index.
#[derive(Clone, Debug)]
pub struct Content {
    /// Over the distinct embeddings `[G×D]`, all of unit length.
    pub(crate) index: ItemIndex,
    /// Group of each product, [`NO_GROUP`] for none `[I]`.
    pub(crate) groups: Column<u32>,
    /// Products by group, ascending within each. Computed from `groups`.
    members: Grouped,
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
        let products = 0..groups.as_slice().len() as u32;
        let members = Grouped::of((groups.as_slice(), index.rows().rows()), products, breathe);
        Self {
            index,
            groups,
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
        self.members.rows(group)
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
            + self.members.bytes()
            + self.neighbours.groups.as_bytes().len()
            + self.neighbours.cosines.as_bytes().len()
            + self.card.terms.iter().map(String::len).sum::<usize>()
    }
}
