//! The content side: products by the sum of their cosines with a person's recent products.
//!
//! ```text
//!  few eligible? ──yes──▶ score each of them
//!     │ no
//!  neighbour lists of the recents ──proven──▶ done
//!     │ not proven
//!  index over groups ──a tie at the cut──▶ score every group
//! ```
//!
//! **The proof.** A group on none of the lists has, with each recent product, at most the cosine
//! that its list ends with; its score is at most the sum of these. So where the n-th best
//! candidate lies above that sum by more than rounding, no other group can enter. Lists that were
//! found approximately (`neighbours_exact` is false) prove nothing and are not used.

use super::eligibility::Eligibility;
use crate::{
    Content, Retrieval, RetrievalPlan,
    content_rows::ContentRows,
    ids::ProductRow,
    index::{Search, SearchScratch},
    row_set::RowSet,
    topk::{Scored, TopK},
};

/// Groups scored between two looks at the bar.
const GROUPS_AT_ONCE: u32 = 256;

/// Working memory: 4 bytes a group, and the candidates of one query.
#[derive(Clone, Debug, Default)]
pub(super) struct ContentScratch {
    query: Vec<f32>,
    listed: RowSet,
    groups: Vec<u32>,
    products: Vec<u32>,
    scores: Vec<f32>,
    top: TopK,
    ranked: Vec<Scored>,
    search: SearchScratch,
}

impl ContentScratch {
    /// What was ranked last: product rows and scores, best first.
    pub(super) fn ranked(&self) -> impl ExactSizeIterator<Item = (u32, f32)> {
        self.ranked
            .iter()
            .map(|scored| (scored.row(), scored.score()))
    }
}

/// Content of a model, ready to rank.
#[derive(Clone, Copy, Debug)]
pub(super) struct ByContent<'a> {
    pub(super) content: &'a Content,
    pub(super) rows: &'a ContentRows,
}

impl ByContent<'_> {
    /// Scores are inner products with the sum of the embeddings of `recents` from here on; it is
    /// summed in their order.
    pub(super) fn aim(&self, recents: &[u32], work: &mut ContentScratch) {
        work.query.clear();
        work.query.resize(self.content.embeddings().cols(), 0.0);
        for row in recents {
            if let Some(group) = self.content.group(ProductRow(*row)) {
                self.rows.add_to(group, &mut work.query);
            }
        }
        work.ranked.clear();
    }

    /// Leaves the best min(n, eligible with an embedding) products in `work`, which was aimed by
    /// the same `recents`.
    pub(super) fn rank(
        &self,
        (recents, n): (&[u32], usize),
        eligibility: &Eligibility<'_>,
        work: &mut ContentScratch,
    ) -> Retrieval {
        work.top.start(n);
        let retrieval = match eligibility.matches {
            Some(matches) => self.among(matches, work),
            None => self
                .by_neighbours(recents, eligibility, work)
                .unwrap_or_else(|| self.by_index(n, eligibility, work)),
        };
        work.top.finish(&mut work.ranked);
        retrieval
    }

    /// Leaves up to `most` candidates for a blend in `work`, best first: products on the neighbour
    /// lists or, if fewer than `least` of them are eligible, the best of all. Which products these
    /// are depends on no index and no planner.
    ///
    /// No proof is needed: a product that is missed scores no more than the lists' last cosines
    /// together. Exact ranking would search the index nearly every time, since the thirtieth
    /// product lies below that bound: 90 to 200 µs instead of 8.
    pub(super) fn retrieve_candidates(
        &self,
        (recents, [least, most]): (&[u32], [usize; 2]),
        eligibility: &Eligibility<'_>,
        work: &mut ContentScratch,
    ) -> Retrieval {
        if eligibility.eligible_max >= least {
            work.top.start(most);
            self.list_candidates(recents, work);
            self.offer_listed(eligibility, work);
            work.top.finish(&mut work.ranked);
            if work.ranked.len() >= least {
                return Retrieval {
                    plan: RetrievalPlan::Neighbours,
                    scored: work.groups.len(),
                };
            }
        }
        self.rank((recents, most), eligibility, work)
    }

    /// Raw content scores of products that have an embedding, in their order.
    pub(super) fn scores<'w>(
        &self,
        rows: impl Iterator<Item = u32>,
        work: &'w mut ContentScratch,
    ) -> &'w [f32] {
        work.groups.clear();
        let groups = rows.filter_map(|row| self.content.group(ProductRow(row)));
        work.groups.extend(groups);
        self.rows
            .scores(&work.query, &work.groups, &mut work.scores);
        &work.scores
    }

    /// Whether a product has an embedding.
    pub(super) fn has_embedding(&self, row: u32) -> bool {
        self.content.group(ProductRow(row)).is_some()
    }

    fn among(&self, matches: &[u32], work: &mut ContentScratch) -> Retrieval {
        work.groups.clear();
        work.products.clear();
        for row in matches {
            if let Some(group) = self.content.group(ProductRow(*row)) {
                work.groups.push(group);
                work.products.push(*row);
            }
        }
        self.rows
            .scores(&work.query, &work.groups, &mut work.scores);
        for (score, row) in work.scores.iter().zip(&work.products) {
            work.top.offer(*score, *row);
        }
        Retrieval {
            plan: RetrievalPlan::Matches,
            scored: work.groups.len(),
        }
    }

    fn by_neighbours(
        &self,
        recents: &[u32],
        eligibility: &Eligibility<'_>,
        work: &mut ContentScratch,
    ) -> Option<Retrieval> {
        if !self.content.card().neighbours_exact {
            return None;
        }
        let bound = self.list_candidates(recents, work);
        self.offer_listed(eligibility, work);
        let is_proven = bound.is_none_or(|bound| f64::from(work.top.bar()) > bound);
        is_proven.then_some(Retrieval {
            plan: RetrievalPlan::Neighbours,
            scored: work.groups.len(),
        })
    }

    /// Lists the recents' groups and all on their neighbour lists; returns what no other group's
    /// score exceeds, `None` where there is no other group.
    fn list_candidates(&self, recents: &[u32], work: &mut ContentScratch) -> Option<f64> {
        let all = self.content.embeddings().rows();
        work.listed.start(all);
        work.groups.clear();
        let mut bound = 0.0;
        for group in recents
            .iter()
            .filter_map(|row| self.content.group(ProductRow(*row)))
        {
            let (neighbours, cosines) = self.content.neighbours(group);
            // Cosines of unit vectors do not exceed 1, whatever list is missing.
            bound += f64::from(cosines.last().copied().unwrap_or(1.0));
            for group in std::iter::once(&group).chain(neighbours) {
                if !work.listed.contains(*group) {
                    work.listed.insert(*group);
                    work.groups.push(*group);
                }
            }
        }
        let dimensions = self.content.embeddings().cols();
        (work.groups.len() < all).then_some(bound + rounding_margin(recents.len(), dimensions))
    }

    /// Scores the listed groups and offers their eligible members.
    fn offer_listed(&self, eligibility: &Eligibility<'_>, work: &mut ContentScratch) {
        self.rows
            .scores(&work.query, &work.groups, &mut work.scores);
        for (score, group) in work.scores.iter().zip(&work.groups) {
            if *score < work.top.bar() {
                continue;
            }
            let members = self.content.members(*group).iter();
            for row in members.filter(|row| eligibility.is_eligible(**row)) {
                work.top.offer(*score, *row);
            }
        }
    }

    fn by_index(
        &self,
        n: usize,
        eligibility: &Eligibility<'_>,
        work: &mut ContentScratch,
    ) -> Retrieval {
        let index = self.content.index();
        let all = index.rows().rows();
        let search = Search {
            query: &work.query,
            // A group has at least one eligible member; one group more shows ties at the cut.
            n: n.saturating_add(1).min(all),
            eligible_max: eligibility.eligible_max.min(all),
        };
        let is_eligible = |group| {
            let mut members = self.content.members(group).iter();
            members.any(|row| eligibility.is_eligible(*row))
        };
        work.top.start(n);
        let (mut found, mut last) = (0, f32::INFINITY);
        for (group, score) in index.search(&search, is_eligible, &mut work.search) {
            (found, last) = (found + 1, score);
            let members = self.content.members(group).iter();
            for row in members.filter(|row| eligibility.is_eligible(**row)) {
                work.top.offer(score, *row);
            }
        }
        let retrieval = work.search.retrieval();
        // Groups beyond the cut may tie with the n-th product and hold a lower row. Only an exact
        // plan has a promise to keep here.
        let may_tie = found == search.n && found < all && last >= work.top.bar();
        if retrieval.plan == RetrievalPlan::Hnsw || !may_tie {
            return retrieval;
        }
        Retrieval {
            plan: retrieval.plan,
            scored: retrieval.scored + self.every_group(n, eligibility, work),
        }
    }

    fn every_group(
        &self,
        n: usize,
        eligibility: &Eligibility<'_>,
        work: &mut ContentScratch,
    ) -> usize {
        let all = self.content.embeddings().rows();
        work.top.start(n);
        let mut start = 0u32;
        while (start as usize) < all {
            let end = (start + GROUPS_AT_ONCE).min(all as u32);
            work.groups.clear();
            work.groups.extend(start..end);
            self.offer_listed(eligibility, work);
            start = end;
        }
        all
    }
}

/// What computed scores may exceed the sum of computed cosines by. The recents' sum is rounded
/// `recents` times in every element and a dot product adds `dimensions / 16` products to a lane
/// and four levels of the tree; every such step is off by at most 2^-24 of a magnitude that does
/// not exceed `recents`. Four times that, since the cosines are computed in the same way.
fn rounding_margin(recents: usize, dimensions: usize) -> f64 {
    let steps = recents + dimensions / 16 + 8;
    recents as f64 * steps as f64 * f64::from(f32::EPSILON) * 2.0
}
