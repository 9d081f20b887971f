//! A person's own habit: what they had most often, then what everybody has.
//!
//! The baseline of repeats, hard to beat where people buy the same things again: Li et al. (2023), A
//! next basket recommendation reality check (their GP-TopFreq).

use hotshelf_model::{Fallbacks, Model, UserRow};

use super::{Past, fill};
use crate::evaluate::rankers::{RankWork, Ranker};

/// Products by the number of a user's events, the later had first among equals, filled up with
/// popular ones.
pub(in crate::evaluate) struct PersonalFrequency {
    /// The products of user `u` are `rows[offsets[u]..offsets[u + 1]]`, best first.
    offsets: Vec<usize>,
    rows: Vec<u32>,
    popular: Vec<u32>,
}

impl PersonalFrequency {
    pub(in crate::evaluate) fn new(model: &Model, past: &Past) -> Self {
        let mut events: Vec<(UserRow, u32, i64)> = past
            .events
            .iter()
            .map(|event| (event.user, event.product, event.at_s))
            .collect();
        events.sort_unstable_by_key(|(user, product, at_s)| (user.0, *product, *at_s));
        let (mut offsets, mut rows) = (vec![0], Vec::new());
        let mut rest = events.as_slice();
        for user in 0..model.users().len() as u32 {
            let own = rest.partition_point(|(of, _, _)| of.0 <= user);
            let products = rest[..own].chunk_by(|a, b| a.1 == b.1);
            let mut counted: Vec<(usize, i64, u32)> = products
                .map(|same| (same.len(), same[same.len() - 1].2, same[0].1))
                .collect();
            counted.sort_unstable_by_key(|(count, last_s, row)| {
                (std::cmp::Reverse((*count, *last_s)), *row)
            });
            rows.extend(counted.into_iter().map(|(_, _, row)| row));
            offsets.push(rows.len());
            rest = &rest[own..];
        }
        Self {
            offsets,
            rows,
            popular: model.popular().map(|product| product.0).collect(),
        }
    }
}

impl Ranker for PersonalFrequency {
    fn name(&self) -> &'static str {
        "personal_frequency"
    }

    fn rank(&self, user: UserRow, k: usize, work: &mut RankWork) -> Fallbacks {
        let own = &self.rows[self.offsets[user.index()]..self.offsets[user.index() + 1]];
        work.list.clear();
        work.list.extend(own.iter().take(k));
        fill(&mut work.list, k, &self.popular, &[]);
        Fallbacks::default()
    }
}
