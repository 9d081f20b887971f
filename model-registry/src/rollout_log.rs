//! Which rollout is the desired state: the newest record with a valid chain of parents.
//!
//! ```text
//! 28 ◀─ 29 ◀─ 31 ◀─ 33      30: not JSON.  32: names 29 but another sha256.  Both are skipped and
//!                   head    reported; their numbers stay spent.
//! ```
//! A log is opened by one listing and afterwards only asks for the next number. What it knows is
//! never taken back: a store that fails or shows nothing leaves the head where it is.

use crate::limits::{CHAIN_MAX, POLL_MAX, ROLLOUT_BYTES_MAX, SKIPPED_MAX};
use crate::rollout::{Parent, described};
use crate::{Error, ModelName, Registry, RolloutNumber, RolloutRecord};

/// The rollouts of one model, as far as they were read.
#[derive(Clone, Debug)]
pub struct RolloutLog {
    registry: Registry,
    model: ModelName,
    /// Newest first, each the parent of the one before it.
    chain: Vec<RolloutRecord>,
    /// The greatest number spent.
    spent: u64,
    skipped: Vec<LogEntry>,
}

/// The record under one number.
#[derive(Clone, Debug, PartialEq)]
#[expect(
    clippy::large_enum_variant,
    reason = "a handful at a time, and mostly the large one"
)]
pub enum LogEntry {
    /// A record that chains; the head from now on.
    Rollout(RolloutRecord),
    /// A record that does not parse or does not chain. Its number is spent, it changes nothing.
    Skipped {
        /// Its number.
        number: RolloutNumber,
        /// What is wrong with it.
        why: String,
    },
}

impl Registry {
    /// Reads the rollouts of a model: one listing, then from the newest record backwards until a
    /// chain of parents holds, at most 32 deep.
    ///
    /// A model without rollouts has an empty log: nothing is to serve yet.
    ///
    /// # Errors
    /// [`Error::Unavailable`]; a record at fault is skipped and not an error.
    pub async fn rollouts(&self, model: &ModelName) -> Result<RolloutLog, Error> {
        let folder = self.layout().rollouts(model);
        let what = format!("the rollouts of {model}");
        let listed = self.store().numbers(&what, &folder).await?;
        let listed_max = listed.last().copied();
        let path = |number| RolloutNumber::new(number).map(|n| self.layout().rollout(model, n));
        let spent = self.store().newest_number(&what, listed_max, path).await?;
        let (registry, model) = (self.clone(), model.clone());
        let mut log = RolloutLog {
            registry,
            model,
            chain: Vec::new(),
            spent,
            skipped: Vec::new(),
        };
        let unlisted = listed_max.unwrap_or(0) + 1..=spent;
        for number in listed
            .into_iter()
            .chain(unlisted)
            .rev()
            .filter_map(RolloutNumber::new)
        {
            match log.read_chain(number).await? {
                Some(Ok(chain)) => {
                    log.chain = chain;
                    break;
                }
                Some(Err(why)) if log.skipped.len() < SKIPPED_MAX => {
                    log.skipped.push(LogEntry::Skipped { number, why });
                }
                Some(Err(_)) => {}
                // It was seen a moment ago, and rollouts are never removed.
                None => {
                    let what = format!("reading {}", described(&log.model, number));
                    return Err(Error::Unavailable {
                        what,
                        source: "the store has shown it, and shows it no more".into(),
                    });
                }
            }
        }
        Ok(log)
    }
}

impl RolloutLog {
    /// The desired state; `None` before the first rollout.
    #[must_use]
    pub fn head(&self) -> Option<&RolloutRecord> {
        self.chain.first()
    }

    /// The head and what it followed, newest first, at most 32.
    #[must_use]
    pub fn chain(&self) -> &[RolloutRecord] {
        &self.chain
    }

    /// Records skipped when the log was opened, newest first, at most 64.
    #[must_use]
    pub fn skipped(&self) -> &[LogEntry] {
        &self.skipped
    }

    /// The model.
    #[must_use]
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// The number that the next record gets, as far as this log knows.
    #[must_use]
    pub fn next_number(&self) -> Option<RolloutNumber> {
        RolloutNumber::new(self.spent + 1)
    }

    /// Reads the next number, and continues until there is none, at most 64. Costs one small read
    /// where nothing is new.
    ///
    /// # Errors
    /// [`Error::Unavailable`] if nothing could be read; the log is as before. What was read before
    /// a failure is returned, and the failure comes with the next call if it lasts.
    pub async fn poll(&mut self) -> Result<Vec<LogEntry>, Error> {
        let mut seen = Vec::new();
        while let Some(number) = self.next_number().filter(|_| seen.len() < POLL_MAX) {
            match self.read_chain(number).await {
                Ok(None) => break,
                Ok(Some(Ok(chain))) => {
                    seen.extend(chain.first().cloned().map(LogEntry::Rollout));
                    self.chain = chain;
                }
                Ok(Some(Err(why))) => seen.push(LogEntry::Skipped { number, why }),
                Err(_) if !seen.is_empty() => break,
                Err(error) => return Err(error),
            }
            self.spent = number.get();
        }
        Ok(seen)
    }

    /// The record under `number` with its parents; `Ok(Some(Err(why)))` if it does not parse or
    /// chain, `Ok(None)` if there is none. Reads only parents that this log does not hold.
    pub(crate) async fn read_chain(
        &self,
        number: RolloutNumber,
    ) -> Result<Option<Result<Vec<RolloutRecord>, String>>, Error> {
        let mut chain = match self.read(number).await {
            Ok(Some(record)) => vec![record],
            Ok(None) => return Ok(None),
            Err(error) if error.is_object_fault() => return Ok(Some(Err(error.with_causes()))),
            Err(error) => return Err(error),
        };
        while let Some(parent) = chain.last().and_then(|last| last.parent) {
            if chain.len() >= CHAIN_MAX {
                break;
            }
            let held = self
                .chain
                .iter()
                .position(|known| known.as_parent() == parent);
            if let Some(at) = held {
                let room = CHAIN_MAX - chain.len();
                chain.extend(self.chain[at..].iter().take(room).cloned());
                break;
            }
            let broken = match self.read_parent(parent).await? {
                Ok(record) => {
                    chain.push(record);
                    continue;
                }
                Err(why) => why,
            };
            let what = described(&self.model, number);
            let why = format!(
                "{what} does not chain: its ancestor {} {broken}",
                parent.number
            );
            return Ok(Some(Err(why)));
        }
        Ok(Some(Ok(chain)))
    }

    /// The record that a child names; `Ok(Err(why))` if it is missing, unreadable or another one.
    pub(crate) async fn read_parent(
        &self,
        parent: Parent,
    ) -> Result<Result<RolloutRecord, String>, Error> {
        match self.read(parent.number).await {
            Ok(Some(record)) if record.as_parent() == parent => Ok(Ok(record)),
            Ok(Some(record)) => Ok(Err(format!(
                "is stored with sha256 {}, not {}",
                record.sha256, parent.sha256
            ))),
            Ok(None) => Ok(Err("does not exist".to_owned())),
            Err(error) if error.is_object_fault() => Ok(Err(error.with_causes())),
            Err(error) => Err(error),
        }
    }

    async fn read(&self, number: RolloutNumber) -> Result<Option<RolloutRecord>, Error> {
        let what = described(&self.model, number);
        let path = self.registry.layout().rollout(&self.model, number);
        let bytes = self
            .registry
            .store()
            .read(&what, &path, ROLLOUT_BYTES_MAX)
            .await?;
        bytes
            .map(|bytes| RolloutRecord::parse_at(&self.model, number, &bytes))
            .transpose()
    }
}
