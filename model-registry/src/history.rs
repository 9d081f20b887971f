//! What was desired when: the chain of rollouts, read backwards beyond what a log retains.

use crate::{Error, ModelName, Registry, RolloutRecord};
use jiff::Timestamp;

/// Rollouts of a model, newest first, each the parent of the one before it.
#[derive(Clone, Debug, PartialEq)]
pub struct History {
    /// The records; the first is the desired state.
    pub records: Vec<RolloutRecord>,
    /// Why there are no older ones.
    pub end: End,
}

/// Where a history ends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// With the first rollout of all, or with none.
    First,
    /// With the number of records that was asked for.
    Limit,
    /// With a parent that is missing or altered, and how.
    Broken(String),
}

impl History {
    /// The record that was the desired state at this time: the newest one written by then. Times are
    /// their writers' clocks', and a replica follows some seconds later. `None` before the oldest
    /// record here.
    #[must_use]
    pub fn desired_at(&self, time: Timestamp) -> Option<&RolloutRecord> {
        self.records
            .iter()
            .find(|record| record.created().is_some_and(|created| created <= time))
    }
}

impl Registry {
    /// The rollouts of a model from the desired state backwards, at most `limit`. Costs one listing
    /// and one small read a record.
    ///
    /// # Errors
    /// [`Error::Unavailable`]. A record at fault ends the history and is no error.
    pub async fn history(&self, model: &ModelName, limit: usize) -> Result<History, Error> {
        let log = self.rollouts(model).await?;
        let mut records = log.chain().to_vec();
        records.truncate(limit);
        let end = loop {
            let Some(parent) = records.last().and_then(|record| record.parent) else {
                break End::First;
            };
            if records.len() >= limit {
                break End::Limit;
            }
            match log.read_parent(parent).await? {
                Ok(record) => records.push(record),
                Err(why) => break End::Broken(format!("its ancestor {} {why}", parent.number)),
            }
        };
        Ok(History { records, end })
    }
}
