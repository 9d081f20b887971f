//! Who may come back: the filter, minus what is excluded, and the plan for finding them.

use super::Model;
use crate::{
    Filter,
    facets::{CompiledFilter, FilterScratch},
    ids::UserRow,
    row_set::RowSet,
};

/// Where at most one product in so many can pass a filter, those that do are listed and every one
/// is scored. Measured over 20,000 products (`benches/recommend.rs`): listed, 5 % cost 14 µs by
/// factors and 28 by content; a search for 10 % costs 23 and 233.
const LISTED_FROM: usize = 10;

/// Working memory, 8 bytes a product.
#[derive(Clone, Debug, Default)]
pub(super) struct AdmissionScratch {
    excluded: RowSet,
    filter: FilterScratch,
    matches: Vec<u32>,
}

/// What keeps products away beside the filter.
#[derive(Clone, Copy, Debug)]
pub(super) struct Exclusions<'a> {
    /// Whose products seen stay away.
    pub(super) seen_by: Option<UserRow>,
    /// Product rows.
    pub(super) rows: &'a [u32],
    /// Product ids; unknown ones are ignored.
    pub(super) ids: &'a [String],
}

/// Filter and exclusions of one query.
#[derive(Clone, Copy, Debug)]
pub(super) struct Admission<'a> {
    excluded: &'a RowSet,
    filter: CompiledFilter<'a>,
    /// Every product that is admitted, in no order of meaning, where they were few enough to list.
    pub(super) matches: Option<&'a [u32]>,
    /// At most so many products are admitted.
    pub(super) admitted_max: usize,
}

impl Admission<'_> {
    /// Whether a product may come back; O(1).
    pub(super) fn admits(&self, row: u32) -> bool {
        !self.excluded.contains(row) && self.filter.passes(row)
    }
}

impl Model {
    /// Compiles filter and exclusions; costs a few lookups, one mark per excluded product, and a
    /// pass over at most a tenth of the catalogue where the filter is that narrow.
    pub(super) fn admission<'a>(
        &'a self,
        filter: &Filter<'_>,
        exclusions: Exclusions<'_>,
        scratch: &'a mut AdmissionScratch,
    ) -> Admission<'a> {
        let AdmissionScratch {
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

        let mut admission = Admission {
            excluded,
            filter: self.facets.compile(filter, filter_scratch),
            matches: None,
            admitted_max: self.products.len(),
        };
        admission.admitted_max = admission.filter.matches_max();
        let is_narrow = admission.admitted_max.saturating_mul(LISTED_FROM) <= self.products.len();
        if is_narrow && !filter.is_open() {
            matches.clear();
            matches.extend(
                admission
                    .filter
                    .shortest()
                    .filter(|row| admission.admits(*row)),
            );
            admission.admitted_max = matches.len();
            admission.matches = Some(matches);
        }
        admission
    }
}
