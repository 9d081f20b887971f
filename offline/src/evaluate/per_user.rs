//! Scores of every list as CSV, for anyone's own test.
//!
//! One row per user, ranker and length, in the order of the report: the same users for every ranker,
//! so that any paired test can start from it.

use std::io;
use std::path::Path;

use hotshelf_model::Model;

use super::audience::EvaluatedUser;
use super::measurements::{ListScores, Measurements};

/// The columns; a file that begins with them is one of ours.
const COLUMNS: [&str; 13] = [
    "user_id",
    "segment",
    "ranker",
    "k",
    "precision",
    "recall",
    "ndcg",
    "average_precision",
    "reciprocal_rank",
    "hit",
    "novelty",
    "diversity",
    "popularity",
];

/// Whether a file with this beginning is one of an earlier run.
pub(crate) fn is_per_user(head: &[u8]) -> bool {
    head.starts_with(COLUMNS.join(",").as_bytes())
}

/// The scores of every list.
#[derive(Debug)]
pub(crate) struct PerUser {
    /// Id and segment.
    users: Vec<(String, String)>,
    /// Ranker, length, and the scores by user; NaN where a list is too short to have a property.
    lists: Vec<(&'static str, usize, Vec<ListScores>)>,
}

impl PerUser {
    pub(super) fn new(
        model: &Model,
        users: &[EvaluatedUser],
        (measured, lengths): (Vec<Measurements>, &[usize]),
    ) -> Self {
        let user = |user: &EvaluatedUser| {
            let id = model.users().id(user.row).to_owned();
            (id, model.users().segment(user.row).to_owned())
        };
        let lists = measured.into_iter().flat_map(|measurements| {
            let by_length = lengths.iter().zip(measurements.scores);
            by_length.map(move |(k, scores)| (measurements.ranker, *k, scores))
        });
        Self {
            users: users.iter().map(user).collect(),
            lists: lists.collect(),
        }
    }

    /// Writes the file; a property that a list is too short for is an empty field.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut file = csv::Writer::from_path(path).map_err(io::Error::other)?;
        file.write_record(COLUMNS).map_err(io::Error::other)?;
        for (at, (id, segment)) in self.users.iter().enumerate() {
            for (ranker, k, scores) in &self.lists {
                let names = [
                    id.clone(),
                    segment.clone(),
                    (*ranker).to_owned(),
                    k.to_string(),
                ];
                let scores = scores[at].iter().map(|score| match score.is_nan() {
                    true => String::new(),
                    false => score.to_string(),
                });
                let record = names.into_iter().chain(scores);
                file.write_record(record).map_err(io::Error::other)?;
            }
        }
        file.flush()
    }
}
