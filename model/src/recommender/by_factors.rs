//! The collaborative side: products by inner product with ALS factors.

use super::{Model, eligibility::Admission};
use crate::{
    Retrieval,
    index::{Search, SearchScratch},
};

impl Model {
    /// Leaves the best min(n, admitted) products in `ranked`. Products without interactions have
    /// zero factors, score 0 and are ranked like any other, so this side is never short.
    pub(super) fn rank_by_factors(
        &self,
        (factors, n): (&[f32], usize),
        admission: &Admission<'_>,
        (search, ranked): (&mut SearchScratch, &mut Vec<(u32, f32)>),
    ) -> Retrieval {
        let wanted = Search {
            query: factors,
            n,
            admitted_max: admission.admitted_max,
        };
        ranked.clear();
        match admission.matches {
            Some(rows) => ranked.extend(self.index.search_among(&wanted, rows, |_| true, search)),
            None => {
                let admits = |row| admission.admits(row);
                ranked.extend(self.index.search(&wanted, admits, search));
            }
        }
        search.retrieval()
    }
}
