//! What the disk remembers: what was live, for a start while the registry cannot be read. A registry
//! without any rollout is treated alike: rollouts are never removed, so where one is remembered an empty
//! registry is one that is not shown, and absence of information is no order to serve nothing.
//!
//! | registry | live | disk | then |
//! |---|---|---|---|
//! | not read yet, no failure yet | – | – | wait |
//! | cannot be read, or has no rollout | nothing | not asked, or asking failed and the next try is due | ask |
//! | cannot be read, or has no rollout | nothing | a record | load its versions from the cache, activate it |
//! | cannot be read, or has no rollout | the record | – | say so |
//! | has a rollout | any | – | the registry's rollouts alone count |
//! | any | another record than is kept | – | write it down; where that fails, say so and try again |

use super::{ModelManager, Now};
use crate::lifecycle::event::{Action, Remembered, Supply};
use crate::lifecycle::state::VersionState;
use hotshelf_registry::{Parent, RolloutNumber, RolloutRecord, Version};
use std::time::Duration;

/// The manager's side of the disk.
#[derive(Default)]
pub(super) struct Memory {
    /// Why the registry could not be read; empty where it could or was not tried.
    pub(super) unreadable: String,
    recall: Recall,
    /// The version that is being loaded from the cache alone.
    from_cache: Option<Version>,
    /// What stands on disk, as far as this process knows.
    kept: Option<Parent>,
    /// What is being written.
    keeping: Option<Parent>,
    keep_trouble: Option<Trouble>,
}

/// How far asking the disk has come.
#[derive(Default)]
enum Recall {
    #[default]
    NotAsked,
    Asked {
        attempts: u32,
    },
    Nothing,
    Found(Box<Remembered>),
    Failed(Trouble),
}

/// What did not work, and when it is tried again.
struct Trouble {
    why: String,
    attempts: u32,
    due: Duration,
}

impl ModelManager {
    /// The record that stands in for the registry's while none of those is known.
    pub(super) fn stand_in(&self) -> Option<&RolloutRecord> {
        self.remembered().filter(|_| self.chain.is_empty())
    }

    /// From where to load a version.
    pub(super) fn supply(&mut self, version: Version) -> Supply {
        let is_proposed = self.proposed().any(|proposed| proposed == version);
        let is_remembered = self
            .stand_in()
            .is_some_and(|record| record.arms.iter().any(|arm| arm.version == version));
        let is_cached = is_remembered && !is_proposed;
        self.memory.from_cache = is_cached.then_some(version);
        if is_cached {
            Supply::Cache
        } else {
            Supply::Registry
        }
    }

    /// Was this version being loaded from the cache alone when the registry began to tell?
    pub(super) fn is_overtaken(&self, version: Version) -> bool {
        self.memory.from_cache == Some(version) && !self.chain.is_empty()
    }

    /// The record that the disk gave, if it was asked and had one.
    fn remembered(&self) -> Option<&RolloutRecord> {
        match &self.memory.recall {
            Recall::Found(found) => Some(&found.record),
            _ => None,
        }
    }

    pub(super) fn recalled(&mut self, outcome: Result<Option<Remembered>, String>, now: Now) {
        let attempts = match self.memory.recall {
            Recall::Asked { attempts } => attempts,
            _ => 1,
        };
        self.memory.recall = match outcome {
            Ok(Some(found)) => Recall::Found(Box::new(found)),
            Ok(None) => Recall::Nothing,
            Err(why) => Recall::Failed(self.trouble(why, attempts, now)),
        };
    }

    pub(super) fn kept(&mut self, rollout: RolloutNumber, outcome: Result<(), String>, now: Now) {
        let keeping = self.memory.keeping.take();
        let attempts = self.memory.keep_trouble.as_ref().map_or(0, |t| t.attempts);
        self.memory.keep_trouble = match outcome {
            Ok(()) => {
                self.memory.kept = keeping.filter(|kept| kept.number == rollout);
                None
            }
            Err(why) => Some(self.trouble(why, attempts + 1, now)),
        };
    }

    /// Called for every record that comes to be live.
    pub(super) fn note_live(&mut self, record: &RolloutRecord) {
        if self.chain.is_empty() {
            // It came from the disk.
            self.memory.kept = Some(record.as_parent());
        }
    }

    /// Now that the registry tells, what the cache alone could not give is fetched at once.
    pub(super) fn try_again_from_the_registry(&mut self) {
        let arms = self.remembered().map(|record| record.arms.clone());
        for arm in arms.into_iter().flatten() {
            let entry = self.entry(arm.version);
            if entry.state == VersionState::Failed {
                entry.state = VersionState::Discovered;
            }
        }
    }

    /// The next write of what is live, or the next question to the disk.
    pub(super) fn next_memory(&mut self, now: Now) -> Option<Action> {
        let is_due = |trouble: &Trouble| trouble.due <= now.monotonic;
        let memory = &mut self.memory;
        if let Some(live) = &self.live {
            let is_wanted = memory.kept != Some(live.as_parent()) && memory.keeping.is_none();
            if is_wanted && memory.keep_trouble.as_ref().is_none_or(is_due) {
                memory.keeping = Some(live.as_parent());
                let record = live.clone();
                return Some(Action::Keep { record });
            }
            return None;
        }
        let is_unread = !self.has_heard && memory.unreadable.is_empty();
        if is_unread || !self.chain.is_empty() {
            return None;
        }
        let attempts = match &memory.recall {
            Recall::NotAsked => 1,
            Recall::Failed(trouble) if is_due(trouble) => trouble.attempts + 1,
            _ => return None,
        };
        memory.recall = Recall::Asked { attempts };
        Some(Action::Recall)
    }

    /// When the disk is to be tried again.
    pub(super) fn memory_wakeup(&self) -> Option<Duration> {
        let memory = &self.memory;
        let recall = match &memory.recall {
            Recall::Failed(trouble) if self.chain.is_empty() && self.live.is_none() => {
                Some(trouble.due)
            }
            _ => None,
        };
        let is_kept = self.live.as_ref().map(RolloutRecord::as_parent) == memory.kept;
        let trouble = memory.keep_trouble.as_ref();
        let keep = trouble.filter(|_| !is_kept && memory.keeping.is_none());
        recall.into_iter().chain(keep.map(|t| t.due)).min()
    }

    /// What status says of it, one sentence each.
    pub(super) fn said_of_memory(&self) -> Vec<String> {
        let mut said = Vec::new();
        let why = &self.memory.unreadable;
        if self.has_heard && self.chain.is_empty() {
            if let Recall::Found(_) | Recall::Failed(_) = self.memory.recall {
                said.push(format!(
                    "the registry has no rollout; {}",
                    self.said_of_start()
                ));
            }
        } else if !self.has_heard && !why.is_empty() {
            said.push(format!(
                "the registry cannot be read; {}, because {why}",
                self.said_of_start()
            ));
        }
        if let (Some(trouble), Some(live)) = (&self.memory.keep_trouble, &self.live) {
            said.push(format!(
                "rollout {} is not remembered for a start without the registry: {}",
                live.number, trouble.why
            ));
        }
        said
    }

    fn live_from_disk(&self) -> Option<(&RolloutRecord, &str)> {
        let live = self.live.as_ref()?;
        match &self.memory.recall {
            Recall::Found(found) if found.record.as_parent() == live.as_parent() => {
                Some((live, &found.since))
            }
            _ => None,
        }
    }

    fn said_of_start(&self) -> String {
        if let Some((live, since)) = self.live_from_disk() {
            return format!(
                "serving rollout {} remembered on disk since {since}",
                live.number
            );
        }
        match &self.memory.recall {
            Recall::NotAsked | Recall::Asked { .. } => "serving nothing yet".to_owned(),
            Recall::Nothing => "nothing is remembered on disk; serving nothing".to_owned(),
            Recall::Failed(trouble) => format!(
                "what is remembered on disk cannot be used ({}); serving nothing",
                trouble.why
            ),
            Recall::Found(found) => {
                let arms = found.record.arms.iter();
                let refused = arms.filter_map(|arm| Some((arm, self.failure(arm.version)?)));
                let refused = refused.map(|(arm, failure)| {
                    format!(
                        "version {} was refused: {}",
                        arm.version, failure.error.message
                    )
                });
                let refused: Vec<String> = refused.collect();
                let (number, since) = (found.record.number, &found.since);
                if refused.is_empty() {
                    return format!("loading rollout {number} remembered on disk since {since}");
                }
                format!(
                    "rollout {number} remembered on disk since {since} cannot be served ({}); \
                     serving nothing",
                    refused.join("; ")
                )
            }
        }
    }

    fn trouble(&self, why: String, attempts: u32, now: Now) -> Trouble {
        Trouble {
            why,
            attempts,
            due: now.monotonic + self.backoff(attempts),
        }
    }
}
