//! From replica files to a view of the fleet: which replicas serve the desired rollout, which do not, and why.
//! Pure, except for [`History`].

use super::identity::Identity;
use crate::lifecycle::{ManagerStatus, ModelStatus, VersionState, sentences};
use hotshelf_registry::{
    Arm, FORMAT, ModelName, Parent, ReplicaFile, ReplicaId, ReplicaState, ReplicaVersion, Reported,
    RolloutRecord, Version,
};
use jiff::Timestamp;
use std::collections::BTreeMap;
use std::time::Duration;

/// The state of a replica with respect to the desired rollout.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// Serves it, or a newer one.
    Serving,
    /// Loads it, or has not observed it yet.
    Loading,
    /// Cannot load a version of it, and serves what it served before.
    Failed,
    /// No heartbeat for too long.
    Lost,
    /// Was shut down.
    Stopped,
    /// Its file cannot be read.
    Unreadable,
    /// Several processes report under its name.
    NameConflict,
}

impl Standing {
    /// Whether a rollout has to reach it: not where it is lost or has stopped, nor where one name stands for
    /// several processes, of which only one is seen at a time.
    pub fn is_counted_on(self) -> bool {
        !matches!(self, Self::Lost | Self::Stopped | Self::NameConflict)
    }
}

/// One replica.
#[derive(Clone, Debug, PartialEq)]
pub struct ReplicaView {
    /// Its name.
    pub replica: ReplicaId,
    /// Its state with respect to the desired rollout.
    pub standing: Standing,
    /// Is it the replica that was asked? Then this is its present state, not its last heartbeat.
    pub is_own: bool,
    /// What it reported; `None` where its file cannot be read.
    pub state: Option<ReplicaState>,
    /// Since it reported, by the store's clock; zero for the one that was asked.
    pub age: Duration,
    /// How long the desired rollout has been waiting for it; `None` where it serves it.
    pub lag: Option<Duration>,
    /// What holds it back; empty where nothing does.
    pub held_back_by: String,
}

/// All replicas of one model that are not gone.
#[derive(Clone, Debug, PartialEq)]
pub struct FleetView {
    /// By name.
    pub replicas: Vec<ReplicaView>,
    /// Not empty: why the files of the other replicas could not be read.
    pub trouble: String,
    /// Not empty: why the replica that was asked writes no heartbeat, and so appears lost to the others.
    pub not_reporting: String,
}

/// Replicas by standing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[allow(missing_docs, reason = "the standings, counted")]
pub struct Counts {
    pub serving: u32,
    pub loading: u32,
    pub failed: u32,
    pub lost: u32,
    pub stopped: u32,
    pub unreadable: u32,
    pub name_conflict: u32,
}

/// Replicas of one response (chosen: with their texts cut they stay well below 4 MiB, which is as much as
/// gRPC clients take).
const LISTED_MAX: usize = 1_000;
/// Longest text of one replica in it, in bytes.
const TEXT_BYTES_MAX: usize = 512;

impl FleetView {
    /// At most 1,000 replicas, this one and those that do not serve first, with their texts cut. `trouble` says
    /// how many are omitted.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        for replica in &mut self.replicas {
            cut(&mut replica.held_back_by);
            if let Some(state) = &mut replica.state {
                cut(&mut state.degraded);
            }
        }
        let omitted = self.replicas.len().saturating_sub(LISTED_MAX);
        if omitted > 0 {
            let rank = |one: &ReplicaView| (!one.is_own, one.standing == Standing::Serving);
            self.replicas.sort_by_key(rank);
            self.replicas.truncate(LISTED_MAX);
            self.replicas.sort_by(|a, b| a.replica.cmp(&b.replica));
            let said = format!("{omitted} more replicas are counted and not listed");
            self.trouble = match self.trouble.as_str() {
                "" => said,
                trouble => format!("{trouble}; {said}"),
            };
        }
        self
    }

    /// Counts the standings.
    pub fn counts(&self) -> Counts {
        let mut counts = Counts::default();
        for replica in &self.replicas {
            *match replica.standing {
                Standing::Serving => &mut counts.serving,
                Standing::Loading => &mut counts.loading,
                Standing::Failed => &mut counts.failed,
                Standing::Lost => &mut counts.lost,
                Standing::Stopped => &mut counts.stopped,
                Standing::Unreadable => &mut counts.unreadable,
                Standing::NameConflict => &mut counts.name_conflict,
            } += 1;
        }
        counts
    }
}

fn cut(text: &mut String) {
    if text.len() > TEXT_BYTES_MAX {
        text.truncate(text.floor_char_boundary(TEXT_BYTES_MAX));
        text.push('…');
    }
}

/// Since when versions are in their states, as far as this process has seen.
#[derive(Debug, Default)]
pub(super) struct History(BTreeMap<Version, (VersionState, String)>);

impl History {
    /// Versions that are no longer reported are forgotten.
    fn since(&mut self, status: &ModelStatus, now: Timestamp) -> BTreeMap<Version, String> {
        let versions = status.manager.versions.iter();
        let known = versions.map(|(version, entry)| {
            let before = self.0.remove(version);
            let same = before.filter(|(state, _)| *state == entry.state);
            let since = same.map_or_else(|| text(now), |(_, since)| since);
            (*version, (entry.state, since))
        });
        let known: BTreeMap<_, _> = known.collect();
        self.0 = known;
        let since = self.0.iter();
        since.map(|(v, (_, since))| (*v, since.clone())).collect()
    }
}

/// RFC 3339, to the millisecond.
fn text(at: Timestamp) -> String {
    format!("{at:.3}")
}

/// What this replica reports.
pub(super) fn own_state(
    (model, identity): (&ModelName, &Identity),
    status: &ModelStatus,
    history: &mut History,
) -> ReplicaState {
    let since = history.since(status, Timestamp::now());
    let manager = &status.manager;
    let versions = manager.versions.iter().map(|(version, entry)| {
        let failure = entry.failure.as_ref();
        let reason = failure.map(|failure| failure.error.message.clone());
        ReplicaVersion {
            version: *version,
            state: entry.state.as_str().to_owned(),
            since: since.get(version).cloned().unwrap_or_default(),
            reason: reason.unwrap_or_else(|| match entry.degraded.as_str() {
                "" => entry.refetched.clone(),
                degraded => degraded.to_owned(),
            }),
        }
    });
    let live = manager.live.as_ref();
    ReplicaState {
        format: FORMAT,
        model: model.clone(),
        replica: identity.replica.clone(),
        address: identity.address.clone(),
        build: identity.build.to_owned(),
        started_at: text(identity.started_at),
        // The registry sets it when it writes.
        written_at: text(identity.started_at),
        is_stopped: false,
        instance: Some(identity.instance),
        is_name_conflict: false,
        observed: manager.desired.as_ref().map(RolloutRecord::as_parent),
        live: live.map(RolloutRecord::as_parent),
        arms: live
            .map(|live| served_arms(live, manager))
            .unwrap_or_default(),
        versions: versions.collect(),
        degraded: manager.degraded.clone(),
        registry_trouble: status.registry_error.clone(),
    }
}

/// The live rollout's arms as they are served: with the manifests that were loaded.
fn served_arms(live: &RolloutRecord, manager: &ManagerStatus) -> Vec<Arm> {
    let mut arms = live.arms_with(manager.candidate_bp);
    for arm in &mut arms {
        let loaded = manager.version(arm.version);
        let digest = loaded.and_then(|entry| entry.manifest_sha256);
        arm.manifest_sha256 = digest.or(arm.manifest_sha256);
    }
    arms
}

/// Says where a replica serves another version than `own` under one number of one rollout.
pub(super) fn other_manifest(own: &ReplicaState, other: &ReplicaState) -> Option<String> {
    if own.live.is_none() || own.live != other.live {
        return None;
    }
    let differing = other.arms.iter().find_map(|arm| {
        let mut same = own.arms.iter().filter(|one| one.version == arm.version);
        let digests = same.next()?.manifest_sha256.zip(arm.manifest_sha256)?;
        (digests.0 != digests.1).then_some((arm.version, digests))
    });
    let (version, (here, there)) = differing?;
    Some(format!(
        "serves version {version} with manifest sha256 {there}, and this server with {here}: it was rewritten"
    ))
}

/// Assesses replicas against the desired rollout.
pub(super) struct Assessor<'a> {
    pub(super) desired: Option<&'a RolloutRecord>,
    pub(super) lost_after: Duration,
    pub(super) now: Timestamp,
}

impl Assessor<'_> {
    /// The replica that was asked, by its present state.
    pub(super) fn own(&self, state: ReplicaState) -> ReplicaView {
        let replica = state.replica.clone();
        let mut view = self.assess(replica, state, Duration::ZERO);
        view.is_own = true;
        view
    }

    /// Another one, by its file; `None` where it is gone.
    pub(super) fn other(&self, seen: ReplicaFile) -> Option<ReplicaView> {
        let ReplicaFile {
            replica,
            age,
            reported,
        } = seen;
        match reported {
            Reported::Gone => None,
            Reported::State(state) => Some(self.assess(replica, *state, age)),
            Reported::Unreadable { why, .. } => Some(ReplicaView {
                replica,
                standing: match age > self.lost_after {
                    true => Standing::Lost,
                    false => Standing::Unreadable,
                },
                is_own: false,
                state: None,
                age,
                lag: self.lag(),
                held_back_by: why,
            }),
        }
    }

    fn assess(&self, replica: ReplicaId, state: ReplicaState, age: Duration) -> ReplicaView {
        let standing = self.standing(&state, age);
        let held_back_by = self.held_back_by(&state, standing, age);
        ReplicaView {
            replica,
            standing,
            is_own: false,
            age,
            lag: self.lag().filter(|_| !self.is_served_by(&state)),
            held_back_by,
            state: Some(state),
        }
    }

    fn standing(&self, state: &ReplicaState, age: Duration) -> Standing {
        if state.is_stopped {
            Standing::Stopped
        } else if age > self.lost_after {
            Standing::Lost
        } else if state.is_name_conflict {
            Standing::NameConflict
        } else if self.is_served_by(state) {
            Standing::Serving
        } else if self.failure(state).is_some() {
            Standing::Failed
        } else {
            Standing::Loading
        }
    }

    fn is_served_by(&self, state: &ReplicaState) -> bool {
        match self.desired {
            Some(desired) => serves(state, desired.as_parent()),
            None => state.live.is_some(),
        }
    }

    /// The first version of the desired rollout that this replica cannot load.
    fn failure<'s>(&self, state: &'s ReplicaState) -> Option<&'s ReplicaVersion> {
        let wanted = self.wanted(state);
        let mut failed = wanted.filter(|version| version.state == VersionState::Failed.as_str());
        failed.next()
    }

    /// What it reports of the desired rollout's versions.
    fn wanted<'s>(&self, state: &'s ReplicaState) -> impl Iterator<Item = &'s ReplicaVersion> {
        let arms = self.desired.into_iter().flat_map(|desired| &desired.arms);
        arms.filter_map(|arm| {
            let mut versions = state.versions.iter();
            versions.find(|version| version.version == arm.version)
        })
    }

    fn lag(&self) -> Option<Duration> {
        let created = self.desired?.created()?;
        // A proposer's clock may be ahead.
        Some(Duration::try_from(self.now.duration_since(created)).unwrap_or_default())
    }

    fn held_back_by(&self, state: &ReplicaState, standing: Standing, age: Duration) -> String {
        let unobserved = self.desired.filter(|desired| {
            state
                .observed
                .is_none_or(|observed| observed.number < desired.number)
        });
        let said = match standing {
            Standing::Stopped | Standing::Unreadable => String::new(),
            Standing::NameConflict => "several processes report under its name".to_owned(),
            Standing::Lost => format!("no heartbeat for {} s", age.as_secs()),
            Standing::Serving => self.fallbacks(state),
            Standing::Failed => match self.failure(state) {
                Some(failed) => format!("version {}: {}", failed.version, failed.reason),
                None => String::new(),
            },
            Standing::Loading => match (unobserved, state.observed) {
                (Some(_), Some(observed)) => {
                    format!("newest rollout it has observed is {}", observed.number)
                }
                (Some(_), None) => "has not observed a rollout".to_owned(),
                (None, _) => self.under_way(state),
            },
        };
        let trouble = match (standing, state.registry_trouble.as_str()) {
            (_, "") | (Standing::Stopped, _) => String::new(),
            (_, trouble) => format!("cannot read the registry: {trouble}"),
        };
        sentences([said, trouble])
    }

    /// The fallbacks of a replica that serves, or what it refetched.
    fn fallbacks(&self, state: &ReplicaState) -> String {
        if !state.degraded.is_empty() {
            return state.degraded.clone();
        }
        let told = self.wanted(state).filter(|one| !one.reason.is_empty());
        let told = told.map(|one| format!("version {}: {}", one.version, one.reason));
        told.collect::<Vec<_>>().join("; ")
    }

    fn under_way(&self, state: &ReplicaState) -> String {
        let waiting = self.wanted(state).filter(|version| {
            version.state != VersionState::Live.as_str()
                && version.state != VersionState::Ready.as_str()
        });
        let said =
            waiting.map(|version| format!("version {} is {}", version.version, version.state));
        let said = said.collect::<Vec<_>>().join(", ");
        match (said.is_empty(), self.desired) {
            (false, _) => said,
            (true, Some(_)) => state.degraded.clone(),
            (true, None) => "there is no rollout".to_owned(),
        }
    }
}

/// Whether a replica has this rollout live, or one that came after it. What is live beyond the newest rollout
/// that it names was withdrawn.
pub(super) fn serves(state: &ReplicaState, rollout: Parent) -> bool {
    let is_newer = |live: Parent| {
        let names_it = |observed: Parent| observed.number >= live.number;
        live.number > rollout.number && state.observed.is_none_or(names_it)
    };
    state
        .live
        .is_some_and(|live| live == rollout || is_newer(live))
}

#[cfg(test)]
mod tests;
