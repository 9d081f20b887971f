//! The nearest other groups of every group.
//!
//! Up to [`WORK_MAX`] every pair is scored by the one dot product, over postings where most
//! numbers are zero; beyond, the index that was built for serving is searched. A list depends on
//! its own query alone and every way of scoring gives the same bits, so neither threads nor CPU
//! change anything.

use std::ops::Range;

use rayon::{ThreadPool, prelude::*};

use super::postings::{Postings, numbers, products};
use crate::{
    Matrix,
    column::Column,
    content::Neighbours,
    dot::scores_into_on,
    grouped::NO_GROUP,
    index::{ItemIndex, Search, SearchScratch},
    lanes::{CpuPath, LANES, Line},
    topk::TopK,
};

/// Neighbours kept. Inherited from the design: five recent products then have up to 320
/// candidates, several times what a page shows.
const NEIGHBOURS_MAX: usize = 64;

/// Most steps for exact lists, a step being a multiply-add of sixteen lanes, or one posting.
/// Chosen: about a minute on one core, as a step takes about a nanosecond (`benches/content.rs`).
/// It is 46,000 groups of 500 full columns; over postings, 100,000 and more.
const WORK_MAX: u64 = 1 << 36;

/// [`crate::IndexCard::plan`] of the exact scan.
const EXACT_PLAN: &str = "exact";

/// Queries that share a pass over the rows.
const BLOCK_QUERIES: usize = 64;

/// Bytes of rows that a block works through before it goes on. Chosen: a quarter of a common
/// second-level cache.
const STRIPE_BYTES: usize = 256 << 10;

/// Neighbours of one group, nearest first.
type List = Vec<(u32, f32)>;

/// Where lists come from.
enum Source<'a> {
    Rows(&'a Matrix),
    Postings(&'a Matrix, Vec<Postings>),
    Index(&'a ItemIndex),
}

/// Working memory of one thread.
#[derive(Default)]
struct Work {
    sums: Vec<Line>,
    scores: Vec<f32>,
    search: SearchScratch,
}

/// The lists, and whether they are exact: an index finds them so where its plan is exact.
pub(super) fn nearest(index: &ItemIndex, path: CpuPath, pool: &ThreadPool) -> (Neighbours, bool) {
    let source = Source::of(index, WORK_MAX);
    let is_exact = !matches!(source, Source::Index(_)) || index.card().plan == EXACT_PLAN;
    (lists(&source, index, path, pool), is_exact)
}

impl<'a> Source<'a> {
    /// The cheapest way that stays within `work_max`.
    fn of(index: &'a ItemIndex, work_max: u64) -> Self {
        let rows = index.rows();
        let pairs = (rows.rows() as u64).saturating_mul(rows.rows() as u64);
        let by_rows = pairs.saturating_mul(rows.cols().div_ceil(LANES) as u64);
        let by_postings = products(rows).saturating_add(pairs);
        if by_rows.min(by_postings) > work_max {
            Self::Index(index)
        } else if by_postings < by_rows {
            Self::Postings(rows, Postings::of(rows))
        } else {
            Self::Rows(rows)
        }
    }

    /// Lists of a block of queries.
    fn lists(
        &self,
        path: CpuPath,
        (queries, per_group): (Range<usize>, usize),
        work: &mut Work,
    ) -> Vec<List> {
        let mut tops = vec![TopK::default(); queries.len()];
        tops.iter_mut().for_each(|top| top.start(per_group));
        match self {
            Self::Rows(rows) => by_rows(rows, path, (queries, &mut tops), &mut work.scores),
            Self::Postings(rows, stripes) => {
                by_postings((rows, stripes), path, (queries, &mut tops), work);
            }
            Self::Index(index) => {
                for (query, top) in queries.zip(&mut tops) {
                    let search = Search {
                        query: index.rows().row(query),
                        n: per_group,
                        eligible_max: index.rows().rows() - 1,
                    };
                    let found =
                        index.search(&search, |row| row as usize != query, &mut work.search);
                    offer_all(top, query, found.map(|(row, score)| (score, row)));
                }
            }
        }
        let mut ranked = Vec::new();
        let list = |top: &mut TopK| {
            top.finish(&mut ranked);
            ranked
                .iter()
                .map(|found| (found.row(), found.score()))
                .collect()
        };
        tops.iter_mut().map(list).collect()
    }
}

/// Every row with every query of a block: rows are read from memory once per block and, stripe
/// by stripe, from the cache by each query.
fn by_rows(
    rows: &Matrix,
    path: CpuPath,
    (queries, tops): (Range<usize>, &mut [TopK]),
    scores: &mut Vec<f32>,
) {
    let stripe_rows = (STRIPE_BYTES / (rows.cols() * size_of::<f32>())).max(1);
    for (stripe, numbers) in rows
        .as_slice()
        .chunks(stripe_rows * rows.cols())
        .enumerate()
    {
        scores.resize(numbers.len() / rows.cols(), 0.0);
        for (query, top) in queries.clone().zip(&mut *tops) {
            scores_into_on(path, rows.row(query), numbers, scores);
            let start = (stripe * stripe_rows) as u32;
            offer_all(top, query, scores.iter().copied().zip(start..));
        }
    }
}

/// The same over postings.
fn by_postings(
    (rows, stripes): (&Matrix, &[Postings]),
    path: CpuPath,
    (queries, tops): (Range<usize>, &mut [TopK]),
    Work { sums, scores, .. }: &mut Work,
) {
    let listed: Vec<Vec<(u32, f32)>> = queries
        .clone()
        .map(|query| numbers(rows.row(query)).collect())
        .collect();
    for stripe in stripes {
        for ((query, listed), top) in queries.clone().zip(&listed).zip(&mut *tops) {
            stripe.scores_into(path, listed, (sums, scores));
            let start = stripe.rows.start as u32;
            offer_all(top, query, scores.iter().copied().zip(start..));
        }
    }
}

/// Offers every row but the query's own. Rows of unit length can miss a cosine's bounds by
/// rounding, so scores are clamped, and they are before they are ranked: clamping makes equals.
fn offer_all(top: &mut TopK, query: usize, scores: impl Iterator<Item = (f32, u32)>) {
    let mut bar = top.bar();
    for (score, row) in scores {
        if score >= bar && row as usize != query {
            top.offer(score.clamp(-1.0, 1.0), row);
            bar = top.bar();
        }
    }
}

fn lists(source: &Source<'_>, index: &ItemIndex, path: CpuPath, pool: &ThreadPool) -> Neighbours {
    let groups = index.rows().rows();
    let per_group = NEIGHBOURS_MAX.min(groups.saturating_sub(1));
    let starts: Vec<usize> = (0..groups).step_by(BLOCK_QUERIES).collect();
    let block = |work: &mut Work, start: &usize| {
        let queries = *start..groups.min(start + BLOCK_QUERIES);
        source.lists(path, (queries, per_group), work)
    };
    let blocks: Vec<Vec<List>> =
        pool.install(|| starts.par_iter().map_init(Work::default, block).collect());
    let mut neighbours = Vec::with_capacity(groups * per_group);
    let mut cosines = Vec::with_capacity(groups * per_group);
    for list in blocks.iter().flatten() {
        let end = neighbours.len() + per_group;
        neighbours.extend(list.iter().map(|(group, _)| *group));
        neighbours.resize(end, NO_GROUP);
        cosines.extend(list.iter().map(|(_, cosine)| *cosine));
        cosines.resize(end, 0.0);
    }
    Neighbours {
        groups: Column::from_vec(neighbours),
        cosines: Column::from_vec(cosines),
        per_group,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;
    use crate::{dot::dot, index::norm};

    /// Unit rows, sparse or full, some of them equal so that cosines reach 1 and tie.
    fn rows() -> impl Strategy<Value = Matrix> {
        (1usize..24, prop_oneof![Just(1u32), Just(8)]).prop_flat_map(|(cols, zeros)| {
            let number = prop_oneof![zeros => Just(0i8), 3 => -2i8..3];
            let row = proptest::collection::vec(number, cols);
            proptest::collection::vec(row, 1..150).prop_map(move |rows| {
                let unit = rows.into_iter().flat_map(|mut row| {
                    if row.iter().all(|x| *x == 0) {
                        row[0] = 1;
                    }
                    let row: Vec<f32> = row.into_iter().map(f32::from).collect();
                    let norm = norm(&row) as f32;
                    row.into_iter().map(move |x| x / norm)
                });
                Matrix::from_vec(unit.collect(), cols).unwrap()
            })
        })
    }

    /// Scores every other row, sorts all of them.
    fn naive(rows: &Matrix, query: usize, n: usize) -> List {
        let mut all: List = (0..rows.rows())
            .filter(|row| *row != query)
            .map(|row| {
                (
                    row as u32,
                    dot(rows.row(query), rows.row(row)).clamp(-1.0, 1.0) + 0.0,
                )
            })
            .collect();
        all.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
        all.truncate(n);
        all
    }

    fn pool(threads: usize) -> ThreadPool {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn every_way_equals_the_naive_lists_to_the_bit(rows in rows()) {
            let index = ItemIndex::exact(&rows);
            let pool = pool(2);
            for path in CpuPath::available() {
                let sources = [
                    Source::Rows(&rows),
                    Source::Postings(&rows, Postings::of(&rows)),
                    Source::Index(&index),
                ];
                for source in &sources {
                    let found = lists(source, &index, path, &pool);
                    prop_assert_eq!(found.per_group, 64.min(rows.rows() - 1));
                    for query in 0..rows.rows() {
                        let expected = naive(&rows, query, found.per_group);
                        let of = query * found.per_group..(query + 1) * found.per_group;
                        let groups = &found.groups.as_slice()[of.clone()];
                        let cosines = &found.cosines.as_slice()[of];
                        let list: List = groups.iter().copied().zip(cosines.iter().copied()).collect();
                        prop_assert_eq!(list, expected);
                    }
                }
            }
        }
    }

    #[test]
    fn cheapest_way_within_the_limit_is_taken() {
        let full = ItemIndex::exact(&Matrix::from_vec(vec![0.5; 4 * 4], 4).unwrap());
        let mut sparse = vec![0.0; 4 * 64];
        (0..4).for_each(|row| sparse[row * 64 + row] = 1.0);
        let sparse = ItemIndex::exact(&Matrix::from_vec(sparse, 64).unwrap());
        // Rows cost 16 pairs × 1 line; postings 4 columns × 4² and the 16 pairs.
        assert!(matches!(Source::of(&full, 16), Source::Rows(_)));
        assert!(matches!(Source::of(&full, 15), Source::Index(_)));
        // Rows cost 16 × 4; postings 4 × 1² and the 16 pairs.
        assert!(matches!(Source::of(&sparse, 20), Source::Postings(..)));
        assert!(matches!(Source::of(&sparse, 19), Source::Index(_)));
    }

    #[test]
    fn group_alone_has_no_neighbours() {
        let index = ItemIndex::exact(&Matrix::from_vec(vec![1.0], 1).unwrap());
        let (neighbours, is_exact) = nearest(&index, CpuPath::detected(), &pool(1));
        assert!(is_exact && neighbours.per_group == 0 && neighbours.groups.as_slice().is_empty());
    }
}
