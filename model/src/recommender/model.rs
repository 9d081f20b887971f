//! The model as a whole: its pieces, and what is computed from them for answering.

use crate::{
    als::Als,
    content::Content,
    content_rows::ContentRows,
    facets::Facets,
    factor_cosines::FactorCosines,
    frequencies::Frequencies,
    history::History,
    ids::ProductRow,
    index::ItemIndex,
    optional_sides::OptionalSides,
    params::{FitParams, ScoringParams, SidesParams},
    products::Products,
    query::Defaults,
    transitions::Transitions,
    trend::Trend,
    users::Users,
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
    pub(super) sides: OptionalSides,
    pub(super) parameters: FitParams,
    pub(super) fold_in_value: f32,
    as_of_s: Option<i64>,
    defaults: Option<Defaults>,
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
    pub(crate) sides: OptionalSides,
    pub(crate) parameters: FitParams,
    pub(crate) fold_in_value: f32,
    /// Unix seconds of the last event; `None` where events have no times.
    pub(crate) as_of_s: Option<i64>,
    /// `None`: the version states none.
    pub(crate) defaults: Option<Defaults>,
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
            sides,
            parameters,
            fold_in_value,
            as_of_s,
            defaults,
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
            sides,
            parameters,
            fold_in_value,
            as_of_s,
            defaults,
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
            sides: self.sides,
            parameters: self.parameters,
            fold_in_value: self.fold_in_value,
            as_of_s: self.as_of_s,
            defaults: self.defaults,
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

    /// What people took next; `None` in a version without the sequence side.
    #[must_use]
    pub fn transitions(&self) -> Option<&Transitions> {
        self.sides.transitions.as_ref()
    }

    /// How often each user had each product; `None` in a version without the repeat side.
    #[must_use]
    pub fn frequencies(&self) -> Option<&Frequencies> {
        self.sides.frequencies.as_ref()
    }

    /// Popularity of late; `None` in a version without the trend side.
    #[must_use]
    pub fn trend(&self) -> Option<&Trend> {
        self.sides.trend.as_ref()
    }

    /// Unix seconds of the last event that the model was fitted on; `None` where events have no times,
    /// and in versions that do not say.
    #[must_use]
    pub fn as_of_s(&self) -> Option<i64> {
        self.as_of_s
    }

    /// What a query gets that leaves strategy or seen products open.
    #[must_use]
    pub fn defaults(&self) -> Defaults {
        self.defaults.unwrap_or_default()
    }

    /// The defaults that the version states, if it does.
    pub(crate) fn stated_defaults(&self) -> Option<Defaults> {
        self.defaults
    }

    /// Puts checked defaults in place of those that were stated.
    pub(crate) fn replace_defaults(&mut self, defaults: Defaults) {
        self.defaults = Some(defaults);
    }

    /// Scores by other, checked parameters.
    pub(crate) fn replace_scoring(&mut self, scoring: ScoringParams) {
        self.parameters.scoring = scoring;
    }

    /// Puts other sides in place, as fitted by `params`.
    pub(crate) fn replace_sides(
        &mut self,
        sides: OptionalSides,
        params: &SidesParams,
        as_of_s: Option<i64>,
    ) {
        self.sides = sides;
        self.parameters.sides = params.clone();
        self.as_of_s = as_of_s;
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
            + self.sides.bytes()
            + self.facets.bytes()
            + self.cosines.bytes()
    }
}
