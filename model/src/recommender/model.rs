//! The model as a whole: its pieces, and what is computed from them for answering.

use crate::{
    als::Als, content::Content, content_rows::ContentRows, facets::Facets,
    factor_cosines::FactorCosines, history::History, ids::ProductRow, index::ItemIndex,
    params::FitParams, products::Products, users::Users,
};

/// One fitted or decoded model: immutable, shared between threads, without interior state.
#[derive(Debug)]
pub struct Model {
    pub(super) users: Users,
    pub(super) products: Products,
    pub(super) als: Als,
    pub(super) history: History,
    pub(super) index: ItemIndex,
    pub(super) content: Option<Content>,
    pub(super) parameters: FitParams,
    pub(super) fold_in_value: f32,
    pub(super) facets: Facets,
    pub(super) cosines: FactorCosines,
    /// Of the content embeddings, where there are any.
    pub(super) content_rows: Option<ContentRows>,
}

/// Pieces that a fit or a decoder assembled; sizes agree and every row is in range.
pub(crate) struct Pieces {
    pub(crate) users: Users,
    pub(crate) products: Products,
    pub(crate) als: Als,
    pub(crate) history: History,
    pub(crate) index: ItemIndex,
    pub(crate) content: Option<Content>,
    pub(crate) parameters: FitParams,
    pub(crate) fold_in_value: f32,
}

impl Model {
    /// Computes from the pieces what answering needs: facets, norms, the sparse copy of
    /// embeddings. Memory and time proportional to the catalogue.
    pub(crate) fn new(pieces: Pieces, breathe: crate::Breathe<'_>) -> Self {
        let Pieces {
            users,
            products,
            als,
            history,
            index,
            content,
            parameters,
            fold_in_value,
        } = pieces;
        let facets = Facets::new(&products, breathe);
        let cosines = FactorCosines::new(als.product_factors(), breathe);
        let content_rows = content
            .as_ref()
            .map(|content| ContentRows::new(content.embeddings(), breathe));
        Self {
            users,
            products,
            als,
            history,
            index,
            content,
            parameters,
            fold_in_value,
            facets,
            cosines,
            content_rows,
        }
    }

    /// The same model with other content.
    #[cfg(test)]
    pub(crate) fn with_content(self, content: Content) -> Self {
        let pieces = Pieces {
            users: self.users,
            products: self.products,
            als: self.als,
            history: self.history,
            index: self.index,
            content: Some(content),
            parameters: self.parameters,
            fold_in_value: self.fold_in_value,
        };
        Self::new(pieces, &mut |_| {})
    }

    /// The users.
    #[must_use]
    pub fn users(&self) -> &Users {
        &self.users
    }

    /// The products.
    #[must_use]
    pub fn products(&self) -> &Products {
        &self.products
    }

    /// The ALS factors.
    #[must_use]
    pub fn als(&self) -> &Als {
        &self.als
    }

    /// What each user has interacted with.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// The index over product factors.
    #[must_use]
    pub fn index(&self) -> &ItemIndex {
        &self.index
    }

    /// Content embeddings; `None` in a version without content parts.
    #[must_use]
    pub fn content(&self) -> Option<&Content> {
        self.content.as_ref()
    }

    /// What the model was fitted with.
    #[must_use]
    pub fn parameters(&self) -> &FitParams {
        &self.parameters
    }

    /// What one recent product weighs in a fold-in.
    #[must_use]
    pub fn fold_in_value(&self) -> f32 {
        self.fold_in_value
    }

    /// Products by popularity descending, then row ascending.
    pub fn popular(&self) -> impl ExactSizeIterator<Item = ProductRow> {
        self.facets.popular.iter().map(|row| ProductRow(*row))
    }

    /// Bytes that live as long as the model does, parts and what was computed from them.
    #[must_use]
    pub fn heap_bytes(&self) -> usize {
        self.users.bytes()
            + self.products.bytes()
            + self.als.bytes()
            + self.history.bytes()
            + self.index.bytes()
            + self.content.as_ref().map_or(0, Content::bytes)
            + self.content_rows.as_ref().map_or(0, ContentRows::bytes)
            + self.facets.bytes()
            + self.cosines.bytes()
    }
}
