//! The result of the fleet demo, as JSON and as text.

use super::traffic::Count;
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;

/// The result of `hotshelf demo --fleet`; `--json` prints it as it is.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    /// Requests sent, each counted once.
    pub(super) requests: u64,
    /// Requests that no server served.
    pub(super) failed: u64,
    /// Requests to the killed server that another one served.
    sent_again: u64,
    /// By name.
    replicas: BTreeMap<String, Replica>,
    /// Seconds from one event to another.
    seconds: Seconds,
    /// Messages of failed attempts, each once.
    errors: Vec<String>,
}

/// The figures of one server.
#[derive(Debug, Serialize)]
struct Replica {
    /// Responses by version.
    answers: BTreeMap<u64, u64>,
    /// Requests that it did not serve.
    refused: u64,
}

/// Seconds until a change to one server held for all.
#[derive(Clone, Debug, Default, Serialize)]
pub(super) struct Seconds {
    /// From `start` until all had the candidate.
    pub(super) start: f64,
    /// From the kill until the others showed it as lost.
    pub(super) lost: f64,
    /// From starting it again until it served as the others do.
    pub(super) back: f64,
    /// From `promote` until all had followed.
    pub(super) promote: f64,
    /// From `rollback` until all had followed.
    pub(super) rollback: f64,
}

impl Report {
    pub(super) fn of(names: &[&str], count: Count, seconds: &Seconds) -> Self {
        let answered = count
            .by_server
            .iter()
            .flat_map(|tally| tally.answers.values());
        let requests = answered.sum::<u64>() + count.failed;
        let replicas = names.iter().zip(count.by_server).map(|(name, tally)| {
            let replica = Replica {
                answers: tally.answers,
                refused: tally.refused,
            };
            ((*name).to_owned(), replica)
        });
        Self {
            requests,
            failed: count.failed,
            sent_again: count.sent_again,
            replicas: replicas.collect(),
            seconds: seconds.clone(),
            errors: count.errors,
        }
    }

    /// # Errors
    /// A request was not answered, or one was refused by another server than the one killed.
    pub(super) fn ensure_good(&self, killed: &str) -> anyhow::Result<()> {
        let (failed, requests) = (self.failed, self.requests);
        anyhow::ensure!(failed == 0, "{failed} of {requests} requests failed");
        for (name, replica) in self.replicas.iter().filter(|(name, _)| *name != killed) {
            anyhow::ensure!(
                replica.refused == 0,
                "{name} did not serve {} requests: {}",
                replica.refused,
                self.errors.join("; ")
            );
        }
        Ok(())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{} requests, {} failed, {} retried on another server after the kill",
            self.requests, self.failed, self.sent_again
        )?;
        let Seconds {
            start,
            lost,
            back,
            promote,
            rollback,
        } = self.seconds;
        writeln!(
            f,
            "until all servers followed: start {start:.1} s, promote {promote:.1} s, rollback {rollback:.1} s"
        )?;
        writeln!(
            f,
            "the killed server: lost after {lost:.1} s, serving {back:.1} s after its restart"
        )?;
        for error in &self.errors {
            writeln!(f, "failed attempt: {error}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::super::traffic::Tally;
    use super::*;

    fn report([living, killed]: [u64; 2], failed: u64) -> Report {
        let tally = |refused| Tally {
            answers: BTreeMap::from([(1, 10)]),
            refused,
        };
        let count = Count {
            by_server: vec![tally(living), tally(killed)],
            failed,
            ..Count::default()
        };
        Report::of(&["living", "killed"], count, &Seconds::default())
    }

    #[test]
    fn only_the_killed_server_may_leave_a_request_to_others_and_none_may_fail() {
        assert_eq!(report([0, 3], 0).requests, 20);
        assert!(report([0, 3], 0).ensure_good("killed").is_ok());
        assert!(report([1, 0], 0).ensure_good("killed").is_err());
        assert!(report([0, 0], 1).ensure_good("killed").is_err());
    }
}
