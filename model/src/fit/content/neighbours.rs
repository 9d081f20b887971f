//! The nearest other groups of every group.
//!
//! Up to [`WORK_MAX`] every pair is scored by the one dot product; beyond, the index that was
//! built for serving is searched. Queries are taken in blocks and rows in stripes that stay in
//! the cache, so that each row is read from memory once per block. Both are fixed, and a list
//! depends on its own query alone: threads and CPU change nothing.

use rayon::{ThreadPool, prelude::*};

use crate::{
    column::Column,
    content::{NO_GROUP, Neighbours},
    dot::scores_into_on,
    index::{ItemIndex, Search, SearchScratch},
    lanes::CpuPath,
    topk::TopK,
};

/// Neighbours kept. Inherited from the design: five recent products then have up to 320
/// candidates, several times what a page shows.
const NEIGHBOURS_MAX: usize = 64;

/// Most multiply-adds for exact lists.
const WORK_MAX: u64 = 1 << 41;

/// Queries that share a pass over the rows.
const BLOCK_QUERIES: usize = 64;

/// Bytes of rows that a block works through before it goes on. Chosen: a quarter of a common
/// second-level cache.
const STRIPE_BYTES: usize = 256 << 10;

/// The lists, and whether they are exact.
pub(super) fn nearest(index: &ItemIndex, path: CpuPath, pool: &ThreadPool) -> (Neighbours, bool) {
    let rows = index.rows();
    let (groups, cols) = (rows.rows() as u64, rows.cols() as u64);
    let per_group = NEIGHBOURS_MAX.min(rows.rows().saturating_sub(1));
    let work = groups.saturating_mul(groups).saturating_mul(cols);
    let is_exact = work <= WORK_MAX;
    let starts: Vec<usize> = (0..rows.rows()).step_by(BLOCK_QUERIES).collect();
    let block = |start: &usize| {
        let queries = *start..rows.rows().min(start + BLOCK_QUERIES);
        queries
    };
    let lists: Vec<Vec<(u32, f32)>> = pool.install(|| {
        let blocks = starts.par_iter().map(block);
        if is_exact {
            blocks
                .flat_map_iter(|queries| by_scan(index, path, (queries, per_group)))
                .collect()
        } else {
            let search = |scratch: &mut SearchScratch, queries: std::ops::Range<usize>| {
                queries
                    .map(|query| by_index(index, query as u32, per_group, scratch))
                    .collect()
            };
            let blocks = blocks.map_init(SearchScratch::default, search);
            blocks.flat_map_iter(|lists: Vec<_>| lists).collect()
        }
    });
    (flat(lists, per_group), is_exact)
}

/// Lists of a block of queries from all rows.
fn by_scan(
    index: &ItemIndex,
    path: CpuPath,
    (queries, per_group): (std::ops::Range<usize>, usize),
) -> Vec<Vec<(u32, f32)>> {
    let rows = index.rows();
    let stripe_rows = (STRIPE_BYTES / size_of_val(rows.row(0))).max(1);
    let mut tops = vec![TopK::default(); queries.len()];
    tops.iter_mut().for_each(|top| top.start(per_group));
    let mut scores = vec![0.0; stripe_rows];
    for (stripe, numbers) in rows
        .as_slice()
        .chunks(stripe_rows * rows.cols())
        .enumerate()
    {
        let scores = &mut scores[..numbers.len() / rows.cols()];
        for (query, top) in queries.clone().zip(&mut tops) {
            scores_into_on(path, rows.row(query), numbers, scores);
            for (score, row) in scores.iter().zip((stripe * stripe_rows) as u32..) {
                let cosine = clamped(*score);
                if cosine >= top.bar() && row != query as u32 {
                    top.offer(cosine, row);
                }
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

/// The list of one query as the index finds it.
fn by_index(
    index: &ItemIndex,
    query: u32,
    per_group: usize,
    scratch: &mut SearchScratch,
) -> Vec<(u32, f32)> {
    let search = Search {
        query: index.rows().row(query as usize),
        n: per_group,
        admitted_max: index.rows().rows() - 1,
    };
    let found = index.search(&search, |row| row != query, scratch);
    let mut list: Vec<(u32, f32)> = found
        .map(|(group, score)| (group, clamped(score)))
        .collect();
    // Clamping may have made equals.
    list.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0)));
    list
}

/// Rows of unit length can miss a cosine's bounds by rounding; -0 becomes +0.
fn clamped(score: f32) -> f32 {
    score.clamp(-1.0, 1.0) + 0.0
}

fn flat(lists: Vec<Vec<(u32, f32)>>, per_group: usize) -> Neighbours {
    let mut groups = Vec::with_capacity(lists.len() * per_group);
    let mut cosines = Vec::with_capacity(lists.len() * per_group);
    for list in lists {
        let end = groups.len() + per_group;
        groups.extend(list.iter().map(|(group, _)| *group));
        groups.resize(end, NO_GROUP);
        cosines.extend(list.iter().map(|(_, cosine)| *cosine));
        cosines.resize(end, 0.0);
    }
    Neighbours {
        groups: Column::from_vec(groups),
        cosines: Column::from_vec(cosines),
        per_group,
    }
}
