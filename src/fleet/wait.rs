//! Waiting until this replica, a number of replicas, or all that are not lost serve a rollout.

use super::member::Member;
use super::view::{FleetView, ReplicaView, serves};
use crate::jitter::jittered;
use hotshelf_registry::Parent;
use std::time::Duration;
use tokio::time::Instant;

/// Mean time between two reads of the others' files (chosen: they report within about a second).
const READ: Duration = Duration::from_secs(1);
/// Mean time between two checks of this replica, which cost nothing (chosen).
const OWN_CHECK: Duration = Duration::from_millis(20);

/// Which replicas to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quorum {
    /// The replica that was asked.
    Own,
    /// That many, whichever they are.
    Count(u32),
    /// All that are neither lost nor stopped, including those whose files cannot be read.
    All,
}

/// The outcome of a wait.
#[derive(Clone, Debug, PartialEq)]
pub struct Waited {
    /// Whether the quorum serves the rollout.
    pub is_met: bool,
    /// Those that serve it or a newer one, by name.
    pub serving: Vec<ReplicaView>,
    /// Those that do not, with what holds each of them back; lost and stopped ones too.
    pub missing: Vec<ReplicaView>,
    /// Not empty: why the other replicas could not be seen.
    pub trouble: String,
}

impl Waited {
    fn of(view: FleetView, rollout: Parent, quorum: Quorum) -> Self {
        let has_live = |replica: &ReplicaView| {
            let state = replica.state.as_ref();
            state.is_some_and(|state| serves(state, rollout))
        };
        // A file that outlived its replica does not say what is served now, nor one of several processes.
        let is_served =
            |replica: &ReplicaView| replica.standing.is_counted_on() && has_live(replica);
        let mut replicas = view.replicas.iter();
        let is_own_live = replicas.any(|replica| replica.is_own && has_live(replica));
        let (serving, missing): (Vec<_>, Vec<_>) = view.replicas.into_iter().partition(is_served);
        let is_own_served = serving.iter().any(|replica| replica.is_own);
        let is_met = match quorum {
            Quorum::Own => is_own_live,
            Quorum::Count(wanted) => serving.len() >= wanted as usize,
            Quorum::All => {
                let is_behind = |replica: &ReplicaView| replica.standing.is_counted_on();
                // A replica that cannot read the others' files cannot know that all serve it.
                is_own_served && view.trouble.is_empty() && !missing.iter().any(is_behind)
            }
        };
        Self {
            is_met,
            serving,
            missing,
            trouble: view.trouble,
        }
    }
}

impl Member {
    /// Waits until `quorum` serves `rollout` or a newer one, or until `until`; a newer rollout that replaces
    /// it meanwhile therefore ends no wait. Reads the registry about once a second, and for
    /// [`Quorum::Own`] not at all. May be dropped at any moment.
    pub async fn wait_for(&self, rollout: Parent, quorum: Quorum, until: Instant) -> Waited {
        let mut jitter = self.new_jitter();
        let mut last = None;
        loop {
            let view = match quorum {
                Quorum::Own => self.own_view(),
                // A store that stalls must not keep the caller beyond its deadline.
                Quorum::Count(_) | Quorum::All => {
                    match (tokio::time::timeout_at(until, self.view()).await, last) {
                        (Ok(view), _) => view,
                        // The view of a moment ago says more than that the wait timed out.
                        (Err(_), Some(last)) => return last,
                        (Err(_), None) => FleetView {
                            trouble: "the registry did not answer in time".to_owned(),
                            ..self.own_view()
                        },
                    }
                }
            };
            let waited = Waited::of(view, rollout, quorum);
            if waited.is_met || Instant::now() >= until {
                return waited;
            }
            let mean = match quorum {
                Quorum::Own => OWN_CHECK,
                Quorum::Count(_) | Quorum::All => READ,
            };
            let next = Instant::now() + jittered(mean, &mut jitter);
            last = Some(waited);
            tokio::time::sleep_until(next.min(until)).await;
        }
    }

    fn own_view(&self) -> FleetView {
        FleetView {
            replicas: vec![self.own()],
            trouble: String::new(),
            not_reporting: self.not_reporting(),
        }
    }
}

#[cfg(test)]
mod tests;
