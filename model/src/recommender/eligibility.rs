//! Eligible products of a query: those that pass the filter and are not excluded.

use super::Model;
use crate::{
    Filter,
    facets::{CompiledFilter, FilterScratch},
    ids::UserRow,
    row_set::RowSet,
};

/// If at most one product in so many can pass a filter, the eligible ones are listed and all of
/// them scored. Measured over 20,000 products (`benches/recommend.rs`): listed, 5 % cost 14 µs by
/// factors and 28 by content; a search for 10 % costs 23 and 233.
const LISTED_FROM: usize = 10;

/// Working memory, 8 bytes a product.
#[derive(Clone, Debug, Default)]
pub(super) struct EligibilityScratch {
    excluded: RowSet,
    filter: FilterScratch,
    matches: Vec<u32>,
}

/// What excludes products beside the filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exclusions<'a> {
    /// User whose seen products are excluded.
    pub(super) seen_by: Option<UserRow>,
    /// Product rows.
    pub(super) rows: &'a [u32],
    /// Product ids; unknown ones are ignored.
    pub(super) ids: &'a [String],
}

/// Compiled filter and exclusions of one query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Eligibility<'a> {
    excluded: &'a RowSet,
    filter: CompiledFilter<'a>,
    /// All eligible products, unordered, if they are few enough to list.
    pub(super) matches: Option<&'a [u32]>,
    /// Upper bound of the number of eligible products.
    pub(super) eligible_max: usize,
}

impl Eligibility<'_> {
    /// Whether a product may be recommended; O(1).
    pub(super) fn is_eligible(&self, row: u32) -> bool {
        !self.excluded.contains(row) && self.filter.passes(row)
    }
}

impl Model {
    /// Compiles filter and exclusions; costs a few lookups, one mark per excluded product, and a
    /// pass over at most a tenth of the catalogue where the filter is that narrow.
    pub(super) fn eligibility<'a>(
        &'a self,
        filter: &Filter<'_>,
        exclusions: Exclusions<'_>,
        scratch: &'a mut EligibilityScratch,
    ) -> Eligibility<'a> {
        let EligibilityScratch {
            excluded,
            filter: filter_scratch,
            matches,
        } = scratch;
        excluded.start(self.products.len());
        let seen = exclusions
            .seen_by
            .map_or(&[][..], |user| self.history.seen(user));
        seen.iter()
            .chain(exclusions.rows)
            .for_each(|row| excluded.insert(*row));
        let named = exclusions
            .ids
            .iter()
            .filter_map(|id| self.products.find(id));
        named.for_each(|product| excluded.insert(product.0));

        let mut eligibility = Eligibility {
            excluded,
            filter: self.facets.compile(filter, filter_scratch),
            matches: None,
            eligible_max: self.products.len(),
        };
        eligibility.eligible_max = eligibility.filter.matches_max();
        let is_narrow = eligibility.eligible_max.saturating_mul(LISTED_FROM) <= self.products.len();
        if is_narrow && !filter.is_open() {
            matches.clear();
            matches.extend(
                eligibility
                    .filter
                    .shortest()
                    .filter(|row| eligibility.is_eligible(*row)),
            );
            eligibility.eligible_max = matches.len();
            eligibility.matches = Some(matches);
        }
        eligibility
    }
}
